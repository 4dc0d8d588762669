"""What a NO, BAD or BYE means: wait, sign in anew, or give up (R-029, R-037, S-032)."""

import pytest

from postern.wire.imap.refusals import LONGEST_WAIT, farewell, refusal
from postern.wire.imap.responses import Line, read_response


def line(text: bytes) -> Line:
    event = read_response([b"A1 " + text])
    assert isinstance(event, Line)
    return event


@pytest.mark.parametrize(
    ("command", "text", "code", "temporary"),
    [
        ("UID FETCH", b"NO [UNAVAILABLE] later", "server_busy", True),
        ("SELECT", b"NO [INUSE] locked", "server_busy", True),
        ("UID FETCH", b"NO [LIMIT] slow down", "server_busy", True),
        ("UID FETCH", b"NO [LIMIT] enough for today", "over_limit", True),
        ("SELECT", b"NO [LIMIT] enough for today", "over_limit", True),
        ("EXAMINE", b"NO [LIMIT] enough for today", "over_limit", True),
        ("EXAMINE", b"NO [OVERQUOTA] Account exceeded bandwidth limits", "over_limit", True),
        ("SELECT", b"NO Bandwidth limit exceeded", "over_limit", True),
        ("EXAMINE", b"NO [LIMIT] Maximum number of connections", "server_busy", True),
        ("UID STORE", b"NO [LIMIT] keywords", "server_busy", True),
        ("LOGIN", b"NO [LIMIT] too many", "server_busy", True),
        ("UID FETCH", b"NO [THROTTLED] slow down", "server_busy", True),
        ("UID FETCH", b"NO [SERVERBUG] oops", "server_busy", True),
        ("UID FETCH", b"NO Request is throttled. Suggested Backoff Time: 92415 milliseconds", "server_busy", True),
        ("UID FETCH", b"BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds", "server_busy", True),
        ("APPEND", b"NO [OVERQUOTA] full", "mailbox_full", False),
        ("UID COPY", b"NO Quota exceeded (mailbox for user is full)", "mailbox_full", False),
        ("UID FETCH", b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", "over_limit", True),
        ("UID FETCH", b"NO [OVERQUOTA] hm", "over_limit", True),
        ("AUTHENTICATE", b"NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", "over_limit", True),
        ("UID FETCH", b"NO [LIMIT] daily download limit reached", "over_limit", True),
        ("LOGIN", b"NO [REFERRAL imap://evil.example/] moved", "server_refused", False),
        ("AUTHENTICATE", b"NO [REFERRAL imap://evil.example/] moved", "server_refused", False),
        ("LOGIN", b"NO [AUTHENTICATIONFAILED] wrong", "password_rejected", False),
        ("LOGIN", b"NO [EXPIRED] old", "password_rejected", False),
        ("LOGIN", b"NO [AUTHORIZATIONFAILED] not yours", "server_refused", False),
        ("LOGIN", b"NO nope", "password_rejected", False),
        ("LOGIN", b"NO Internal server error", "server_busy", True),
        ("LOGIN", b"BAD syntax", "server_refused", False),
        ("UID FETCH", b"BAD Too long argument", "server_refused", False),
        ("SELECT", b"NO [NOPERM] not yours", "server_refused", False),
        ("UID FETCH", b"NO [EXPUNGEISSUED] gone", "server_refused", False),
        ("UID FETCH", b"NO [UNHEARD-OF x] what", "server_refused", False),
    ],
)  # fmt: skip
def test_refusals(command: str, text: bytes, code: str, temporary: bool) -> None:
    error = refusal(command, line(text))
    assert (error.code, error.temporary) == (code, temporary)
    assert error.server_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"NO Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92.415),
        (b"NO [THROTTLED] Backoff time 30 seconds", 30.0),
        (b"NO [UNAVAILABLE] Suggested Backoff Time: 999999999 seconds", LONGEST_WAIT),
        (b"NO [UNAVAILABLE] Suggested Backoff Time: 9999999999999999 seconds", None),
        (b"NO [UNAVAILABLE] later", None),
        (b"NO [CANNOT] Suggested Backoff Time: 5 seconds", None),
    ],
)
def test_the_wait_a_server_asks_for_is_told_up_to_an_hour(text: bytes, seconds: float | None) -> None:
    assert refusal("UID FETCH", line(text)).retry_after == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"* BYE [UNAVAILABLE] restart", "server_busy"),
        (b"* BYE Too many connections", "server_busy"),
        (b"* BYE Account exceeded command or bandwidth limits", "over_limit"),
        (b"* BYE Autologout; idle for too long", "connection_lost"),
        (b"* BYE", "connection_lost"),
    ],
)
def test_farewells_may_be_followed_by_a_new_try(text: bytes, code: str) -> None:
    event = read_response([text])
    assert isinstance(event, Line)
    error = farewell(event)
    assert (error.code, error.temporary) == (code, True)


def test_a_servers_words_are_quoted_as_readable_text_only() -> None:
    """S-041: no control characters, no endless text, and nowhere but in ``server_text``."""
    error = refusal("LOGIN", line(b"NO [ALERT] \x1b[31mclick http://evil.example\x00" + b"x" * 5000))
    assert "evil" not in str(error)
    assert len(error.server_text) < 600
    assert error.server_text.isprintable()
