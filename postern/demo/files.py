"""Small pictures and documents for the demo's letters, made here so that no file has to be shipped."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

Colour = tuple[int, int, int]


def png(width: int, height: int, pixel: Callable[[int, int], Colour]) -> bytes:
    """Return a PNG whose colour at x, y is `pixel(x, y)` (PNG specification, colour type 2)."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def bars(values: Sequence[int], *, height: int = 160) -> bytes:
    """Return a bar chart as PNG; each value is a percentage of the height."""
    step, paper, ink, line = 22, (250, 249, 247), (11, 95, 115), (213, 209, 200)

    def pixel(x: int, y: int) -> Colour:
        value = values[min(x // step, len(values) - 1)]
        if 4 <= x % step < 18 and (height - y) <= value * height // 100:
            return ink
        return line if y % (height // 4) == 0 else paper

    return png(step * len(values), height, pixel)


def jpeg(columns: int, rows: int, block: Callable[[int, int], Colour]) -> bytes:
    """Return a JPEG of flat squares of 8 pixels, `block(column, row)` being each one's colour.

    Baseline (ITU-T T.81), no alternating coefficients: enough for a blurred photograph.
    """
    bits = _Bits()
    before = [0, 0, 0]
    for row in range(rows):
        for column in range(columns):
            for part, level in enumerate(_ycc(block(column, row))):
                bits.difference(level - before[part])
                before[part] = level
    frame = struct.pack(">BHHB", 8, rows * 8, columns * 8, 3)
    frame += b"".join(bytes((part, 0x11, 0)) for part in (1, 2, 3))
    lengths_dc = bytes([0, 0, 0, 12] + [0] * 12)  # twelve codes of four bits: the code is the category
    lengths_ac = bytes([1] + [0] * 15)  # one code of one bit: end of block
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xDB, b"\0" + bytes([8] * 64)),
        (0xC0, frame),
        (0xC4, b"\x00" + lengths_dc + bytes(range(12))),
        (0xC4, b"\x10" + lengths_ac + b"\0"),
        (0xDA, b"\3\1\0\2\0\3\0\0\x3f\0"),
    )
    head = b"".join(bytes((0xFF, kind)) + struct.pack(">H", len(data) + 2) + data for kind, data in segments)
    return b"\xff\xd8" + head + bits.finish() + b"\xff\xd9"


def _ycc(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(luma) - 128, round((blue - luma) * 0.564), round((red - luma) * 0.713)


class _Bits:
    """The entropy-coded part of a JPEG, as a string of bits."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def difference(self, value: int) -> None:
        """Write one constant coefficient and the end of its block."""
        category = abs(value).bit_length()
        coded = value if value > 0 else value + (1 << category) - 1
        self._text.append(f"{category:04b}" + (f"{coded:0{category}b}" if category else "") + "0")

    def finish(self) -> bytes:
        """The bytes, filled up with ones, each 0xFF stuffed."""
        text = "".join(self._text)
        text += "1" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def photo() -> bytes:
    """Return a dim picture of a grey cabinet on a cellar wall, as JPEG."""

    def block(x: int, y: int) -> Colour:
        if 14 <= x < 30 and 5 <= y < 26:
            edge = x in (14, 29) or y in (5, 25)
            return (70, 76, 80) if edge else (176 - y, 182 - y, 186 - x)
        return (98 + (x * 7 + y * 3) % 9, 84 + (x * 5 + y) % 7, 72)

    return jpeg(44, 30, block)


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """Return a PDF of one A4 page with a title and lines of plain ASCII text (ISO 32000)."""
    words = [f"BT /F1 18 Tf 60 770 Td ({_pdf_text(title)}) Tj ET"]
    words += [
        f"BT /F1 11 Tf 60 {735 - 18 * number} Td ({_pdf_text(line)}) Tj ET"
        for number, line in enumerate(lines)
    ]
    stream = "\n".join(words).encode("ascii", "replace")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return (
        written
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            size,
            table,
            size,
            len(written),
        )
    )


def _pdf_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
