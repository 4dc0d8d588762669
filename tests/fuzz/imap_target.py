"""What a fuzzer calls: any bytes from a server end in an answer or a ``MailError``, and in nothing else.

A session runs here without a socket: what it writes is looked at for its tag, and the next piece of the
input is what the server says to it. ``TAG`` in the input stands for that tag. Run by hypothesis in the
tests and by ``run_atheris.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable

from postern.wire.errors import MailError
from postern.wire.imap import Known, Session, UidSet, commands
from postern.wire.imap.connection import Connection
from postern.wire.imap.framing import Limits
from postern.wire.imap.link import Link
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Line
from postern.wire.imap.signing_in import _run
from postern.wire.login import Login
from postern.wire.sasl import ways_in

LIMITS = Limits(line=1 << 14, long_line=1 << 16, literal=1 << 14, letter=1 << 16)
CAPABILITIES = frozenset(
    [
        "IMAP4REV1",
        "CONDSTORE",
        "QRESYNC",
        "ESEARCH",
        "ENABLE",
        "IDLE",
        "MOVE",
        "UIDPLUS",
        "NAMESPACE",
        "NOTIFY",
        "ID",
        "OBJECTID",
        "SPECIAL-USE",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "LITERAL+",
        "X-GM-EXT-1",
        "COMPRESS=DEFLATE",
    ]
)
ERRORS = {"protocol_error", "server_busy", "not_a_mail_server", "connection_lost", "timeout", "server_refused",
          "folder_missing", "mailbox_full", "over_limit", "password_rejected", "token_rejected", "too_large",
          "idle_unanswered"}  # fmt: skip


WHEN = b'"01-Jan-2024 00:00:00 +0000"'
WORDS = [
    b"* ", b"+ ", b"TAG ", b"OK ", b"NO ", b"BAD ", b"BYE ", b"\r\n", b"(", b")", b'"', b"\\", b" ", b",", b":", b"NIL ",
    b"{3}\r\nabc", b"{0}\r\n", b"~{2}\r\nab", b"{4294967295}\r\n", b"[", b"]", b"<0>", b"<7>", b"\xff", b"\x00", b"\xe4",
    b"1 ", b"2 ", b"7 ", b"500 ", b"4294967295 ", b"1:4294967295 ", b"1:3,5 ", b"9223372036854775807 ", b"9" * 25,
    b"FETCH (", b"UID ", b"FLAGS (\\Seen) ", b"BODY[] ", b"INTERNALDATE " + WHEN + b" ", b"RFC822.SIZE 9 ", b"MODSEQ (5) ",
    b"EMAILID (M1) ", b"X-GM-MSGID 5 ", b"X-GM-LABELS (a) ", b"EXISTS", b"EXPUNGE", b"VANISHED ", b"(EARLIER) ",
    b"LIST (\\Sent) ", b'"/" ', b"INBOX ", b"STATUS ", b"(MESSAGES 3 UIDNEXT 4 HIGHESTMODSEQ 9) ", b"SEARCH ", b"ESEARCH ",
    b'(TAG "TAG") ', b"ALL ", b"NAMESPACE ", b'(("" "/")) ', b"CAPABILITY ", b"ENABLED ", b"QRESYNC ", b"UTF8=ACCEPT ",
    b"[UIDVALIDITY 7] ", b"[HIGHESTMODSEQ 200] ", b"[NOMODSEQ] ", b"[CLOSED] ", b"[COPYUID 7 1:2 5:6] ", b"[APPENDUID 7 5] ",
    b"[CAPABILITY IMAP4rev1] ", b"* 1 FETCH (UID 1 FLAGS () INTERNALDATE " + WHEN + b" BODY[] {2}\r\nab)\r\n", b"TAG OK\r\n",
    b"+ \r\n", b"cj14LHM9VzIyWixpPTQwOTY=",
]  # fmt: skip


class Wire(asyncio.Transport):
    """The server's end: answers each command with the next piece of the input, then hangs up."""

    def __init__(self, link: Link, pieces: list[bytes]) -> None:
        super().__init__()
        self.link, self.pieces, self.tag = link, pieces, b"X"
        link.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        word = bytes(data).split(b" ")[0]
        if len(word) > 8 and word.isalnum():
            self.tag = word
        if bytes(data).endswith(b"\r\n"):
            asyncio.get_running_loop().call_soon(self.say)

    def say(self) -> None:
        """The next piece; after the last the connection ends."""
        if not self.pieces:
            self.link.connection_lost(None)
            return
        said = self.pieces.pop(0).replace(b"TAG", self.tag)
        while said:
            view = self.link.get_buffer(-1)
            count = min(len(view), len(said))
            view[:count] = said[:count]
            self.link.buffer_updated(count)
            said = said[count:]

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


