"""What the fuzzers give to the reader of letters, and what must hold whatever a letter says (S-119)."""

import struct
from datetime import UTC, datetime

from postern.mail.packing import unpack
from postern.mail.preparing import Arrival, Prepared, prepare
from postern.mime.bounces import read_bounce
from postern.mime.read import Letter, part_bytes, read
from postern.mime.sanitize import sanitize
from tests.mime.test_any_bytes import LINES
from tests.mime.test_mutations import NOISE, OURS
from tests.mime.test_real_letters import strings

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SEEDS = OURS
WORDS = [
    *NOISE,
    *LINES.elements,  # type: ignore[attr-defined]
    b"Content-Type: text/html; charset=utf-8",
    b"Content-Type: application/ms-tnef; name=winmail.dat",
    b"Content-Type: text/calendar",
    b"BEGIN:VEVENT",
    b"format=flowed; delsp=yes",
    b"<p style='color:red'>",
    b"<a href='https://x'>",
    b"&nbsp;",
    b"<table><tr><td>",
    b"<svg><style>",
    b"=ybegin line=128 size=3 name=b",
    b"{\\rtf1\\fromhtml1",
    b"\\u8364 ?",
]


def one_letter(data: bytes) -> None:
    """Read as intake reads it, and as the one who looks at a part of it."""
    letter = read(data)
    assert not [defect for defect in letter.defects if defect.startswith("unreadable")], letter.defects
    for text in strings(letter):
        assert "\0" not in text
        text.encode("utf-8")
    assert [part.index for part in letter.parts] == list(range(len(letter.parts)))
    for part in letter.parts:
        assert len(part_bytes(data, part)) == part.size
    read_bounce(letter)
    one_prepared(letter, prepare(Arrival(1, frozenset(), NOON, data), outgoing=bool(len(data) % 2)))


def one_prepared(letter: Letter, one: Prepared) -> None:
    """What becomes rows: nothing that a column would refuse, html that cleaning leaves as it is, sorted words."""
    assert one.broken == ""
    assert unpack(one.raw) == letter.raw if letter.raw else one.size == 0
    html, text = unpack(one.html).decode(), unpack(one.text).decode()
    assert sanitize(html).html == html
    said = [
        one.subject,
        one.from_name,
        one.from_address,
        one.preview,
        one.message_id,
        one.automatic,
        text,
        html,
    ]
    said += [part for people in (one.to, one.cc, one.bcc, one.reply_to) for pair in people for part in pair]
    assert not [value for value in said if "\0" in value]
    assert not [value for value in said[:6] if "\n" in value or "\r" in value]
    assert len(one.preview) <= 200
    words = lexemes(one.vector)
    assert words == sorted(set(words))


def lexemes(vector: bytes) -> list[bytes]:
    """The words of a packed search vector, read as PostgreSQL reads them."""
    (count,) = struct.unpack_from(">i", vector)
    found, at = [], 4
    for _ in range(count):
        end = vector.index(b"\0", at)
        found.append(vector[at:end])
        (positions,) = struct.unpack_from(">H", vector, end + 1)
        at = end + 3 + 2 * positions
    assert at == len(vector)
    return found
