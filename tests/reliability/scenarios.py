"""What happens to mailboxes, as a table: what is done, and what must be in Postern afterwards, on any server.

Each is run on Dovecot, Cyrus, Courier and the demo's server; the digests must be equal (R-025). The words after
`then` are World.short(): who reads a row sees what Postern promises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.reliability.world import World

Do = Callable[[World], None]


@dataclass(frozen=True)
class Scenario:
    """One row. `name` is unique."""

    name: str
    then: str
    do: Do


ALL: list[Scenario] = []


def scenario(then: str) -> Callable[[Do], Do]:
    """Add a function to the table; its name is the row's."""

    def add(do: Do) -> Do:
        ALL.append(Scenario(do.__name__.strip("_").replace("_", " "), then, do))
        return do

    return add


def days_ago(days: int) -> object:
    """A day as the settings hold it."""
    return (datetime.now(UTC) - timedelta(days=days)).date()


def wait_a_second() -> None:
    """Courier and Cyrus take a new folder's UIDVALIDITY from the clock: never the same one twice."""
    import time

    time.sleep(1.1)


def anew(w: World, folder: str) -> None:
    """Delete a folder and make it again."""
    w.remove(folder)
    wait_a_second()
    w.make(folder)