_LOOP = asyncio.new_event_loop()  # one for all: making one costs more than most inputs
Action = Callable[[Session], Awaitable[object]]


async def _letters(session: Session) -> None:
    async for letter in session.uid_fetch_bodies([1, 2, 3, 500], sizes={1: 10}):
        assert len(letter.raw) <= LIMITS.letter


async def _sign_in(session: Session) -> None:
    for login in (Login("anna", "pass-word-1"), Login("anna", "tok", token=True)):
        for way in ways_in(["PLAIN", "SCRAM-SHA-256", "XOAUTH2"], login, encrypted=True):
            await _run(session.connection, commands.authenticate(way.name, None), way)


async def _resync(session: Session) -> None:
    session.connection.enabled = frozenset({"QRESYNC"})
    found = await session.select("INBOX", known=Known(7, 100))
    assert found.resynced or not (found.vanished or found.changed)
    assert len(found.vanished.among(range(1, 100))) <= 99


async def _search(session: Session) -> None:
    found = await session.uid_search_set(["HEADER", "Message-ID", "<a@b>", "UID", "1:*"])
    assert isinstance(found, UidSet)


ACTIONS: tuple[Action, ...] = (
    Session.list_folders,
    lambda session: session.list_with_status(["INBOX"]),
    Session.namespaces,
    lambda session: session.status("INBOX"),
    lambda session: session.select("INBOX"),
    _resync,
    lambda session: session.uid_changes(1),
    lambda session: session.uid_flags("1:*"),
    _search,
    lambda session: session.uid_fetch_headers([1, 2, 3]),
    _letters,
    lambda session: session.uid_store([1, 2], add=["\\Seen"]),
    lambda session: session.uid_move([1, 2], "Trash"),
    lambda session: session.uid_expunge([1, 2]),
    lambda session: session.append("Sent", b"letter"),
    lambda session: session.idle(seconds=0.001),
    lambda session: session.watch(["Sent"]),
    _sign_in,
)


def one_protocol(data: bytes) -> None:
    """The bytes alone: cut by the first byte, read to the end."""
    protocol = Protocol(LIMITS)
    step = max(1, data[0] if data else 1)
    try:
        for at in range(1, len(data), step):
            protocol.receive(data[at : at + step])
            while protocol.next_event() is not None:
                pass
    except MailError as error:
        assert error.code in ERRORS, error


def one_session(data: bytes) -> None:
    """Three actions with the answers in the input; pieces are parted by 0xFF."""
    actions = [ACTIONS[number % len(ACTIONS)] for number in data[:3]]
    _LOOP.run_until_complete(talk(actions, data[3:].split(b"\xff")))


async def talk(actions: list[Action], pieces: list[bytes]) -> list[object]:
    """What the actions gave, or the code of their error, when the server says ``pieces``."""
    link = Link(LIMITS)
    connection = Connection(link, timeout=0.02)
    Wire(link, pieces)
    link.protocol.receive(b"* OK hello\r\n")
    assert isinstance(link.protocol.next_event(), Line)
    connection.learn(CAPABILITIES)
    session = Session(connection)
    given: list[object] = []
    for action in actions:
        try:
            given.append(await action(session))
        except MailError as error:
            assert error.code in ERRORS, error
            given.append(error.code)
    assert not connection.busy
    assert 0 <= connection.exists <= 2**32
    session.abort()
    return given


def one_input(data: bytes) -> None:
    """Both ways, told apart by the last bit of the first byte."""
    (one_session if data[:1] and data[0] & 1 else one_protocol)(data[1:])
