"""One command at a time on one connection, and what any answer tells besides what was asked.

May not live here: what a command is good for. That is ``session.py``.
"""

from types import TracebackType

from postern.wire import errors
from postern.wire.imap.commands import Command
from postern.wire.imap.link import Deadline, Link
from postern.wire.imap.refusals import farewell, refusal
from postern.wire.imap.responses import Capability, Count, Enabled, Event, FolderStatus, Line, Vanished, names


class Exchange:
    """One command under way. Left before its end, the connection is closed: the rest would be misread."""

    def __init__(self, connection: "Connection", sent: Command, seconds: float) -> None:
        self.line: Line | None = None
        self._connection = connection
        self._command = sent
        self._seconds = seconds
        self._deadline = Deadline.after(seconds, f"The command {sent.name}")

    async def __aenter__(self) -> "Exchange":
        self._connection.claim()
        try:
            await self._connection.link.start(self._command, self._deadline)
        except BaseException:
            self._connection.abort()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.line is None:
            self._connection.abort()
        self._connection.busy = False

    def extend(self) -> None:
        """Something useful came: the patience for the next begins."""
        self._deadline = Deadline.after(self._seconds, self._deadline.what)

    async def next(self) -> Event | None:
        """The next untagged event, or None when the command has succeeded. A refusal is raised."""
        return self._judge(await self._connection.link.event(self._deadline))

    async def poll(self, seconds: float) -> Event | None:
        """Like ``next`` for IDLE: None when nothing came within ``seconds``."""
        event = await self._connection.link.event_until(Deadline.after(seconds, "Waiting for news"))
        return None if event is None else self._judge(event)

    async def answer(self, words: bytes) -> None:
        """Answer what AUTHENTICATE was asked for."""
        await self._connection.link.answer(words, self._deadline)

    async def done(self) -> None:
        """End IDLE; the patience for its last answers begins."""
        self.extend()
        await self._connection.link.done(self._deadline)

    async def end(self) -> list[Event]:
        """Every event up to the end of the command."""
        events: list[Event] = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events

    def _judge(self, event: Event) -> Event | None:
        if isinstance(event, Line) and event.tag:
            self.line = event
            if event.status != "OK":
                raise refusal(self._command.name, event)
            return None
        self._connection.notice(event, self._command.name)
        return event


# The server gives NOTIFY up: from here on it tells of nothing (RFC 5465 section 5.8).
OVERFLOW = "NOTIFICATIONOVERFLOW"
_ASK_FOR_COUNTS = frozenset({"STATUS", "LIST", "NOTIFY"})


class Connection:
    """The link with what is known of its server: ``exists`` letters in the open folder, ``news`` among them.

    ``enabled`` are the extensions that ENABLE turned on. ``watching``: the server tells of other folders too
    (NOTIFY); ``elsewhere``: it did, in the middle of something else.
    """

    def __init__(self, link: Link, *, timeout: float) -> None:
        self.capabilities: frozenset[str] = frozenset()
        self.enabled: frozenset[str] = frozenset()
        self.link = link
        self.timeout = timeout
        self.busy = False
        self.exists = 0
        self.news = False
        self.watching = self.elsewhere = False

    @property
    def closed(self) -> bool:
        """True when the connection has ended."""
        return self.link.lost

    @property
    def utf8(self) -> bool:
        """True when names and headers are UTF-8 on this connection (RFC 6855)."""
        return "UTF8=ACCEPT" in self.enabled

    def abort(self) -> None:
        """Close the connection without a word."""
        self.link.abort()

    async def do(self, sent: Command, *, seconds: float | None = None) -> list[Event]:
        """Send a command and wait for its end; what came before it."""
        async with self.exchange(sent, seconds) as exchange:
            return await exchange.end()

    def exchange(self, sent: Command, seconds: float | None = None) -> Exchange:
        """A command to be followed event by event."""
        return Exchange(self, sent, self.timeout if seconds is None else seconds)

    def claim(self) -> None:
        """Begin a command. Raises ``RuntimeError`` while another is under way, connection_lost after the end."""
        if self.busy:
            raise RuntimeError("another command is under way on this session")
        if self.closed:
            raise errors.connection_lost("nothing was under way")
        self.busy = True

    def notice(self, event: Event, during: str) -> None:
        """What any answer may tell besides what was asked."""
        if isinstance(event, Count):
            self._count(event)
        elif isinstance(event, Vanished):
            if not event.earlier:
                self.exists = max(0, self.exists - len(event.uids))
        elif isinstance(event, FolderStatus):
            # STATUS and LIST ask for counts themselves, and NOTIFY is answered with those of the moment.
            self.elsewhere = self.elsewhere or (self.watching and during not in _ASK_FOR_COUNTS)
        elif isinstance(event, Capability):
            self.learn(event.names)
        elif isinstance(event, Enabled):
            self.enabled |= event.names
        elif isinstance(event, Line):
            if event.code == "CLOSED":  # what came so far was about the folder open before (RFC 7162)
                self.exists, self.news = 0, False
            if event.code == OVERFLOW:
                self.watching = False
            if event.code == "CAPABILITY":
                self.learn(names(event.arguments))
            if event.status == "BYE" and during != "LOGOUT":
                raise farewell(event)

    def _count(self, event: Count) -> None:
        if event.what == "EXISTS":
            self.news = self.news or event.number > self.exists
            self.exists = event.number
        elif event.what == "EXPUNGE":
            self.exists = max(0, self.exists - 1)

    def forget(self) -> None:
        """Nothing that came so far counts: it was said in clear, by whoever (S-037)."""
        self.exists, self.news, self.enabled = 0, False, frozenset()
        self.learn(frozenset())

    def learn(self, capabilities: frozenset[str]) -> None:
        """The server can do this now, and nothing else."""
        self.capabilities = capabilities
        self.link.protocol.learn(capabilities)
