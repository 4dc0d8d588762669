"""A4 and A5 on the wire: nothing in clear, nothing from before TLS, and one argument stays one argument."""

import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postern.wire.endpoint import Security
from postern.wire.errors import MailError
from postern.wire.imap import Session, commands
from postern.wire.imap.commands import Command, Literal
from postern.wire.imap.folders import folder_info, wire_name
from postern.wire.imap.grammar import Tokens
from postern.wire.imap.protocol import Protocol
from postern.wire.imap.responses import Folder, Line
from tests.certs import Authority
from tests.wire.imap.scripted import GREETING, Script, Wire, play, signed_in, transcript

STARTTLS = GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 STARTTLS")


# S-033, S-037: STARTTLS


@pytest.mark.parametrize(
    "script",
    [
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready",
        "S: * OK ready\nC: CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: TAG OK done",
        "S: * OK ready\nC: CAPABILITY\nS: TAG OK done",
        "S: * OK ready\nC: CAPABILITY\nS: TAG BAD what",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: STARTTLS\nS: TAG NO no",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: STARTTLS\nS: TAG BAD no",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: STARTTLS\nS: * BYE bye",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: STARTTLS\nS!",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: STARTTLS\nS: * OK [ALERT] sign in without it",
        "S: * PREAUTH [CAPABILITY IMAP4rev1] welcome back",
        "S: * BYE bye",
        "S!",
    ],
)
def test_without_tls_nobody_is_told_anything(script: str) -> None:
    """S-033, S-034: no user name, no password, no LOGIN, whatever the server answers."""
    with pytest.raises(MailError) as caught:
        play(transcript(script), security=Security.STARTTLS, timeout=0.5)
    seen: bytes = caught.value.seen  # type: ignore[attr-defined]
    for word in (b"LOGIN", b"AUTHENTICATE", b"anna", b"pass"):
        assert word not in seen


@pytest.mark.parametrize(
    "lies",
    [
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN LITERAL+ UTF8=ACCEPT\r\n",
        b"* 99 EXISTS\r\n* 1 EXPUNGE\r\n",
        b"* ENABLED UTF8=ACCEPT QRESYNC\r\n",
        b'* LIST (\\Sent) "/" evil\r\n* STATUS INBOX (MESSAGES 7)\r\n',
        b"* 1 FETCH (UID 1 BODY[] {4}\r\nevil)\r\n",
    ],
)
def test_what_was_said_before_tls_is_forgotten(lies: bytes, tmp_path: Path) -> None:
    """S-037."""
    context = Authority(tmp_path).issue("localhost").server_context()

    async def script(wire: Wire) -> None:
        await wire.say(STARTTLS)
        await wire.hear(b"STARTTLS")
        await wire.say(lies + b"TAG OK begin\r\n")
        await wire.writer.start_tls(context)
        assert await wire.hear() == b"CAPABILITY"
        await wire.say(b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN\r\nTAG OK\r\n")
        assert await wire.hear() == b"AUTHENTICATE PLAIN"
        await wire.say(b"+\r\n")
        await wire.untagged()
        await wire.say(b"TAG OK [CAPABILITY IMAP4rev1] in\r\n")

    async def work(session: Session) -> None:
        assert session.capabilities == {"IMAP4REV1"}
        assert (session.connection.exists, session.connection.enabled) == (0, frozenset())
        assert not session.connection.news
        assert session.connection.link.protocol.immediate_literal == 0

    play(script, work, security=Security.STARTTLS, timeout=3)


def test_tls_is_tried_before_anything_is_asked(tmp_path: Path) -> None:
    """S-033: with SSL/TLS not one byte goes out in clear."""

    async def plain(wire: Wire) -> None:
        await wire.say(GREETING)

    with pytest.raises(MailError) as caught:
        play(plain, security=Security.SSL, timeout=2)
    seen: bytes = caught.value.seen  # type: ignore[attr-defined]
    assert b"CAPABILITY" not in seen
    assert b"LOGIN" not in seen


# S-048 to S-050: one argument stays one argument


def sent(command: Command, *, capabilities: frozenset[str] = frozenset({"LITERAL+"})) -> bytes:
    """What goes over the wire when the server wants to see literals at once."""
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    assert isinstance(protocol.next_event(), Line)
    protocol.learn(capabilities)
    protocol.start(command)
    return b"".join(protocol.outgoing())


def arguments(said: bytes) -> list[bytes]:
    """A server's reading of one command; fails when it is more or less than one."""
    parts: list[bytes] = []
    while True:
        line, end, said = said.partition(b"\r\n")
        assert end
        head, brace, count = line.rpartition(b"{")
        if not (brace and line.endswith(b"+}") and count[:-2].isdigit()):
            parts.append(line)
            break
        parts += [head, said[: int(count[:-2])]]
        said = said[int(count[:-2]) :]
    assert said == b"", "a second command"
    tokens = Tokens(parts)
    found: list[bytes] = []
    while not tokens.at_end():
        value = tokens.value()
        assert isinstance(value, bytes)
        found.append(value)
        tokens.spaces()
    return found[1:]


HOSTILE = [
    '"', "\\", '\\"', 'a"b', "a\\", "{3+}", "{3}", "a {12}", "*", "1:*", "NIL", "(", ")", "a b", " ", "%", "]",
    "&", "&-", "&AA0ACg-", "&bad", "x" * 10_000, "ä", "日本", "\u2028", "UID", "ALL", "<a@b> OR ALL", '" OR ALL "',
]  # fmt: skip


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
    | st.text(string.printable, min_size=1)
)
def test_any_folder_name_is_one_argument_or_refused(name: str) -> None:
    """S-048."""
    for utf8 in (False, True):
        try:
            word = commands.astring(wire_name(name, utf8=utf8), what="It")
        except MailError as error:
            assert error.code == "control_bytes"
            continue
        [verb, argument] = arguments(sent(commands.command("SELECT", word)))
        assert verb == b"SELECT"
        assert argument == wire_name(name, utf8=utf8)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_from_list_is_one_argument(name: str) -> None:
    """S-048: as the server spelled it, byte for byte."""
    for wire in (name.encode(), name.encode("utf-16-le")):
        info = folder_info(Folder(frozenset(), "/", wire))
        if info is None:
            continue
        try:
            word = commands.astring(info.wire_name, what="It")
        except MailError:
            continue
        assert arguments(sent(commands.command("SELECT", word))) == [b"SELECT", wire]


