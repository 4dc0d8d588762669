"""Conversations of literal bytes, cut at every place, through the protocol without a socket."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postern.wire.errors import MailError
from postern.wire.imap.commands import Command, Literal, command
from postern.wire.imap.grammar import ProtocolError
from postern.wire.imap.protocol import LARGE_LITERAL, Protocol
from postern.wire.imap.responses import Capability, Continuation, Count, Event, Fetch, Folder, Line

WHEN = b'"01-Jan-2024 00:00:00 +0000"'


def greeted() -> Protocol:
    protocol = Protocol()
    protocol.receive(b"* OK hello\r\n")
    assert isinstance(protocol.next_event(), Line)
    return protocol


def tag_of(protocol: Protocol) -> bytes:
    return b"".join(protocol.outgoing()).split(b" ")[0]


def events(protocol: Protocol, *pieces: bytes) -> list[Event]:
    found = []
    for piece in pieces:
        protocol.receive(piece)
        while (event := protocol.next_event()) is not None:
            found.append(event)
    return found


def shape(found: list[Event]) -> list[object]:
    """Events without their random tags."""
    for event in found:
        if isinstance(event, Line) and event.tag:
            event.tag = "TAG"
    return list(found)


CONVERSATIONS = {
    "capability": b"* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK done\r\n",
    "list": b'* LIST (\\Sent) "/" {4}\r\nS\r\nt\r\n* LIST () NIL "a\\"b"\r\nTAG OK done\r\n',
    "hot fetch": b"* 1 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE " + WHEN + b" BODY[] {7}\r\na)\r\nb\r\n)\r\n"
    b"* 2 FETCH (UID 6 FLAGS () INTERNALDATE " + WHEN + b" RFC822.SIZE 9)\r\n"
    b"* 3 FETCH (UID 7 FLAGS () INTERNALDATE " + WHEN + b" BODY[] {0}\r\n)\r\nTAG OK done\r\n",
    "warm fetch": b"* 1 FETCH (UID 5 FLAGS () INTERNALDATE " + WHEN + b" BODY[] {3}\r\nabc MODSEQ (5))\r\n"
    b"* 2 EXISTS\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (BODY[] ~{2}\r\n\r\n UID 9)\r\nTAG OK {5}\r\n",
    "odd": b"* OK [ALERT] free text ends in {12}\r\n* 4 EXPUNGE\r\n\x00\x00* 9 EXISTS\r\n* WHAT {2}\r\n()x\r\nTAG BAD no\r\n",
}


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_cut_at_every_byte(conversation: bytes) -> None:
    def read(*cuts: int) -> list[object]:
        protocol = greeted()
        protocol.start(command("X"))
        said = conversation.replace(b"TAG", tag_of(protocol))
        edges = [0, *cuts, len(said)]
        found = events(protocol, *(said[a:b] for a, b in pairwise(edges)))
        assert protocol.buffered == 0
        return shape(found)

    whole = read()
    assert isinstance(whole[-1], Line)
    length = len(conversation) + 14
    for cut in range(length):
        assert read(cut) == whole
    assert read(*range(1, length)) == whole


def test_what_the_conversations_say() -> None:
    protocol = greeted()
    protocol.start(command("X"))
    found = events(protocol, CONVERSATIONS["warm fetch"].replace(b"TAG", tag_of(protocol)))
    bodies = {event.uid: event.body for event in found if isinstance(event, Fetch) and event.body is not None}
    assert bodies == {5: b"abc", 9: b"\r\n"}
    assert Count("EXISTS", 2) in found
    protocol.start(command("X"))
    found = events(protocol, CONVERSATIONS["list"].replace(b"TAG", tag_of(protocol)))
    assert [event.wire_name for event in found if isinstance(event, Folder)] == [b"S\r\nt", b'a"b']


def test_hot_and_warm_reading_agree() -> None:
    hot = b"* 1 FETCH (UID 5 FLAGS (\\Seen $a) INTERNALDATE " + WHEN + b" BODY[] {3}\r\nabc)\r\n"
    warm = hot.replace(b"* 1", b"*  1")
    assert events(greeted(), hot) == events(greeted(), warm)


def test_literals_wait_for_the_server() -> None:
    protocol = greeted()
    protocol.start(command("X", Literal(b"one"), b"mid", Literal(b"two")))
    first = b"".join(protocol.outgoing())
    assert first.endswith(b" X {3}\r\n")
    assert events(protocol, b"+ \r\n") == []
    assert protocol.outgoing() == [b"one", b" ", b"mid", b" ", b"{3}\r\n"]
    assert events(protocol, b"* 1 EXISTS\r\n+\r\n") == [Count("EXISTS", 1)]
    assert protocol.outgoing() == [b"two", b"\r\n"]
    assert isinstance(events(protocol, first.split(b" ")[0] + b" OK\r\n")[0], Line)


@pytest.mark.parametrize(
    ("capability", "size", "at_once"),
    [
        ("LITERAL+", LARGE_LITERAL, True),
        ("LITERAL+", LARGE_LITERAL + 1, False),
        ("LITERAL-", 4096, True),
        ("LITERAL-", 4097, False),
        ("IMAP4REV1", 1, False),
    ],
)
def test_literals_that_need_not_wait(capability: str, size: int, at_once: bool) -> None:
    protocol = greeted()
    protocol.learn(frozenset({capability}))
    protocol.start(command("X", Literal(b"x" * size)))
    sent = b"".join(protocol.outgoing())
    assert sent.endswith(b"{%d+}\r\n" % size + b"x" * size + b"\r\n") is at_once
    assert sent.endswith(b"{%d}\r\n" % size) is not at_once


def test_idle_ends_only_after_done() -> None:
    protocol = greeted()
    protocol.start(Command("IDLE", [b"IDLE"], flow="idle"))
    tag = tag_of(protocol)
    assert events(protocol, b"* 5 EXISTS\r\n+ idling\r\n") == [Count("EXISTS", 5), Continuation(b"idling")]
    protocol.done()
    assert protocol.outgoing() == [b"DONE\r\n"]
    assert events(protocol, b"* OK Still here\r\n" + tag + b" OK\r\n")[-1].tag == tag.decode()  # type: ignore[union-attr]


def test_idle_cannot_be_ended_by_the_server_with_ok() -> None:
    protocol = greeted()
    protocol.start(Command("IDLE", [b"IDLE"], flow="idle"))
    with pytest.raises(ProtocolError):
        events(protocol, b"+ idling\r\n" + tag_of(protocol) + b" OK\r\n")


def test_one_command_at_a_time() -> None:
    protocol = greeted()
    protocol.start(command("X"))
    with pytest.raises(RuntimeError):
        protocol.start(command("Y"))


def test_an_answer_comes_only_once() -> None:
    protocol = greeted()
    protocol.start(command("X"))
    tag = tag_of(protocol)
    assert len(events(protocol, tag + b" OK\r\n")) == 1
    with pytest.raises(ProtocolError):
        events(protocol, tag + b" OK\r\n")


def test_a_long_search_answer_is_read_and_another_long_line_is_not() -> None:
    numbers = b" ".join(b"%d" % uid for uid in range(1, 300_000))
    assert len(events(greeted(), b"* SEARCH " + numbers + b"\r\n")) == 1
    with pytest.raises(ProtocolError):
        events(greeted(), b"* CAPABILITY " + numbers + b"\r\n")


def test_announced_bytes_count_down() -> None:
    protocol = greeted()
    assert events(protocol, b"* 1 FETCH (UID 1 BODY[] {1000}\r\n" + b"x" * 400) == []
    assert protocol.announced == 600
    assert events(protocol, b"x" * 600 + b")\r\n") != []
    assert protocol.announced == 0


@pytest.mark.parametrize("prefix", [b"", b"* 1 FETCH (FLAGS (", b"* SEARCH ", b"+", b"* LIST ("])
def test_a_line_without_end_costs_linear_time(prefix: bytes) -> None:
    protocol = greeted()
    protocol.receive(prefix)
    begun = time.process_time()
    for _ in range(1 << 14):
        protocol.receive(b"1 " * 32)
        if protocol.buffered <= 1 << 20:
            assert protocol.next_event() is None
    with pytest.raises(ProtocolError):
        events(protocol, b"1 " * (6 << 20))
    assert time.process_time() - begun < 2


WORDS = (
    b'* |OK |NO|BYE|FETCH (|UID |1 |{3}\r\n|abc|)|(|"|\\|\r\n|LIST |SEARCH |ESEARCH |STATUS |VANISHED |BODY[|]|<0>|+ |TAG '
    b"|NIL |FLAGS (|INTERNALDATE |RFC822.SIZE |EXISTS|CAPABILITY |1:9,|[CAPABILITY |\x00|" + WHEN
).split(b"|")
LINES = st.sampled_from(WORDS)


@given(st.lists(LINES | st.binary(max_size=6), max_size=40), st.integers(1, 50))
@settings(max_examples=400, deadline=None)
@example([b"* 1 FETCH (UID ", b"9" * 30, b")\r\n"], 7)
@example([b"* VANISHED 1:4294967295\r\n"], 3)
@example([b"* 1 FETCH (BODY[", b"\r\n"], 3)
def test_any_bytes_are_events_or_a_mail_error(pieces: list[bytes], step: int) -> None:
    protocol = greeted()
    protocol.start(command("X", Literal(b"arg")))
    said = b"".join(pieces).replace(b"TAG", tag_of(protocol))
    try:
        for at in range(0, len(said), step):
            events(protocol, said[at : at + step])
    except MailError as error:
        assert error.code in ("protocol_error", "server_busy")


@given(st.binary(max_size=200))
def test_any_greeting_is_a_line_or_a_mail_error(said: bytes) -> None:
    protocol = Protocol()
    protocol.receive(said + b"\r\n")
    try:
        event = protocol.next_event()
    except MailError as error:
        assert error.code in ("not_a_mail_server", "protocol_error")
        return
    assert event is None or isinstance(event, Line)


def test_the_tag_is_no_word_of_ours() -> None:
    protocol = greeted()
    protocol.start(command("X"))
    assert re.fullmatch(rb"[0-9A-F]{12}1", tag_of(protocol))
    assert events(protocol, b"* CAPABILITY A\r\n") == [Capability(frozenset({"A"}))]
