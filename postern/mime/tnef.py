"""winmail.dat (application/ms-tnef, MS-OXTNEF): the files and the body that Outlook packed into it.

Only looked into where it lies: nothing is copied but the body, and files inside are given by their offsets. What is
itself packed inside (an enclosed Outlook item) stays closed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from postern.mime.charset import decode
from postern.mime.rtf import read_rtf, unpacked, wraps_html
from postern.mime.transfer import Raw

KINDS = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))
MAX_ATTRIBUTES = 20_000
MAX_PROPERTIES = 40_000  # of all that is inside; Outlook writes thirty a file
MAX_FILES = 500
MAX_BODY = 8_000_000  # bytes
_SIGNATURE = 0x223E9F78
_BODY, _CODEPAGE, _PROPERTIES = 0x0002800C, 0x00069007, 0x00069003
_NEW_FILE, _FILE_NAME, _FILE_DATA, _FILE_PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_STRING8, _UNICODE, _BINARY, _OBJECT, _SEVERAL = 0x1E, 0x1F, 0x102, 0x0D, 0x1000
_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}


@dataclass
class TnefFile:
    """A file inside: its bytes are data[start : start + length] of what was read."""

    name: str = ""
    kind: str = ""
    content_id: str = ""
    start: int = 0
    length: int = 0


@dataclass
class Tnef:
    """What was inside. html and text are '' when Outlook packed none."""

    files: list[TnefFile] = field(default_factory=list)
    html: str = ""
    text: str = ""
    damaged: bool = False  # it ends too early


def read_tnef(data: Raw, start: int, end: int) -> Tnef | None:
    """What lies in data[start:end]; None when that is no TNEF. Never raises, one pass, everything bounded."""
    if end - start < 6 or struct.unpack_from("<I", data, start)[0] != _SIGNATURE:
        return None
    reader = _Reader(data)
    try:
        for number, first, length in _attributes(data, start + 6, end):
            reader.take(number, first, length)
    except (struct.error, ValueError, IndexError):
        reader.found.damaged = True
    return reader.finished()


def _attributes(data: Raw, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(attribute with type, where its data begins, how long it is)."""
    for _ in range(MAX_ATTRIBUTES):
        if position + 9 > end:
            return
        number, length = struct.unpack_from("<II", data, position + 1)
        if position + 9 + length > end:
            raise ValueError("cut short")
        yield number, position + 9, length
        position += 9 + length + 2  # a checksum of two bytes follows


def _after_name(data: Raw, position: int) -> int:
    (by_text,) = struct.unpack_from("<I", data, position + 16)
    (length,) = struct.unpack_from("<I", data, position + 20)
    return position + 24 + (length + -length % 4 if by_text else 0)


class _Reader:
    def __init__(self, data: Raw) -> None:
        self.data = data
        self.found = Tnef()
        self.charset = "cp1252"
        self.body = ""
        self.rtf = (0, 0)
        self.left = MAX_PROPERTIES

    def take(self, number: int, start: int, length: int) -> None:
        """One attribute."""
        if number == _CODEPAGE and length >= 4:
            self.charset = f"cp{struct.unpack_from('<I', self.data, start)[0]}"
        elif number == _BODY:
            self.body = self.body or self._string(start, length, self.charset)
        elif number == _PROPERTIES:
            self._message(start, length)
        elif number == _NEW_FILE and len(self.found.files) < MAX_FILES:
            self.found.files.append(TnefFile())
        elif self.found.files:
            self._of_file(self.found.files[-1], number, start, length)

    def _of_file(self, file: TnefFile, number: int, start: int, length: int) -> None:
        if number == _FILE_NAME:
            file.name = file.name or self._string(start, length, self.charset)
        elif number == _FILE_DATA:
            file.start, file.length = start, length
        elif number == _FILE_PROPERTIES:
            for key, kind, first, size in self._properties(start, start + length):
                self._file_property(file, key, kind, first, size)

    def _file_property(self, file: TnefFile, key: int, kind: int, start: int, length: int) -> None:
        if key == 0x3707:  # PidTagAttachLongFilename
            file.name = self._text(kind, start, length) or file.name
        elif key in (0x3704, 0x3001) and not file.name:  # the short name, the name of an enclosed item
            file.name = self._text(kind, start, length)
        elif key == 0x370E:
            file.kind = self._text(kind, start, length).lower()
        elif key == 0x3712:
            file.content_id = self._text(kind, start, length).strip("<> ")
        elif key == 0x3701 and not file.length:  # bytes, or an item behind a class id of 16 bytes
            shift = 16 if kind == _OBJECT and length >= 16 else 0
            file.start, file.length = start + shift, length - shift
            file.kind = file.kind or ("application/ms-tnef" if shift else "")

    def _message(self, start: int, length: int) -> None:
        for key, kind, first, size in self._properties(start, start + length):
            if key == 0x1000:
                self.body = self._text(kind, first, size) or self.body
            elif key == 0x1013:
                self.found.html = self._text(kind, first, size, html=True)
            elif key == 0x1009 and size <= MAX_BODY:
                self.rtf = first, size

    def _properties(self, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(property, type, start, length) of each MAPI property that has bytes or text."""
        data = self.data
        (count,) = struct.unpack_from("<I", data, position)
        position += 4
        for _ in range(count):
            self._spend()
            kind, number = struct.unpack_from("<HH", data, position)
            position += 4
            if number >= 0x8000:
                position = _after_name(data, position)
            several, kind = kind & _SEVERAL, kind & ~_SEVERAL
            values = 1
            if several or kind in (_STRING8, _UNICODE, _BINARY, _OBJECT):
                (values,) = struct.unpack_from("<I", data, position)
                position += 4
            if kind in _FIXED:
                position += _FIXED[kind] * values
                continue
            for _ in range(values):
                self._spend()
                (length,) = struct.unpack_from("<I", data, position)
                position += 4
                if position + length > end:
                    raise ValueError("cut short")
                yield number, kind, position, length
                position += length + -length % 4
            if kind not in (_STRING8, _UNICODE, _BINARY, _OBJECT):
                raise ValueError("a type that nobody knows")

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ValueError("more properties than anything has")

    def _text(self, kind: int, start: int, length: int, *, html: bool = False) -> str:
        if kind == _UNICODE:
            return self._string(start, length, "utf-16-le")
        return self._string(start, length, "" if html and kind == _BINARY else self.charset, html=html)

    def _string(self, start: int, length: int, charset: str, *, html: bool = False) -> str:
        data = self.data[start : start + min(length, MAX_BODY)]
        return decode(data, charset, html=html).rstrip("\0\r\n").replace("\r\n", "\n").replace("\r", "\n")

    def finished(self) -> Tnef:
        """The body is the html, else the RTF that holds html, else text."""
        found = self.found
        packed = self.data[self.rtf[0] : sum(self.rtf)]
        if not found.html and wraps_html(packed):
            found.html = read_rtf(unpacked(packed))[0]
        elif not found.html and not self.body:
            self.body = read_rtf(unpacked(packed))[0]
        found.text = self.body
        found.files = [file for file in found.files if file.length]
        return found
