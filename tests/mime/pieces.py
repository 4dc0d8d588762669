"""What hostile letters are built of: heads, encodings, pieces again and again up to a size."""

import base64
import random
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count

MB = 1 << 20
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HEAD = b"From: a@b.example\nTo: c@d.example\nSubject: s\n"
FLOWED = b"Content-Type: text/plain; format=flowed\n\n"
DELSP = b"Content-Type: text/plain; format=flowed; delsp=yes\n\n"
MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"
HTML = b"Content-Type: text/html; charset=utf-8\n\n"
QP = b"Content-Transfer-Encoding: quoted-printable\n"
B64 = b"Content-Transfer-Encoding: base64\n"
UU = b"Content-Transfer-Encoding: x-uuencode\n\n"
YENC = b"Content-Transfer-Encoding: x-yenc\n\n"
PART = b"--b\nContent-Type: application/x-thing; name=a\n"
TNEF = b"Content-Type: application/ms-tnef; name=winmail.dat\n\n"
SIGNATURE = struct.pack("<IH", 0x223E9F78, 1)

Shape = Callable[[int], bytes]


def again(head: bytes, piece: bytes, tail: bytes = b"") -> Shape:
    """One piece as often as it fits."""
    return lambda size: HEAD + head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


def counted(head: bytes, piece: Callable[[int], bytes], tail: bytes = b"") -> Shape:
    """Pieces that all differ."""

    def made(size: int) -> bytes:
        return HEAD + head + b"".join(fitting(map(piece, count()), size)) + tail

    return made


def fitting(pieces: Iterable[bytes], size: int) -> Iterable[bytes]:
    """Pieces until their size is reached."""
    for piece in pieces:
        size -= len(piece)
        if size < 0:
            return
        yield piece


def noise(head: bytes, alphabet: bytes, width: int = 0) -> Shape:
    """Random signs of an alphabet, in lines of one width if it is given."""

    def made(size: int) -> bytes:
        signs = (
            random.Random(5).randbytes(size).translate(bytes(alphabet[n % len(alphabet)] for n in range(256)))
        )
        if width:
            signs = b"\n".join(signs[at : at + width] for at in range(0, size, width))
        return HEAD + head + signs

    return made


def nested(size: int) -> bytes:
    pieces = (b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in count())
    return HEAD + b"".join(fitting(pieces, size))


def encoded(head: bytes, inner: Shape) -> Shape:
    """A letter whose body is base64."""
    return lambda size: HEAD + head + base64.encodebytes(inner(size * 3 // 4 - size // 90))


def attribute(number: int, data: bytes) -> bytes:
    return b"\1" + struct.pack("<II", number, len(data)) + data + b"\0\0"


def compressed_rtf(kind: int, data: bytes) -> bytes:
    head = struct.pack("<IIII", len(data) + 12, 2**31 - 1, kind, 0)
    packed = head + data
    padded = packed + b"\0" * (-len(packed) % 4)
    return attribute(0x00069003, struct.pack("<IHHII", 1, 0x102, 0x1009, 1, len(packed)) + padded)


def wrapped_again(size: int, times: int) -> bytes:
    """A multipart in base64 in a multipart in base64."""
    size = int(size * 0.74**times)
    body = b"text\n" * (size // 5)
    for _ in range(times):
        body = (
            b"Content-Type: multipart/mixed; boundary=b\n"
            + B64
            + b"\n"
            + base64.encodebytes(b"--b\n" + body + b"\n--b--\n")
        )
    return body
