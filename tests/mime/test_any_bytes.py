"""S-119: no bytes make the reader raise, and what it gives can be stored; differential tests against the stdlib."""

import email
import email.policy

from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mime.addresses import normalise, parse_addresses
from postern.mime.charset import decode
from postern.mime.dates import read_date
from postern.mime.headers import Headers
from postern.mime.read import part_bytes, read
from tests.mime.test_real_letters import strings

LINES = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/alternative; boundary=\"b b\"",
        b"Content-Type: text/plain; charset=utf-7", b"Content-Type: text/html; charset=x", b"--b", b"--b--", b"--b b",
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable", b"", b"", b" folded",
        b"Subject: =?utf-8?b?4pyT?= =?utf-16?b?AAA?=", b'From: "', b"To: a@b, <c", b"Date: 1 Jan 99999 +9999",
        b"Content-Disposition: attachment; filename*9999*=x", b"begin 644 x", b"#86)C", b"end", b"=ybegin name=x",
        b"Content-Type: message/rfc822", b"\xff\xfe\x00", b"=", b"====", b"\x1b$B", b"text", b"Content-ID: <a>",
    ]
)  # fmt: skip


def holds(raw: bytes) -> None:
    letter = read(raw)
    assert not [defect for defect in letter.defects if defect.startswith("unreadable")]
    for text in strings(letter):
        assert "\0" not in text
        text.encode("utf-8")
    for part in letter.parts:
        assert len(part_bytes(raw, part)) == part.size


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_lines(lines: list[bytes], end: bytes) -> None:
    holds(end.join(lines))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(raw: bytes) -> None:
    holds(raw)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=100), st.text(max_size=50) | st.sampled_from(["utf-7", "hz", "utf-16", "zip", "idna"])
)
def test_any_charset(data: bytes, name: str) -> None:
    decode(data, name, html=True).encode("utf-8")


@settings(max_examples=300, deadline=None)
@given(st.text('ab@<>"(),;:\\. =?utf-8q\r\n\0', max_size=80))
def test_any_addresses_and_dates(text: str) -> None:
    for person in parse_addresses(text):
        assert not set(person.name + person.address) & set("\r\n\0")
        assert normalise(normalise(person.address)) == normalise(person.address)
    read_date(text)


SIMPLE = st.text("abc =?_.,:;-üß€漢", max_size=60)


@settings(max_examples=200, deadline=None)
@given(SIMPLE, SIMPLE)
def test_agrees_with_the_standard_library(subject: str, body: str) -> None:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = subject = " ".join(subject.replace("=?", "=").split())
    message["To"] = "Ann <a@x.org>, b@x.org"
    message.set_content(body)
    message.add_attachment(body.encode(), "application", "x-thing", filename="ü.bin")
    raw = message.as_bytes()
    letter = read(raw)
    theirs = email.message_from_bytes(raw, policy=email.policy.default)
    assert letter.subject == str(theirs["subject"]).strip() == subject
    assert [a.address for a in letter.to] == [a.addr_spec for a in theirs["to"].addresses]
    plain = theirs.get_body(("plain",))
    assert plain is not None and letter.text == plain.get_content().rstrip()
    attachment = next(theirs.iter_attachments())
    assert letter.parts[0].filename == attachment.get_filename()
    assert part_bytes(raw, letter.parts[0]) == attachment.get_payload(decode=True) == body.encode()


def test_a_thirty_megabyte_letter() -> None:
    raw = (
        b"Content-Type: application/x-thing; name=a\nContent-Transfer-Encoding: base64\n\n"
        + b"QUJD" * 7_500_000
    )
    assert read(raw).parts[0].size == 22_500_000


def test_headers_are_read_by_any_case() -> None:
    letter = read(b"X-Thing: one\nx-thing: two\n\n")
    assert isinstance(letter.headers, Headers)
    assert (letter.header("X-THING"), letter.headers.count("x-thing"), letter.header("missing")) == (
        "one",
        2,
        "",
    )
