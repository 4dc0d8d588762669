"""Pitfall 13 (and S-081): winmail.dat is opened in bounds; what is damaged stays a file."""

import base64
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mime.read import Letter, part_bytes, read
from postern.mime.rtf import MAX_SIZE, read_rtf, unpacked
from postern.mime.tnef import read_tnef

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "letters" / "mimekit"


def attribute(level: int, number: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(data)) + data + struct.pack("<H", sum(data) % 65536)


def binary(number: int, data: bytes, kind: int = 0x102) -> bytes:
    return struct.pack("<HHII", kind, number, 1, len(data)) + data + b"\0" * (-len(data) % 4)


def properties(*many: bytes) -> bytes:
    return struct.pack("<I", len(many)) + b"".join(many)


def tnef(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def stored(rtf: bytes) -> bytes:
    return struct.pack("<IIII", len(rtf) + 12, len(rtf), 0x414C454D, 0) + rtf


FLAG = struct.pack("<HHI", 0x0B, 0x3FFE, 1)
NAMED = struct.pack("<HH16sII", 0x03, 0x8001, b"g" * 16, 0, 5) + struct.pack("<I", 7)
NAMED_BY_TEXT = (
    struct.pack("<HH16sII", 0x03, 0x8002, b"g" * 16, 1, 6) + b"a\0b\0\0\0\0\0" + struct.pack("<I", 7)
)
WINMAIL = tnef(
    attribute(1, 0x00069007, struct.pack("<II", 1252, 0)),
    attribute(
        1,
        0x00069003,
        properties(FLAG, NAMED, NAMED_BY_TEXT, binary(0x1013, b"<p>Gr\xfc\xdfe<img src='cid:logo'>")),
    ),
    attribute(1, 0x0002800C, b"Gr\xfc\xdfe\r\n\0"),
    attribute(2, 0x00069002, b"\0" * 14),
    attribute(2, 0x00018010, b"SHORT~1.TXT\0"),
    attribute(2, 0x0006800F, b"the file"),
    attribute(2, 0x00069005, properties(binary(0x3707, "längerer Name.txt\0".encode("utf-16-le"), 0x1F))),
    attribute(2, 0x00069002, b"\0" * 14),
    attribute(2, 0x00018010, b"..\\logo.png\0"),
    attribute(2, 0x0006800F, b"\x89PNG"),
    attribute(
        2, 0x00069005, properties(binary(0x3712, b"logo\0", 0x1E), binary(0x370E, b"image/png\0", 0x1E))
    ),
    attribute(2, 0x00069002, b"\0" * 14),
    attribute(
        2,
        0x00069005,
        properties(binary(0x3001, b"an item\0", 0x1E), binary(0x3701, b"i" * 16 + b"item", 0x0D)),
    ),
)


def wrapped(data: bytes, text: str = "", kind: str = "application/ms-tnef") -> bytes:
    return (
        f"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{text}\n--b\nContent-Type: {kind}; name=winmail.dat\n"
        f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(data).decode()}\n--b--\n"
    ).encode()


@pytest.mark.parametrize(
    "kind", ["application/ms-tnef", "application/vnd.ms-tnef", "application/octet-stream"]
)
def test_13_files_and_body_come_out(kind: str) -> None:
    raw = wrapped(WINMAIL, kind=kind)
    found = read(raw)
    assert (found.text, found.html, found.defects) == ("Grüße", "<p>Grüße<img src='cid:logo'>", ())
    assert [
        (part.filename, part.content_type, part.inline, part_bytes(raw, part)) for part in found.parts
    ] == [
        ("längerer Name.txt", "text/plain", False, b"the file"),
        ("logo.png", "image/png", True, b"\x89PNG"),
        ("an item", "application/ms-tnef", False, b"item"),
    ]
    assert [part.index for part in found.parts] == [0, 1, 2]
    assert all(part.size == len(part_bytes(raw, part)) for part in found.parts)


def test_13_the_letters_own_text_wins_over_the_packed_one() -> None:
    found = read(wrapped(WINMAIL, "own text"))
    assert (found.text, found.html.startswith("<p>Gr")) == ("own text", True)


def test_13_what_is_none_stays_a_file() -> None:
    for data in (b"TNEF", b"", tnef(), b"\x78\x9f\x3e\x22"):
        found = read(wrapped(data, "x"))
        assert [part.filename for part in found.parts] == ["winmail.dat"]
        assert "winmail.dat cannot be opened" in found.defects


def test_13_cut_short_anywhere() -> None:
    for end in range(len(WINMAIL)):
        raw = wrapped(WINMAIL[:end], "x")
        found = read(raw)
        assert not [defect for defect in found.defects if defect.startswith("unreadable")], end
        for part in found.parts:
            assert len(part_bytes(raw, part)) == part.size


