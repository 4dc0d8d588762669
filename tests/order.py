"""In which order the files are played: what waits beside what computes, of each kind the slowest rooms first.

`./dev test` has one worker more than the machine has cores. While all of them wait, for mail servers, time limits
or processes that start, the cores are idle; while all of them compute, they are in each other's way.
"""

from collections.abc import Iterable
from pathlib import Path

WAITING = ("stories", "reliability", "project", "sync", "demo", "wire", "servers")
COMPUTING = ("browser", "privacy", "web", "fuzz", "outbox", "api", "mime", "mail", "mailboxes")


def spread(files: Iterable[Path]) -> list[Path]:
    """Return paths below tests/, both kinds spread evenly over the whole; the order within a room is kept."""
    place = {room: number for number, room in enumerate((*WAITING, *COMPUTING))}
    rooms = sorted(files, key=lambda path: place.get(path.parts[0], len(place)))
    waiting = [path for path in rooms if path.parts[0] in WAITING]
    computing = [path for path in rooms if path.parts[0] not in WAITING]
    at = {path: number / len(kind) for kind in (waiting, computing) for number, path in enumerate(kind)}
    return sorted(rooms, key=lambda path: at[path])
