"""The demo's letters, files and answers as data: each reads back as what it was written from."""

import struct
import zlib
from datetime import UTC, datetime
from itertools import islice

import pytest

from postern.demo.accounts import ELENA, MARTA
from postern.demo.answers import answer, name_from
from postern.demo.arrivals import ARRIVALS, Words, arriving
from postern.demo.files import bars, jpeg, pdf, png
from postern.demo.inboxes import BOXES, CABINET
from postern.demo.letters import arrival, as_bytes, ids, person
from postern.mime.read import part_bytes, read

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LETTERS = {letter.key: letter for letter in [*(one for box in BOXES.values() for one in box), *ARRIVALS]}
KNOWN = ids(LETTERS.values())


@pytest.mark.parametrize("key", LETTERS)
def test_a_letter_reads_back_as_it_was_meant(key):
    letter = LETTERS[key]
    read_back = read(as_bytes(letter, now=NOW, known=KNOWN))
    assert read_back.defects == ()
    assert read_back.subject == letter.subject
    assert read_back.from_ == (person(letter.sender),)
    assert read_back.date == arrival(letter, NOW).replace(microsecond=0)
    assert [part.filename for part in read_back.parts] == [file.name for file in letter.files]
    assert [part_bytes(read_back.raw, part) for part in read_back.parts] == [
        file.data for file in letter.files
    ]
    assert list(read_back.references) == [KNOWN[earlier] for earlier in letter.thread]
    assert bool(read_back.automatic) == (letter.automatic or letter.bulk)


def test_a_thread_never_runs_backwards_in_time():
    for letter in LETTERS.values():
        assert all(LETTERS[earlier].hours > letter.hours for earlier in letter.thread), letter.key


def test_two_days_of_mail_and_one_letter_in_both_boxes():
    assert all(0 < letter.hours < 48 for box in BOXES.values() for letter in box)
    marta, elena = ({letter.key for letter in BOXES[who]} for who in (MARTA, ELENA))
    assert marta & elena == {CABINET.key}
    assert sum(not letter.seen for letter in BOXES[MARTA]) >= 5


def test_a_thread_that_names_an_unknown_letter_is_refused():
    with pytest.raises(KeyError):
        as_bytes(LETTERS["nadia-ip-2"], now=NOW, known={})


def test_the_second_round_of_arrivals_is_new_mail():
    raws = [
        read(as_bytes(letter, now=NOW, known=KNOWN, copy=copy)).message_id
        for letter, copy in islice(arriving(), 2 * len(ARRIVALS))
    ]
    assert len(set(raws)) == 2 * len(ARRIVALS)


def test_people_answer_differently_the_second_time():
    words = Words()
    first, second = (words("greta@brandt-bakery.example", "") for _ in range(2))
    assert first != second
    assert first.endswith("\n\nGreta")
    assert words("somebody@post.example", "").startswith("Thank you for the quick answer.")


def test_an_answer_goes_to_reply_to_and_quotes():
    letter = read(
        b"From: Northlink Fibre <office@northlink.example>\r\nReply-To: marta@northlink.example\r\n"
        b"To: greta.brandt@bakery.example\r\nSubject: RE: Line\r\nMessage-ID: <a@northlink.example>\r\n\r\nOne\r\n\r\nTwo\r\n"
    )
    reply = read(answer(letter, person="greta.brandt@bakery.example", words="Fine.", now=NOW))
    assert [one.address for one in reply.to] == ["marta@northlink.example"]
    assert reply.from_[0].name == "Greta Brandt" == name_from("greta.brandt@bakery.example")
    assert reply.subject == "RE: Line"
    assert reply.in_reply_to == ("a@northlink.example",)
    assert reply.text.startswith("Fine.\n\n")
    assert reply.text.rstrip().endswith("> One\n>\n> Two")


def test_a_png_holds_the_pixels_it_was_given():
    raw = png(2, 1, lambda x, y: (255 * x, y, 7))
    assert raw[16:24] == struct.pack(">II", 2, 1)
    start = raw.index(b"IDAT")
    (length,) = struct.unpack(">I", raw[start - 4 : start])
    assert zlib.decompress(raw[start + 4 : start + 4 + length]) == b"\0" + bytes([0, 0, 7, 255, 0, 7])
    assert bars([1, 2, 3]).startswith(b"\x89PNG")


def test_a_jpeg_has_its_size_and_no_bare_marker_inside():
    raw = jpeg(3, 2, lambda x, y: (200, 10 * x, 90 * y))
    start = raw.index(b"\xff\xc0")
    assert struct.unpack(">HH", raw[start + 5 : start + 9]) == (16, 24)
    scan = raw[raw.index(b"\xff\xda") + 14 : -2]
    assert raw.endswith(b"\xff\xd9")
    assert all(scan[at + 1] == 0 for at, byte in enumerate(scan) if byte == 0xFF)


def test_a_pdf_finds_its_objects_where_its_table_says():
    raw = pdf("Invoice (copy)", ["back\\slash"])
    assert b"(Invoice \\(copy\\)) Tj" in raw
    table = int(raw.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    entries = raw[table:].split(b"\n")[3:8]
    for number, entry in enumerate(entries, 1):
        assert raw[int(entry[:10]) :].startswith(b"%d 0 obj" % number)