def test_s081_tnef_is_bounded() -> None:
    assert read_tnef(tnef(*[attribute(2, 0x00069002, b"")] * 5000), 0, 5000 * 11 + 6) is not None
    many = tnef(*[attribute(2, 0x00069002, b"") + attribute(2, 0x0006800F, b"x")] * 3000)
    found = read_tnef(many, 0, len(many))
    assert found is not None and len(found.files) == 500
    endless = tnef(attribute(1, 0x00069003, struct.pack("<I", 0xFFFFFFFF) + binary(0x1000, b"x", 0x1E)))
    damaged = read_tnef(endless, 0, len(endless))
    assert damaged is not None and damaged.damaged


RTF = [
    (rb"{\rtf1\ansi\ansicpg1252 Gr\'fc\'dfe\par two {\b bold}\tab x}", "Grüße\ntwo bold\tx", False),
    (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator Riched;}\uc1\u8364?uro \{a\}}", "€uro {a}", False),
    (rb"{\rtf1\ansicpg932 \'83\'65\'83\'58}", "テス", False),
    (
        rb"{\rtf1\ansi\fromhtml1 {\*\htmltag18 <html>}{\*\htmltag64 <p>}\htmlrtf {\par \htmlrtf0 "
        rb"Hi {\*\htmltag84 &lt;}\htmlrtf <\htmlrtf0 you{\*\htmltag72 </p>}\htmlrtf }\htmlrtf0{\*\htmltag27 </html>}}",
        "<html><p>Hi &lt;you</p></html>",
        True,
    ),
    (b"{" * 5000 + b"x", "", False),
    (b"}}}{\\rtf1 x", "x", False),
    (b"", "", False),
]


@pytest.mark.parametrize(("rtf", "text", "is_html"), RTF)
def test_13_rtf(rtf: bytes, text: str, is_html: bool) -> None:
    assert read_rtf(rtf) == (text, is_html)


# The examples of MS-OXRTFCP 3: a simple text, and one whose reference crosses the write position.
PACKED = [
    (
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
        b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
    ),
    ("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
]


@pytest.mark.parametrize(("packed", "rtf"), PACKED)
def test_13_compressed_rtf(packed: str, rtf: bytes) -> None:
    assert unpacked(bytes.fromhex(packed)) == rtf


@pytest.mark.parametrize("size", [0, 3, 9, 11, 50])
def test_13_compressed_rtf_that_ends_among_eight_signs(size: int) -> None:
    packed = struct.pack("<IIII", 0, size, 0x75465A4C, 0) + b"\0abcdefgh" + b"\0ijk"
    assert unpacked(packed) == b"abcdefghijk"[:size]


def test_s081_compressed_rtf_is_bounded() -> None:
    claims = struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, 0x75465A4C, 0)
    assert len(unpacked(claims + (b"\xff" + b"\x00\x1f" * 8) * 200_000)) <= MAX_SIZE + 20
    assert unpacked(claims) == unpacked(b"") == unpacked(b"\0" * 40) == b""


def test_13_rtf_body_inside_winmail() -> None:
    rtf = stored(rb"{\rtf1\fromhtml1 {\*\htmltag64 <b>}x{\*\htmltag72 </b>}}")
    found = read(wrapped(tnef(attribute(1, 0x00069003, properties(binary(0x1009, rtf))))))
    assert (found.text, found.html) == ("", "<b>x</b>")
    plain = stored(rb"{\rtf1 only text}")
    found = read(wrapped(tnef(attribute(1, 0x00069003, properties(binary(0x1009, plain))))))
    assert (found.text, found.html) == ("only text", "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(WINMAIL) - 1))
def test_13_any_bytes(noise: bytes, place: int) -> None:
    for data in (WINMAIL[:place] + noise + WINMAIL[place + len(noise) :], tnef(noise)):
        read_tnef(data, 0, len(data))
    read_rtf(noise)
    unpacked(struct.pack("<IIII", 0, 500, 0x75465A4C, 0) + noise)


@pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the real letters are not here: letters beside the repository"
)
def test_13_real_letters() -> None:
    def of(name: str) -> Letter:
        return read((FOLDER / name).read_bytes())

    assert "<html>" in of("tnef_ukr.eml").html
    rich = of("tnef_rich-text.eml")
    assert [(part.filename, part.content_type, part.size) for part in rich.parts[:1]] == [
        ("kitten-playing-with-a-christmas-tree.jpg", "image/jpeg", 375_081)
    ]
    assert part_bytes(rich.raw, rich.parts[0])[:3] == b"\xff\xd8\xff"
