"""Every real letter of ../shared/letters reads: no exception, storable strings, honest sizes, in time."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postern.mime.bounces import read_bounce
from postern.mime.look import as_json
from postern.mime.read import Letter, part_bytes, read

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "letters"
LETTERS = sorted(FOLDER.rglob("*.eml"))
absent = pytest.mark.skipif(
    not LETTERS, reason=f"the real letters are not here: {FOLDER.name} beside the repository"
)


def strings(letter: Letter) -> Iterator[str]:
    yield from (
        letter.subject,
        letter.date_text,
        letter.message_id,
        letter.text,
        letter.html,
        letter.automatic,
    )
    yield from (*letter.in_reply_to, *letter.references, *letter.defects)
    people = (*letter.from_, *letter.reply_to, *letter.to, *letter.cc, *letter.bcc)
    for person in (*people, *([letter.sender] if letter.sender else [])):
        yield from (person.name, person.address)
    yield from (event.text() for event in letter.events)
    for part in letter.parts:
        yield from (part.filename, part.content_type, part.content_id)


@absent
@pytest.mark.parametrize("path", LETTERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_letter(path: Path) -> None:
    raw = path.read_bytes()
    begin = time.process_time()
    letter = read(raw)
    assert time.process_time() - begin < 2
    assert not [defect for defect in letter.defects if defect.startswith("unreadable")]
    for text in strings(letter):
        assert "\0" not in text
        text.encode("utf-8")
    for text in (letter.subject, *(person.name for person in letter.from_)):
        assert not set(text) & set("\r\n")
    for part in letter.parts:
        assert len(part_bytes(raw, part)) == part.size
        assert not set(part.filename) & set("/\\\r\n")
    read_bounce(letter)
    json.dumps(as_json(raw), ensure_ascii=False).encode("utf-8")


@absent
def test_the_collection_is_whole() -> None:
    assert len(LETTERS) > 400
