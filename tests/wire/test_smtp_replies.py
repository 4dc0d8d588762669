"""Addresses, dots and replies: the pure parts of sending (S-010, S-044, S-045, S-046)."""

import pytest

from postern.wire.errors import MailError
from postern.wire.smtp.envelope import Envelope, wire_address
from postern.wire.smtp.line import stuffed
from postern.wire.smtp.replies import Stage, quotable, refused


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("anna@example.org", "anna@example.org"),
        ("Anna.B+tag=x@Example.ORG", "Anna.B+tag=x@Example.ORG"),
        ("o'hara!#$%&*/?^_`{|}~-@example.org", "o'hara!#$%&*/?^_`{|}~-@example.org"),
        ('"anna b"@example.org', '"anna b"@example.org'),
        ('"a@evil.com x"@good.tld', '"a@evil.com x"@good.tld'),
        ("änna@exämple.net", "änna@xn--exmple-cua.net"),
        ("root@[192.0.2.1]", "root@[192.0.2.1]"),
        ("root@[IPv6:2001:db8::1]", "root@[IPv6:2001:db8::1]"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_an_address_on_the_wire(address: str, wire: str) -> None:
    assert wire_address(address) == wire


@pytest.mark.parametrize(
    "address",
    [
        "a@b.org>\r\nRCPT TO:<c@d.org",
        "a@b.org\n",
        "a\0@b.org",
        "a@b.org\x7f",
        '"a\r\nb"@c.org',
        "a\tb@c.org",
    ],
)
def test_s044_control_bytes_are_refused(address: str) -> None:
    with pytest.raises(MailError) as caught:
        wire_address(address)
    assert (caught.value.code, caught.value.temporary) == ("control_bytes", False)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@example.org",
        "anna@",
        "a@b.org> SIZE=1",
        "a@b.org SIZE=1",
        "a @b.org",
        "<a@b.org>",
        "Bob <b@x.org>",
        '"Bob <b@x>" <e@evil.org>',
        "a@b.org, c@d.org",
        "a@b@c.org",
        "@relay.org:a@b.org",
        "(comment)a@b.org",
        "a@b.org(comment)",
        ".a@b.org",
        "a..b@c.org",
        "a@b..org",
        "a@-b.org",
        "a@b_c!.org",
        "a@[x y]",
        'a"b@c.org',
        '"a"b"@c.org',
        "a\u00a0b@c.org",
        "a" * 330 + "@b.org",
    ],
)
def test_s046_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(MailError) as caught:
        wire_address(address)
    assert (caught.value.code, caught.value.temporary) == ("message_refused", False)


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a", b"a\r\n"),
        (b"", b"\r\n"),
        (b"a\nb\rc\r\n", b"a\r\nb\r\nc\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\r\n.\r\r\n", b"a\r\n\r\n..\r\n\r\n"),
        (b"..\r\n...\r\nx.\r\n", b"...\r\n....\r\nx.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n"),
    ],
)
def test_s045_no_line_can_end_the_letter(raw: bytes, wire: bytes) -> None:
    assert stuffed(raw) == wire
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed(raw)


@pytest.mark.parametrize("raw", [b"", b"a", b"a\r\n", b"a\nb\r", b"a\r\nb\n\rc", b"x\r\r\n\n"])
def test_the_size_is_what_goes_out(raw: bytes) -> None:
    assert Envelope.of("", ["a@b.org"], raw).size == len(stuffed(raw))


@pytest.mark.parametrize(
    ("stage", "code", "text", "expected", "temporary"),
    [
        (Stage.AUTH, 535, "5.7.8 Username and Password not accepted", "password_rejected", False),
        (Stage.AUTH, 535, "authentication failed", "password_rejected", False),
        (Stage.AUTH, 534, "5.7.9 Application-specific password required", "password_rejected", False),
        (Stage.AUTH, 535, "5.7.139 Authentication unsuccessful", "password_rejected", False),
        (Stage.AUTH, 538, "5.7.11 Encryption required", "server_refused", False),
        (Stage.AUTH, 504, "5.5.4 Unrecognized authentication type", "server_refused", False),
        (Stage.AUTH, 454, "4.7.0 Temporary authentication failure", "server_busy", True),
        (Stage.AUTH, 421, "4.7.0 Too many login attempts", "server_busy", True),
        (Stage.SENDER, 550, "5.7.60 SendAsDenied", "server_refused", False),
        (Stage.SENDER, 452, "4.3.1 Insufficient storage", "server_busy", True),
        (Stage.SENDER, 530, "5.7.0 Must issue STARTTLS", "server_refused", False),
        (Stage.DATA, 552, "5.2.2 Mailbox full", "mailbox_full", False),
        (Stage.DATA, 552, "5.2.3 too large", "too_large", False),
        (Stage.DATA, 554, "5.7.1 spam", "message_refused", False),
        (Stage.DATA, 550, "5.7.1 policy", "message_refused", False),
        (Stage.DATA, 250, "what?", "protocol_error", True),
        (Stage.DATA, -1, "garbage", "protocol_error", True),
        (Stage.STARTTLS, 454, "4.7.0 not now", "server_busy", True),
        (Stage.STARTTLS, 502, "no", "starttls_missing", False),
    ],
)
def test_what_a_reply_means(stage: Stage, code: int, text: str, expected: str, temporary: bool) -> None:
    error = refused(stage, code, text)
    assert (error.code, error.temporary) == (expected, temporary)
    assert error.message
    assert error.advice
    assert error.server_text in (f"{code} {text}", "")


def test_an_app_password_is_named_where_it_is_wanted() -> None:
    assert "app password" in refused(Stage.AUTH, 534, "5.7.9 Application-specific password required").advice


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one\ntwo", "one two"),
        ("\x1b[31mred\x00", "[31mred"),
        ("broken \udce4", "broken ?"),
        ("<b>bold</b>", "<b>bold</b>"),  # escaped where it is shown, not here
        ("x" * 1000, "x" * 500),
    ],
)
def test_s010_a_servers_text_is_bounded_and_clean(text: str, kept: str) -> None:
    assert quotable(text) == kept
