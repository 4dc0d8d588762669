"""COPY, MOVE and EXPUNGE of single letters, and under which UIDs the letters lie afterwards (UIDPLUS, RFC 4315; MOVE, RFC 6851)."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from postern.wire.errors import MailError
from postern.wire.imap import commands
from postern.wire.imap.answers import Copied
from postern.wire.imap.commands import Command, Literal, command
from postern.wire.imap.connection import Connection
from postern.wire.imap.grammar import number_or_none
from postern.wire.imap.responses import Line
from postern.wire.imap.uidset import MAX_UID, Range, ordered_ranges


async def copy(connection: Connection, uids: Sequence[int], folder: bytes | Literal) -> Copied:
    """Copy letters of the open folder into another; where they lie there, as far as the server tells."""
    told = Copied()
    for some, text in commands.uid_sets(uids):
        told = _both(told, await _do(connection, command("UID COPY", text, folder), some))
    return told


async def move(connection: Connection, uids: Sequence[int], folder: bytes | Literal) -> Copied:
    """Move letters of the open folder into another. Raises server_refused without MOVE."""
    _require(connection, "MOVE")
    told = Copied()
    for some, text in commands.uid_sets(uids):
        told = _both(told, await _do(connection, command("UID MOVE", text, folder), some))
    return told


async def expunge(connection: Connection, uids: Sequence[int]) -> None:
    """Delete just these of the letters marked ``\\Deleted``.

    Raises server_refused without UIDPLUS: a plain EXPUNGE would also delete what another program has marked.
    """
    _require(connection, "UIDPLUS")
    for _, text in commands.uid_sets(uids):
        await connection.do(command("UID EXPUNGE", text))


def _require(connection: Connection, capability: str) -> None:
    if capability not in connection.capabilities:
        raise MailError(
            "server_refused",
            "This mail server offers no safe way to move letters.",
            "Move them with another mail program.",
            temporary=False,
        )


async def _do(connection: Connection, sent: Command, uids: Sequence[int]) -> Copied:
    exchange = connection.exchange(sent)
    async with exchange:
        events = await exchange.end()
    for line in (*events, exchange.line):
        if isinstance(line, Line) and line.code == "COPYUID":
            return copied(line.arguments, uids)
    return Copied()


def _both(before: Copied, now: Copied) -> Copied:
    if before.uidvalidity and now.uidvalidity and before.uidvalidity != now.uidvalidity:
        return now  # the folder was made anew in between: the earlier UIDs mean nothing there
    return Copied(now.uidvalidity or before.uidvalidity, {**before.uids, **now.uids})


def copied(arguments: bytes, asked: Iterable[int]) -> Copied:
    """COPYUID's arguments for the letters we asked for; empty when they do not fit together.

    The nth UID of the one set became the nth of the other, so their order counts. A hostile set of four
    thousand million costs what ``asked`` costs.
    """
    words = arguments.split()
    uidvalidity = number_or_none(words[0], MAX_UID) if len(words) == 3 else None
    if not uidvalidity:
        return Copied()
    try:
        source, target = (_Row(ordered_ranges(word)) for word in words[1:])
    except ValueError:
        return Copied()
    if source.count != target.count:
        return Copied()
    places = {uid: source.place(uid) for uid in asked}
    return Copied(uidvalidity, {uid: target.at(place) for uid, place in places.items() if place is not None})


class _Row:
    """Ranges in a row, as if all their UIDs stood one after the other."""

    def __init__(self, ranges: list[Range]) -> None:
        self._ranges = ranges
        self._starts = [0, *accumulate(high - low + 1 for low, high in ranges)]
        self._sorted = sorted((low, high, at) for at, (low, high) in enumerate(ranges))
        self.count = self._starts[-1]

    def place(self, uid: int) -> int | None:
        """How many UIDs stand before ``uid``."""
        near = bisect_right(self._sorted, (uid, MAX_UID, len(self._ranges))) - 1
        if near < 0:
            return None
        low, high, at = self._sorted[near]
        return self._starts[at] + uid - low if uid <= high else None

    def at(self, place: int) -> int:
        """The UID before which so many stand."""
        at = bisect_right(self._starts, place) - 1
        return self._ranges[at][0] + place - self._starts[at]
