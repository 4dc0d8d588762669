"""Writing: what is written is read back the same, also by the standard library; nothing smuggles a header (A5)."""

import email
import email.policy
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mime.addresses import Mailaddr
from postern.mime.read import part_bytes, read
from postern.mime.write import OutgoingFile, write

ANN = Mailaddr("Ann", "ann@example.org")
BOB = Mailaddr("Bob", "bob@example.net")


def written(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "sender": ANN,
        "to": [BOB],
        "cc": [],
        "reply_to": None,
        "subject": "Hello",
        "text": "text",
        "html": None,
        "attachments": [],
        "message_id": "1@example.org",
        "date": datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
    }
    return write(**{**values, **changes})


def test_a_plain_letter_byte_for_byte() -> None:
    assert written() == (
        b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: Hello\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n'
        b"\r\ntext\r\n"
    )


def test_threading_and_automatic_headers() -> None:
    long = "x" * 120 + "@example.org"
    raw = written(in_reply_to="<p@x.org>", references=["r@x.org", long], automatic=True)
    found = read(raw)
    assert found.references == ("r@x.org", long, "p@x.org")
    assert found.in_reply_to == ("p@x.org",)
    assert found.automatic == "auto-generated"
    assert b"=?" not in raw  # the standard library would have encoded the long id


def test_long_references_keep_the_root_and_the_newest() -> None:
    found = read(written(references=[f"{n}@x.org" for n in range(500)]))
    assert (found.references[0], found.references[-1], len(found.references)) == ("0@x.org", "499@x.org", 60)


def test_structure_with_everything() -> None:
    files = [
        OutgoingFile("logo.png", "image/png", b"PNG", "logo@x"),
        OutgoingFile("Störung.pdf", "application/pdf", b"%PDF" * 100),
        OutgoingFile("letter.eml", "message/rfc822", b"Subject: x\n\n.\n"),
    ]
    raw = written(text="t", html='<img src="cid:logo@x">', attachments=files, cc=[ANN], reply_to=BOB)
    found = read(raw)
    assert (found.text, found.html) == ("t", '<img src="cid:logo@x">')
    assert [(part.filename, part.inline) for part in found.parts] == [
        ("logo.png", True),
        ("Störung.pdf", False),
        ("letter.eml", False),
    ]
    assert [part_bytes(raw, part) for part in found.parts] == [file.data for file in files]
    assert (found.cc, found.reply_to) == ((ANN,), (BOB,))
    kinds = [part.get_content_type() for part in email.message_from_bytes(raw).walk()]
    assert kinds[:5] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
    ]
    assert raw.count(b"MIME-Version:") == 1


def test_text_is_derived_from_html() -> None:
    found = read(written(text=None, html='<p>Hello <b>Bob</b></p><p><a href="https://x.org/a">here</a></p>'))
    assert found.text == "Hello Bob\n\nhere <https://x.org/a>"
    assert read(written(text=None, html=None)).text == ""


CONTROL = ["\r\nBcc: e@vil.org", "\nX: 1", "\rX: 1", "\0", "\x1b[2J", "\u2028", "\x85", "\ud800"]


@pytest.mark.parametrize("poison", CONTROL)
def test_s042_control_characters_are_refused_everywhere(poison: str) -> None:
    bad = Mailaddr("x" + poison, "a@b.org")
    worse = Mailaddr("x", "a@b.org" + poison)
    file = OutgoingFile("a" + poison, "text/plain", b"")
    for change in (
        {"subject": "x" + poison},
        *({"sender": person} for person in (bad, worse)),
        *({"to": [person]} for person in (bad, worse)),
        *({"cc": [person]} for person in (bad, worse)),
        *({"reply_to": person} for person in (bad, worse)),
        {"message_id": "a@b.org" + poison + "x"},
        {"in_reply_to": "a@b.org" + poison + "x"},
        {"references": ["a@b.org" + poison + "x"]},
        {"attachments": [file]},
        {"attachments": [OutgoingFile("a", "text/plain" + poison, b"")]},
        {"html": "x", "attachments": [OutgoingFile("a", "image/png", b"", "c" + poison)]},
    ):
        with pytest.raises(ValueError):
            written(**change)


@pytest.mark.parametrize("bad", ["", "a", "a b@c", "<a<@b", "a@b>c", "é@x.org", "a@b\u00e9"])
def test_bad_message_ids_are_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        written(message_id=bad)


