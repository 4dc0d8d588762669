"""Every stage at which a server may refuse a letter or a recipient (R-043 to R-048, S-025, S-027)."""

from typing import Any

import pytest

from postern.wire.smtp import RecipientsRefused, Refusal, SendResult
from postern.wire.smtp import session as session_module
from tests.wire.scripted_smtp import HANG_UP, SILENCE, Scripted
from tests.wire.sending import ANNA, LETTER, deliver, refusal


def test_a_letter_arrives_as_written() -> None:
    server = Scripted()
    result = deliver(server, login=ANNA)
    assert result == SendResult(("bert@example.net",), (), "250 2.0.0 queued as 42")
    assert server.letters == [LETTER]
    assert server.verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    assert f"MAIL FROM:<anna@example.org> SIZE={len(LETTER)}" in server.lines
    assert server.lines[0] == "EHLO [127.0.0.1]"


@pytest.mark.parametrize(
    ("stage", "reply", "code", "temporary"),
    [
        ("GREETING", b"421 4.3.2 too many connections\r\n", "server_busy", True),
        ("GREETING", b"554 5.7.1 go away\r\n", "server_refused", False),
        ("GREETING", b"* OK IMAP4rev1\r\n", "not_a_mail_server", False),
        ("GREETING", b"+OK POP3\r\n", "not_a_mail_server", False),
        ("GREETING", b"HTTP/1.1 400 Bad Request\r\n\r\n", "not_a_mail_server", False),
        ("GREETING", b"-ERR unknown command\r\n", "not_a_mail_server", False),
        ("GREETING", b"x" * 100_000, "not_a_mail_server", False),
        ("GREETING", HANG_UP, "connection_lost", True),
        ("GREETING", SILENCE, "timeout", True),
        ("EHLO", b"451 4.3.0 later\r\n", "server_busy", True),
        ("EHLO", b"550 5.0.0 no\r\n", "server_refused", False),
        ("EHLO", HANG_UP, "connection_lost", True),
        ("AUTH", b"535 5.7.8 bad credentials\r\n", "password_rejected", False),
        ("AUTH", b"454 4.7.0 try later\r\n", "server_busy", True),
        ("AUTH", HANG_UP, "connection_lost", True),
        ("MAIL", b"451 4.7.1 greylisted\r\n", "server_busy", True),
        ("MAIL", b"553 5.7.1 not owned by you\r\n", "server_refused", False),
        ("MAIL", b"552 5.3.4 too big\r\n", "too_large", False),
        ("MAIL", b"530 5.7.0 sign in first\r\n", "server_refused", False),
        ("MAIL", HANG_UP, "connection_lost", True),
        ("MAIL", SILENCE, "timeout", True),
        ("RCPT", b"450 4.2.0 greylisted\r\n", "recipients_refused", True),
        ("RCPT", b"550 5.1.1 nobody here\r\n", "recipients_refused", False),
        ("RCPT", b"421 4.7.0 closing\r\n", "server_busy", True),
        ("RCPT", HANG_UP, "connection_lost", True),
        ("DATA", b"451 4.3.0 later\r\n", "server_busy", True),
        ("DATA", b"554 5.5.1 no\r\n", "message_refused", False),
        ("DATA", HANG_UP, "connection_lost", True),
        ("DATA", SILENCE, "timeout", True),
        ("DOT", b"451 4.3.0 disk full\r\n", "server_busy", True),
        ("DOT", b"552 5.2.2 over quota\r\n", "mailbox_full", False),
        ("DOT", b"552 5.3.4 too big\r\n", "too_large", False),
        ("DOT", b"554 5.7.1 looks like spam\r\n", "message_refused", False),
        ("DOT", b"421 4.3.2 closing\r\n", "server_busy", True),
    ],
)
def test_r043_r044_refused_at(stage: str, reply: bytes, code: str, temporary: bool) -> None:
    server = Scripted(replies={stage: reply})
    error = refusal(server, login=ANNA, timeout=0.5)
    assert (error.code, error.temporary) == (code, temporary)
    assert error.advice
    if reply[:1] in b"45" and reply[:3].isdigit():
        assert error.server_text == reply.decode().strip()
    else:
        assert error.server_text == ""
    assert server.connections == 1


