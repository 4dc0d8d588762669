"""Whole letters from the open folder: many in one command, several commands under way.

Over a wide-area link the shape of the commands decides (ENGINE.md: 25 letters a second one by one, 12,300
with four commands of 200 letters under way at 40 ms), so that the line is never idle while we think.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from types import TracebackType

from postern.wire.errors import MailError
from postern.wire.imap.answers import Fetched
from postern.wire.imap.commands import MAX_LINE, MAX_UIDS, command, uid_set
from postern.wire.imap.connection import Connection
from postern.wire.imap.grammar import UNKNOWN_DATE
from postern.wire.imap.link import Deadline
from postern.wire.imap.refusals import refusal
from postern.wire.imap.responses import NO_FLAGS, Count, Event, Fetch, Line, Vanished

DEPTH = 4
RANGE_BYTES = 8 << 20
_ITEMS = b"(UID FLAGS INTERNALDATE BODY.PEEK[])"
# The tag, the words and the line's end around a set of UIDs.
_MAX_SET = MAX_LINE - 100


async def bodies(
    connection: Connection, uids: Sequence[int], *, sizes: Mapping[int, int] | None = None, depth: int = DEPTH
) -> AsyncGenerator[Fetched, None]:
    """Whole letters one by one, as they come, in the order of ``uids`` by ranges; ``\\Seen`` is not set.

    ``sizes`` (bytes by UID, as listed) keeps a range near 8 MB; ``depth`` commands are under way at most.
    A caller who takes their time slows the server down. Letters that are gone are left out. When the
    server refuses a range, the letters of the others under way still come before the error is raised, and
    the connection stays usable. A caller who stops early ends the connection, unless nothing was under way.
    """
    async with _Download(connection, ranges(uids, sizes or {}), depth) as download:
        while True:
            letter = download.here() or await download.next()
            if letter is None:
                break
            yield letter


def ranges(uids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """UIDs in their order, cut so that a range fits a short command line and promises about 8 MB."""
    some: list[int] = []
    promised = text = 0
    for uid in dict.fromkeys(uids):
        size, width = sizes.get(uid, 0), len(str(uid)) + 1
        if some and (len(some) >= MAX_UIDS or promised + size > RANGE_BYTES or text + width > _MAX_SET):
            yield some
            some, promised, text = [], 0, 0
        some.append(uid)
        promised += size
        text += width
    if some:
        yield some


class _Download:
    """The commands under way, and which letters they have yet to bring."""

    def __init__(self, connection: Connection, pending: Iterator[list[int]], depth: int) -> None:
        self._connection = connection
        self._link = connection.link
        self._pending = pending
        self._depth = depth
        self._running: dict[str, list[int]] = {}
        self._wanted: set[int] = set()
        self._uid_of: dict[int, int] = {}
        self._refused: MailError | None = None
        self._patience = self._deadline()

    async def __aenter__(self) -> "_Download":
        self._connection.claim()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            # What is still to come would be read as the answer to something else.
            self._connection.abort()
        self._connection.busy = False

    def here(self) -> Fetched | None:
        """The next letter that has come already; None says to wait for it."""
        while (event := self._link.take()) is not None:
            letter = self._letter(event)
            if letter is not None:
                return letter
        return None

    async def next(self) -> Fetched | None:
        """The next letter, None when all have come. Raises ``MailError``."""
        self._patience = self._deadline()
        while True:
            await self._ask()
            if not self._running:
                if self._refused is not None:
                    raise self._refused
                return None
            letter = self._letter(await self._link.event(self._patience))
            if letter is not None:
                return letter

    async def _ask(self) -> None:
        """Keep as many commands under way as may be; none more once one was refused."""
        while len(self._running) < self._depth and self._refused is None:
            some = next(self._pending, None)
            if some is None:
                return
            sent = command("UID FETCH", uid_set(some), _ITEMS)
            self._wanted.update(some)
            tag = await self._link.start(sent, self._patience, beside=True)
            self._running[tag] = some

    def _letter(self, event: Event) -> Fetched | None:
        """The letter that an event brings, if it does and we have asked for it."""
        if not isinstance(event, Fetch):
            self._note(event)
            return None
        uid = event.uid
        if uid is None:
            uid = self._uid_of.get(event.sequence)
        elif event.body is None:
            self._uid_of[event.sequence] = uid
        if event.body is None or uid not in self._wanted:
            return None
        self._wanted.remove(uid)
        return Fetched(uid, event.flags or NO_FLAGS, event.internaldate or UNKNOWN_DATE, event.body)

    def _note(self, event: Event) -> None:
        if isinstance(event, Line) and event.tag:
            self._wanted.difference_update(self._running.pop(event.tag))
            self._patience = self._deadline()
            if event.status != "OK":
                self._refused = self._refused or refusal("UID FETCH", event)
            return
        if isinstance(event, Vanished) or (isinstance(event, Count) and event.what == "EXPUNGE"):
            self._uid_of.clear()  # sequence numbers have moved
        self._connection.notice(event, "UID FETCH")

    def _deadline(self) -> Deadline:
        return Deadline.after(self._connection.timeout, "The command UID FETCH")
