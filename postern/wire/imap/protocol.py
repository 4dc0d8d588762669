"""One IMAP conversation without a socket: bytes in, events out, and the bytes to send (RFC 3501, RFC 9051).

Knows which command is under way, which of its parts the server has asked for, and which tag must end it.
May not live here: sockets, time, capabilities, what a folder is.
"""

import secrets

from postern.wire.errors import MailError
from postern.wire.imap.commands import DEFAULT_UNTAGGED, Command, Literal
from postern.wire.imap.framing import Framer, Limits
from postern.wire.imap.grammar import ProtocolError
from postern.wire.imap.quirks import busy_line
from postern.wire.imap.responses import Continuation, Event, Fetch, Line, Other, read_response

# LITERAL- allows this much; under LITERAL+ we still ask first for more, so that a letter that the
# server does not want is refused before its megabytes travel (RFC 7888).
SMALL_LITERAL = 4096
LARGE_LITERAL = 65536


class Protocol:
    """Feed it by ``receive``, ask it by ``next_event`` until None, and send what ``outgoing`` gives."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._framer = Framer(limits or Limits())
        self._prefix = secrets.token_hex(4).upper()
        self._count = 0
        self._tag = ""
        self._command: Command | None = None
        self._waiting: list[bytes | Literal] = []
        self._outgoing: list[bytes] = []
        self._untagged = 0
        self.greeted = False
        self.immediate_literal = 0

    @property
    def buffered(self) -> int:
        """Bytes received but not yet told as events."""
        return self._framer.buffered

    @property
    def announced(self) -> int:
        """Bytes of a literal that the server has promised and not yet sent."""
        return self._framer.announced

    def learn(self, capabilities: frozenset[str]) -> None:
        """Literals up to a size may go out unasked where the server says so (RFC 7888)."""
        self.immediate_literal = 0
        if "LITERAL-" in capabilities:
            self.immediate_literal = SMALL_LITERAL
        if "LITERAL+" in capabilities:
            self.immediate_literal = LARGE_LITERAL

    def start(self, command: Command) -> None:
        """Begin a command; one at a time."""
        if self._command is not None:
            raise RuntimeError(f"{self._command.name} is still under way")
        self._count += 1
        # A tag that cannot be guessed: nobody can answer a command that was not sent yet (S-036).
        self._tag = f"{self._prefix}{secrets.token_hex(2).upper()}{self._count}"
        self._command = command
        self._untagged = 0
        self._waiting = [self._tag.encode() + b" ", *command.parts, b"\r\n"]
        self._release()

    def done(self) -> None:
        """End IDLE."""
        if self._command is None or self._command.flow != "idle":
            raise RuntimeError("no IDLE is under way")
        self._waiting = []
        self._outgoing.append(b"DONE\r\n")
        self._command = Command(self._command.name, [], max_untagged=self._command.max_untagged)

    def outgoing(self) -> list[bytes]:
        """What must be sent now, in order; each byte is handed out once."""
        ready, self._outgoing = self._outgoing, []
        return ready

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the server."""
        self._framer.feed(data)

    def next_event(self) -> Event | None:
        """The next event, None when more bytes are needed.

        Raises ``ProtocolError`` or another ``MailError``; then the connection must be closed.
        """
        while (response := self._framer.next()) is not None:
            if not self.greeted:
                return self._greeting(response)
            event = response if isinstance(response, Fetch) else read_response(response)
            if isinstance(event, Continuation):
                if self._continue():
                    return event
                continue
            if isinstance(event, Line) and event.tag:
                return self._end(event)
            if isinstance(event, Other) and not event.raw.startswith(b"* "):
                raise busy_line(event.raw) or ProtocolError("a line that is no answer")
            self._count_untagged()
            return event
        return None

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
        if self._untagged > (self._command.max_untagged if self._command else DEFAULT_UNTAGGED):
            raise ProtocolError("too many answers to one command")

    def _end(self, line: Line) -> Line:
        if self._command is None or line.tag != self._tag:
            raise ProtocolError("an answer to a command that was not given")
        unsent = bool(self._waiting) or bool(self._command.answers) or self._command.flow == "idle"
        if line.status == "OK" and unsent:
            raise ProtocolError("a command was answered before it was sent")
        self._command = None
        self._waiting = []
        return line

    def _continue(self) -> bool:
        """The server asked for more. True when that is news for the caller."""
        command = self._command
        if command is None:
            raise ProtocolError("it asks for more where there is nothing")
        self._count_untagged()
        if self._waiting:
            literal = self._waiting.pop(0)
            assert isinstance(literal, Literal)
            self._outgoing.append(literal.data)
            self._release()
        elif command.flow == "auth":
            # Without an answer left this is the server's explanation of a refusal; "*" asks for the refusal.
            answer = command.answers[0] if command.answers else b"*"
            self._command = Command(command.name, [], "auth", command.answers[1:], command.max_untagged)
            self._outgoing.append(answer + b"\r\n")
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