def test_s025_what_is_no_mail_server_is_not_quoted() -> None:
    error = refusal(Scripted(replies={"GREETING": b"root:x:0:0:internal secret\r\n"}))
    assert "secret" not in repr(error) + str(error) + error.server_text


def test_s027_nothing_is_said_before_the_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_GREETING_SECONDS", 0.2)
    server = Scripted(replies={"GREETING": SILENCE})
    assert refusal(server, login=ANNA, timeout=30).code == "timeout"
    assert server.lines == []


# Recipients.


def test_r046_one_of_three_is_refused() -> None:
    server = Scripted(replies={"RCPT TO:<b@x.org>": b"550 5.1.1 nobody of that name\r\n"})
    result = deliver(server, recipients=["a@x.org", "b@x.org", "c@x.org", "a@x.org"])
    assert result.accepted == ("a@x.org", "c@x.org")
    assert result.refused == (Refusal("b@x.org", 550, "5.1.1 nobody of that name", False),)
    assert server.letters == [LETTER]


def test_r046_all_are_refused_each_with_its_reason() -> None:
    server = Scripted(replies={"RCPT": b"550 5.1.1 no\r\n", "RCPT TO:<b@x.org>": b"450 4.2.0 later\r\n"})
    error = refusal(server, recipients=["a@x.org", "b@x.org"])
    assert isinstance(error, RecipientsRefused)
    assert [(each.address, each.temporary) for each in error.refused] == [
        ("a@x.org", False),
        ("b@x.org", True),
    ]
    assert error.temporary
    assert "DATA" not in server.verbs


def test_a_letter_needs_a_recipient() -> None:
    with pytest.raises(ValueError):
        deliver(Scripted(), recipients=[])


# What a server cannot carry, said before the upload.


@pytest.mark.parametrize(
    ("offers", "how", "code"),
    [
        (("SIZE 20",), {}, "too_large"),
        (("SIZE",), {"raw": LETTER + "ä".encode()}, "message_refused"),
        (("8BITMIME",), {"raw": "Subject: ä\r\n\r\nx\r\n".encode()}, "message_refused"),
        (("8BITMIME",), {"recipients": ["bärt@example.net"]}, "message_refused"),
    ],
)
def test_r048_refused_before_the_upload(offers: tuple[str, ...], how: dict[str, Any], code: str) -> None:
    server = Scripted(offers=offers)
    error = refusal(server, **how)
    assert (error.code, error.temporary) == (code, False)
    assert server.verbs == ["EHLO"]


@pytest.mark.parametrize(
    ("how", "mail_line"),
    [
        ({}, "MAIL FROM:<anna@example.org> SIZE=50"),
        ({"raw": LETTER + "ä".encode()}, "MAIL FROM:<anna@example.org> SIZE=54 BODY=8BITMIME"),
        ({"recipients": ["bärt@example.net"]}, "MAIL FROM:<anna@example.org> SIZE=50 SMTPUTF8"),
        ({"recipients": ["bert@exämple.net"]}, "MAIL FROM:<anna@example.org> SIZE=50"),
        ({"sender": ""}, "MAIL FROM:<> SIZE=50"),
    ],
)
def test_only_what_is_needed_is_asked_for(how: dict[str, Any], mail_line: str) -> None:
    server = Scripted()
    deliver(server, **how)
    assert mail_line in server.lines


def test_an_international_domain_goes_out_in_ascii() -> None:
    server = Scripted()
    assert deliver(server, recipients=["bert@exämple.net"]).accepted == ("bert@exämple.net",)
    assert "RCPT TO:<bert@xn--exmple-cua.net>" in server.lines