@pytest.mark.parametrize(
    "wire", [b"a\r\nX LOGOUT", b"a\nb", b"a\0b", b"&AA0ACg-", b"\x1b[31m", b"x" * 10_000, b""]
)
def test_names_that_cannot_be_handled_are_skipped_with_a_note(wire: bytes) -> None:
    """S-048: left out, counted, and never sent back."""

    async def script(server: Wire) -> None:
        await server.sign_in(b"IMAP4rev1")
        await server.hear(b"LIST")
        name = b"{%d}\r\n%s" % (len(wire), wire)
        await server.say(b'* LIST () "/" ' + name + b'\r\n* LIST () "/" Good\r\nTAG OK\r\n')

    async def work(session: Session) -> None:
        assert [one.name for one in await session.list_folders()] == ["Good"]
        assert session.skipped_folders == 1

    assert play(script, work).count(b"\r\n") == 2


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("1:*")
@example("*")
@example("5")
@example('" OR ALL')
@example("UID")
@example("\u0085")
def test_a_hostile_message_id_is_one_argument_or_refused(text: str) -> None:
    """S-049: HEADER has two arguments behind it, whatever a stranger wrote into a letter."""
    criteria = ["HEADER", "Message-ID", text, "UID", "1:*"]
    for utf8 in (False, True):
        try:
            command = commands.search(criteria, compact=True, utf8=utf8)
        except MailError as error:
            assert error.code == "control_bytes"
            assert any(ord(mark) < 32 or ord(mark) == 127 for mark in text)
            continue
        protocol_bytes = sent(command)
        assert b"\n" not in protocol_bytes.replace(b"\r\n", b"")
        head, _, rest = protocol_bytes.partition(b"RETURN (ALL) ")
        said = arguments(head.replace(b"UID SEARCH", b"SEARCH") + rest)
        # A literal brings CHARSET along where UTF-8 is not the rule.
        charset = said[1:3] == [b"CHARSET", b"UTF-8"]
        assert said[3 if charset else 1 :] == [b"HEADER", b"Message-ID", text.encode(), b"UID", b"1:*"]
        assert charset is not utf8 or text.isascii()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_search_words(text: str) -> None:
    """S-049."""
    said = arguments(sent(commands.search(["SUBJECT", text])).replace(b"UID SEARCH", b"SEARCH"))
    assert said[-2:] == [b"SUBJECT", text.encode()]


@pytest.mark.parametrize(
    ("capabilities", "marks"),
    [("IMAP4rev1", "{6}"), ("IMAP4rev1 LITERAL-", "{6+}"), ("IMAP4rev1 LITERAL+", "{6+}")],
)
def test_lengths_are_of_bytes_and_nothing_is_pushed_unasked(capabilities: str, marks: str) -> None:
    """S-050: three letters, six bytes."""
    waits = "" if "+" in marks else "S: + go on\n"
    script: Script = transcript(
        signed_in(capabilities)
        + f"C: UID SEARCH CHARSET UTF-8 TEXT {marks}\n{waits}C> äöü\nS: * SEARCH 5\nS: TAG OK done"
    )

    async def work(session: Session) -> None:
        assert await session.uid_search(["TEXT", "äöü"]) == [5]

    play(script, work)


def test_a_literal_is_never_longer_than_it_says() -> None:
    """S-050: also for a letter of four-byte characters and lone line ends."""
    raw = "🙂\n\r🙂".encode()
    said = sent(commands.append(b"Sent", raw, [], None))
    assert said.endswith(b"{%d+}\r\n%s\r\n" % (len(raw), raw))
    assert Literal(raw).data == raw
