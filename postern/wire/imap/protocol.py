"""One IMAP conversation without a socket: bytes in, events out, and the bytes to send (RFC 3501, RFC 9051).

Knows which command is under way, which of its parts the server has asked for, and which tag must end it.
May not live here: sockets, time, capabilities, what a folder is.
"""

import secrets
from collections import deque

from postern.wire.errors import MailError
from postern.wire.imap.commands import DEFAULT_UNTAGGED, Command, Literal
from postern.wire.imap.framing import Framer, Limits
from postern.wire.imap.grammar import ProtocolError
from postern.wire.imap.quirks import busy_line
from postern.wire.imap.responses import Continuation, Event, Fetch, Line, Other, read_response
from postern.wire.imap.spool import Spooled

# LITERAL- allows this much; under LITERAL+ we still ask first for more, so that a letter that the
# server does not want is refused before its megabytes travel (RFC 7888).
SMALL_LITERAL = 4096
LARGE_LITERAL = 65536
# What an event costs besides its letter, roughly, so that many small ones are counted honestly.
EVENT_BYTES = 300
# After their OK the bytes mean something else; nothing behind it may be read as IMAP (S-035).
_SWITCHES = frozenset({"STARTTLS", "COMPRESS"})


class Protocol:
    """Feed it by ``receive``, ask it by ``next_event`` until None, and send what ``outgoing`` gives.

    ``queued`` is about how many bytes the events cost that nobody has asked for yet. ``stopped`` is True
    when an answer was read after which the bytes are no IMAP; ``proceed`` goes on.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._framer = Framer(limits or Limits())
        self._prefix = secrets.token_hex(4).upper()
        self._count = 0
        # By tag, in the order in which they were given; only the last may still be sending.
        self._running: dict[str, Command] = {}
        self._last = ""
        self._waiting: list[bytes | Literal] = []
        self._outgoing: list[bytes] = []
        self._asked = False
        self._untagged = 0
        self._most_untagged = DEFAULT_UNTAGGED
        self._events: deque[tuple[Event, int]] = deque()
        self._error: MailError | None = None
        self.queued = 0
        self.greeted = False
        self.stopped = False
        self.immediate_literal = 0

    @property
    def buffered(self) -> int:
        """Bytes received that make no complete response yet."""
        return self._framer.buffered

    @property
    def announced(self) -> int:
        """Bytes of a literal that the server has promised and not yet sent."""
        return self._framer.announced

    @property
    def failed(self) -> bool:
        """True when the server broke the protocol; what came before it can still be asked for."""
        return self._error is not None

    def learn(self, capabilities: frozenset[str]) -> None:
        """Literals up to a size may go out unasked where the server says so (RFC 7888)."""
        self.immediate_literal = 0
        if "LITERAL-" in capabilities:
            self.immediate_literal = SMALL_LITERAL
        if "LITERAL+" in capabilities:
            self.immediate_literal = LARGE_LITERAL

    def start(self, command: Command, *, beside: bool = False) -> str:
        """Begin a command and return its tag. One at a time, unless it may run ``beside`` those under way.

        Raises ``RuntimeError`` otherwise, and while the command before is not sent whole.
        """
        if self._running and (not beside or self._waiting or self._running[self._last].flow != "plain"):
            raise RuntimeError(f"{self._running[self._last].name} is still under way")
        self._count += 1
        # A tag that cannot be guessed: nobody can answer a command that was not sent yet (S-036).
        self._last = f"{self._prefix}{secrets.token_hex(2).upper()}{self._count}"
        self._running[self._last] = command
        self._untagged = 0
        self._most_untagged = sum(each.max_untagged for each in self._running.values())
        self._waiting = [self._last.encode() + b" ", *command.parts, b"\r\n"]
        self._release()
        return self._last

    def done(self) -> None:
        """End IDLE."""
        command = self._running.get(self._last)
        if command is None or command.flow != "idle":
            raise RuntimeError("no IDLE is under way")
        self._waiting = []
        self._outgoing.append(b"DONE\r\n")
        self._running[self._last] = Command(command.name, [], max_untagged=command.max_untagged)

    def answer(self, words: bytes) -> None:
        """What AUTHENTICATE was asked for, encoded."""
        if not self._asked:
            raise RuntimeError("nothing was asked")
        self._asked = False
        self._outgoing.append(words + b"\r\n")

    def outgoing(self) -> list[bytes]:
        """What must be sent now, in order; each byte is handed out once."""
        ready, self._outgoing = self._outgoing, []
        return ready

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the server; they are read at once."""
        self._framer.feed(data)
        self._read()

    def room(self, scratch: memoryview) -> memoryview:
        """Where the socket should put what comes next: in ``scratch``, or where a large letter is to lie."""
        return self._framer.room(scratch)

    def got(self, count: int, scratch: memoryview) -> None:
        """``count`` bytes were put where ``room`` said. Raises ``MailError`` when the disk is full."""
        self._framer.got(count, scratch)
        self._read()

    def next_event(self) -> Event | None:
        """The next event, None when more bytes are needed.

        Raises ``ProtocolError`` or another ``MailError``; then the connection must be closed.
        """
        if self._events:
            event, cost = self._events.popleft()
            self.queued -= cost
            return event
        if self._error is not None:
            raise self._error
        return None

    def surplus(self) -> bytes:
        """Give up the bytes behind the answer that stopped the reading."""
        return self._framer.surplus()

    def proceed(self) -> None:
        """The bytes that come from now on are IMAP again."""
        self.stopped = False

    def fail(self, error: MailError) -> None:
        """The bytes cannot be had any more: ``error`` comes after the events that came before it."""
        self._error = self._error or error

    def discard(self) -> None:
        """No more bytes will come."""
        self._framer.discard()

    def _read(self) -> None:
        try:
            while not self.stopped and self._error is None:
                response = self._framer.next()
                if response is None:
                    break
                event = self._event(response)
                if event is not None:
                    body = response.body if isinstance(response, Fetch) else response
                    cost = EVENT_BYTES + (_size(body) if isinstance(body, list) else len(body or b""))
                    self._events.append((event, cost))
                    self.queued += cost
        except MailError as error:
            self._error = error
        self._framer.keep()

    def _event(self, response: Fetch | list[bytes]) -> Event | None:
        """What a response tells; None when it only asked for more of our own words."""
        if not self.greeted:
            return self._greeting(response)
        if isinstance(response, Fetch):
            self._count_untagged()
            return response
        event = read_response(response)
        if isinstance(event, Continuation):
            return event if self._continue() else None
        if isinstance(event, Line) and event.tag:
            return self._end(event)
        if isinstance(event, Other) and not event.raw.startswith(b"* "):
            raise busy_line(event.raw) or ProtocolError("a line that is no answer")
        if isinstance(event, Fetch) and isinstance(event.body, Spooled):
            event.body = event.body.raw
        self._count_untagged()
        return event

    def _greeting(self, response: Fetch | list[bytes]) -> Line:
        event = response if isinstance(response, Fetch) else read_response(response)
        if isinstance(event, Line) and not event.tag and event.status in ("OK", "BYE", "PREAUTH"):
            self.greeted = True
            return event
        raise MailError(
            "not_a_mail_server",
            "What answers there is not an IMAP server.",
            "Check the server's name and the port: IMAP is 993 with SSL and 143 with STARTTLS.",
            temporary=False,
        )

    def _count_untagged(self) -> None:
        self._untagged += 1
        if self._untagged > self._most_untagged:
            raise ProtocolError("too many answers to one command")

    def _end(self, line: Line) -> Line:
        command = self._running.pop(line.tag, None)
        if command is None:
            raise ProtocolError("an answer to a command that was not given")
        if line.tag == self._last:
            unsent = bool(self._waiting) or self._asked or command.flow == "idle"
            if line.status == "OK" and unsent:
                raise ProtocolError("a command was answered before it was sent")
            self._waiting = []
            self._asked = False
        self.stopped = line.status == "OK" and command.name in _SWITCHES
        return line

    def _continue(self) -> bool:
        """The server asked for more. True when that is news for the caller."""
        command = self._running.get(self._last)
        if command is None:
            raise ProtocolError("it asks for more where there is nothing")
        self._count_untagged()
        if self._waiting:
            literal = self._waiting.pop(0)
            assert isinstance(literal, Literal)
            self._outgoing.append(literal.data)
            self._release()
        elif command.flow == "auth" and not self._asked:
            self._asked = True
            return True
        elif command.flow == "idle":
            return True
        else:
            raise ProtocolError("it asks for more where there is nothing")
        return False

    def _release(self) -> None:
        """Move parts from ``_waiting`` to ``_outgoing`` up to the next literal the server must ask for."""
        while self._waiting:
            part = self._waiting[0]
            if isinstance(part, bytes):
                self._outgoing.append(part)
            elif len(part.data) <= self.immediate_literal:
                self._outgoing += [b"{%d+}\r\n" % len(part.data), part.data]
            else:
                self._outgoing.append(b"{%d}\r\n" % len(part.data))
                return
            self._waiting.pop(0)


def _size(parts: list[bytes]) -> int:
    """The bytes of a response that matter; a letter in a file counts as if it were in memory."""
    return sum(len(part.raw) if isinstance(part, Spooled) else len(part) for part in parts)