def test_other_refusals() -> None:
    with pytest.raises(ValueError):
        written(date=datetime(2026, 1, 1))
    with pytest.raises(ValueError):
        written(to=[Mailaddr("", "not an address")])
    with pytest.raises(ValueError):
        written(to=[Mailaddr("", '"a@evil.com x"@good.tld')])


def test_s043_encoded_newline_from_a_letter_we_answer() -> None:
    hostile = read(b"Subject: =?UTF-8?Q?hi=0ABcc:e@vil.org?=\nFrom: =?utf-8?q?a=0D=0ATo:_b?= <c@d.org>\n\nx")
    raw = written(subject="Re: " + hostile.subject, to=list(hostile.from_))
    head = raw.split(b"\r\n\r\n")[0]
    names = re.findall(rb"(?m)^([\w-]+):", head)
    assert b"Bcc" not in names and names.count(b"To") == 1
    for generator in (
        email.message_from_bytes(raw).as_bytes(),
        email.message_from_bytes(raw).as_string().encode(),
    ):
        assert re.search(rb"(?mi)^bcc:", generator) is None


def test_s043_quoted_word_stays_text() -> None:
    assert read(written(subject="=?utf-8?q?not_a_word?=")).subject == "=?utf-8?q?not_a_word?="


BODIES = [
    "a\n.\nb",
    "a\r.\rb",
    "a\r\n.\r\nb",
    "a\n.\r\nb",
    "a\r.\nb",
    ".",
    "From me",
    "a\rb",
    "tail \nx",
    "\0nul",
]


@pytest.mark.parametrize("body", BODIES)
def test_s045_every_line_end_is_crlf(body: str) -> None:
    raw = written(text=body, html=body)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw)
    expected = body.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    assert read(raw).text == expected.rstrip()


def test_s047_bcc_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        written(bcc=[BOB])
    assert b"undisclosed-recipients:;" in written(to=[])


def test_every_line_is_short_enough() -> None:
    names = [Mailaddr("Ä" * 90, f"p{n}@example.org") for n in range(200)]
    raw = written(to=names, subject="ü" * 3000, text="x" * 5000, html="<p>" + "y" * 5000)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert len(read(raw).to) == 200


NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Zs"), include_characters=' ",;<@>\\'),
    max_size=40,
)
LINES = st.text(st.characters(exclude_categories=("Cc", "Cs"), include_characters="\n"), max_size=300)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_+", min_size=1, max_size=12)
ADDRESSES = st.builds(
    lambda local, host: f"{local}@{host.strip('-_+').replace('_', 'x').replace('+', 'y') or 'h'}.org",
    WORD,
    WORD,
)
FILES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Zs"), exclude_characters="/\\. "),
    min_size=1,
    max_size=90,
)


def one_space(text: str) -> str:
    return " ".join(text.split())


@settings(max_examples=200, deadline=None)
@given(
    people=st.lists(
        st.builds(Mailaddr, NAMES.filter(lambda n: "=?" not in n), ADDRESSES), min_size=1, max_size=6
    ),
    subject=NAMES,
    text=LINES,
    html=st.none() | LINES.map("x".__add__),
    files=st.lists(st.tuples(FILES, st.binary(max_size=300)), max_size=3),
)
def test_round_trip(
    people: list[Mailaddr], subject: str, text: str, html: str | None, files: list[tuple[str, bytes]]
) -> None:
    attachments = [OutgoingFile(name + ".bin", "application/x-thing", data) for name, data in files]
    raw = written(to=people, subject=subject, text=text, html=html, attachments=attachments)
    found = read(raw)
    assert found.subject == subject.strip()
    assert [person.address for person in found.to] == [person.address for person in people]
    assert [person.name for person in found.to] == [person.name.strip() for person in people]
    assert found.text == text.rstrip()
    assert found.html == (html or "").rstrip("\n")
    assert [part_bytes(raw, part) for part in found.parts] == [data for _, data in files]
    assert [part.size for part in found.parts] == [len(data) for _, data in files]
    theirs = email.message_from_bytes(raw, policy=email.policy.default)
    bodies = [p for p in theirs.walk() if not p.is_multipart()]
    assert [p.get_payload(decode=True) for p in bodies[-len(files) :] if files] == [data for _, data in files]
