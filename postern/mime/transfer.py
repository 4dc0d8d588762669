"""Content-Transfer-Encoding undone: base64, quoted-printable, uuencode, yEnc. Unknown encodings pass through."""

import binascii
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from mmap import mmap

# A letter's bytes: in memory, or a file of the spool when it is large. Slices of both are bytes.
Raw = bytes | mmap

_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANK = b" \t\r\n"
_BLOCK = 1 << 16  # stays in the processor's cache: a megabyte at a time takes nearly twice as long
_PADDING = re.compile(rb"=++")
_LINE = re.compile(rb"[^\r\n]++")
_YENC_WORD = re.compile(rb"^=y(?:begin|part|end)[^\n]*+\n?", re.MULTILINE)
_CLEAN = _ALPHABET + _BLANK
_UNSHIFT = bytes((value - 42) % 256 for value in range(256))
_UNSHIFT_ESCAPED = bytes((value - 106) % 256 for value in range(256))
_NAMES = {
    "base64": "base64",
    "quoted-printable": "quoted-printable",
    "x-uuencode": "uuencode",
    "uuencode": "uuencode",
    "x-uue": "uuencode",
    "uue": "uuencode",
    "": "",
    "7bit": "",
    "8bit": "",
    "yenc": "yenc",
    "x-yenc": "yenc",
}


def steps(size: int) -> int:
    """How many lines, paddings or escapes of an encoded part are gone through one by one; what lies behind is not read.

    Lines of 60 signs fit, whatever their number: only somebody who wants to keep us busy sends millions of short
    ones. By the part's size alone, so that a part is always the same, and two thousand parts cost no more than one.
    """
    return 500 + size // 60


def encoding_name(header: str) -> str:
    """'base64', 'quoted-printable', 'uuencode', 'yenc', or '' for everything that passes through unchanged."""
    name = header.lower()
    if name in _NAMES:
        return _NAMES[name]
    found = _TOKEN.search(name)
    return _NAMES.get(found[0], "") if found else ""


def undo_range(data: Raw, start: int, end: int, encoding: str) -> bytes:
    """The bytes behind a transfer encoding (a name from encoding_name) in data[start:end]. Never raises: damage is skipped.

    Base64 without damage is decoded without copying it first."""
    if encoding == "base64":
        return _base64(data, start, end)
    piece = data[start:end]
    if encoding == "quoted-printable":
        return _quoted_printable(piece)
    if encoding == "uuencode":
        return _uuencode(piece)
    return _yenc(piece) if encoding == "yenc" else piece


def undo_window(data: Raw, start: int, end: int, encoding: str, first: int, length: int) -> bytes:
    """undo_range(data, start, end, encoding)[first : first + length].

    Of undamaged base64 in lines of one width only those lines are decoded that hold it: a picture in a bag of many.
    """
    line = data.find(b"\n", start, min(end, start + 1000)) + 1 - start if encoding == "base64" else 0
    each = len(data[start : start + line].rstrip()) if line > 0 else 0  # signs in a line
    if each and each % 4 == 0:
        skipped, offset = divmod(first, each // 4 * 3)
        at = start + skipped * line
        stop = min(end, at + ((offset + length) * 4 // 3 // each + 1) * line)
        clean = at < stop and data.find(b"=", start, at) < 0 and _signs(data, start, at) == skipped * each
        if clean and _signs(data, at, end):
            window = _base64(data, at, stop)[offset : offset + length]
            if len(window) == length:
                return window
    return undo_range(data, start, end, encoding)[first : first + length]


def decoded_size(data: Raw, start: int, end: int, encoding: str) -> int:
    """How many bytes undo_range gives. Undamaged base64 is only counted: five times faster than decoding."""
    if not encoding:
        return end - start
    if encoding == "base64" and (size := _clean_size(data, start, end)) is not None:
        return size
    return len(undo_range(data, start, end, encoding))


def _clean_size(data: Raw, start: int, end: int) -> int | None:
    """The size behind base64 that is nothing but alphabet and blanks with padding only at its end, else None."""
    signs = _signs(data, start, end)
    return None if signs is None else signs * 3 // 4


def _signs(data: Raw, start: int, end: int) -> int | None:
    """How many signs of the alphabet such base64 has, else None."""
    pad = data.find(b"=", start, end)
    if pad >= 0:
        if end - pad > 100 or data[pad:end].strip(b"= \t\r\n"):
            return None
        end = pad
    signs = 0
    for position in range(start, end, _BLOCK):
        block = data[position : min(end, position + _BLOCK)]
        blanks = block.translate(None, _ALPHABET)
        if blanks.translate(None, _BLANK):
            return None
        signs += len(block) - len(blanks)
    return signs


def _quoted_printable(data: bytes) -> bytes:
    if b"\n" not in data:  # letters with CR line ends: a2b_qp knows soft breaks before LF only
        data = data.replace(b"\r", b"\n")
    return binascii.a2b_qp(data)


def _base64(data: Raw, start: int, end: int) -> bytes:
    size = _even_size(data, start, end)
    try:
        if size > 0 and size % 3 and data.find(b"=", start, end) < 0:  # the padding was left out
            decoded = binascii.a2b_base64(data[start:end] + b"==")
        else:
            with memoryview(data) as whole, whole[start:end] as view:
                decoded = binascii.a2b_base64(view)
    except (binascii.Error, ValueError):
        return _damaged_base64(data[start:end])
    if len(decoded) == size or len(decoded) == _clean_size(data, start, end):
        return decoded
    return _damaged_base64(data[start:end])


def _even_size(data: Raw, start: int, end: int) -> int:
    """The size behind base64 in lines of one width if nothing else lies in them; -1 when it is not so.

    That a decoder, which passes over strange signs, gives that size proves that there are none: a tenth of the time
    of looking at each.
    """
    pad = data.find(b"=", start, end)
    stop = pad if pad >= 0 else end
    if end - stop > 100 or data[stop:end].strip(b"= \t\r\n"):
        return -1
    last = data[max(start, stop - 4) : stop]
    stop -= len(last) - len(last.rstrip(b"\r\n"))
    line = data.find(b"\n", start, stop) + 1 - start
    ends = data[start + line - 1 : stop : line] if line > 2 else b""
    returns = data[start + line - 2 : stop : line] if ends and data[start + line - 2] == 13 else b""
    if not ends or ends.strip(b"\n") or returns.strip(b"\r"):
        return -1
    signs = stop - start - len(ends) - len(returns)
    return signs * 3 // 4 if signs % 4 != 1 else -1


def _damaged_base64(data: bytes) -> bytes:
    bare = data.translate(None, _BLANK)
    if bare.rstrip(b"=").translate(None, _ALPHABET):  # something else is in there
        bare = _without_footer(data)
    if b"=" in bare[:-2]:
        # several encoded pieces one after the other, each with its own padding
        return _joined(_base64_piece(piece) for piece in _pieces(bare))
    return _base64_piece(bare)


def _pieces(bare: bytes) -> Iterator[bytes]:
    """What stands between paddings, the first of them."""
    position = 0
    for padding in islice(_PADDING.finditer(bare), steps(len(bare))):
        yield bare[position : padding.start()]
        position = padding.end()
    if bare.find(b"=", position) < 0:
        yield bare[position:]


def _joined(pieces: Iterable[bytes]) -> bytes:
    """The same as `join`, which makes a list of them first: a million short ones take forty bytes each."""
    out = bytearray()
    for piece in pieces:
        out += piece
    return bytes(out)


def _base64_piece(bare: bytes) -> bytes:
    bare = bare.rstrip(b"=")
    if len(bare) % 4 == 1:
        bare = bare[:-1]
    try:
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""


def _without_footer(data: bytes) -> bytes:
    """Only the alphabet; lines after the short last line of base64 are a mailing list's footer."""
    kept = bytearray()
    width, position = 0, 0
    ended = False
    for found in islice(_LINE.finditer(data), steps(len(data))):
        line = found[0]
        bare = line.translate(None, _BLANK)
        strange = line.translate(None, _CLEAN) and bare.rstrip(b"=").translate(None, _ALPHABET)
        if ended and strange:
            return bytes(kept)
        position = found.end()
        if not bare:
            continue
        kept += bare.translate(None, strange) if strange else bare
        width = width or len(bare)
        ended = ended or len(bare) < width or bare.endswith(b"=")
    kept += _only_alphabet(data[position:])  # among so many lines there is no footer to be found
    return bytes(kept)


def _only_alphabet(data: bytes) -> bytes:
    return data.translate(None, bytes(set(range(256)).difference(_ALPHABET)))


def _uuencode(data: bytes) -> bytes:
    out = bytearray()
    padded = False
    for found in islice(_LINE.finditer(data), steps(len(data))):
        line = found[0]
        if line.startswith(b"begin "):
            continue
        if line.rstrip() in (b"end", b"`"):
            if line.startswith(b"end"):
                break
            continue
        if not padded:
            try:
                out += binascii.a2b_uu(line)
                continue
            except binascii.Error:
                padded = True
        out += _padded_line(line)
    return bytes(out)


def _padded_line(line: bytes) -> bytes:
    """Some encoders pad the line: the length that its first character states counts."""
    try:
        return binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3])
    except (binascii.Error, ValueError):
        return b""


def _yenc(data: bytes) -> bytes:
    """Line ends mean nothing; what stands after `=` is shifted once more."""
    body = _without_words(data).translate(None, b"\r\n")
    out = bytearray()
    position = 0
    for _ in range(steps(len(body))):
        escape = body.find(b"=", position)
        if escape < 0:
            break
        out += body[position:escape].translate(_UNSHIFT)
        out += body[escape + 1 : escape + 2].translate(_UNSHIFT_ESCAPED)
        position = escape + 2
    out += body[position:].translate(_UNSHIFT)
    return bytes(out)


def _without_words(data: bytes) -> bytes:
    """The lines of data, without those that say where it begins and ends."""
    return _YENC_WORD.sub(b"", data, count=steps(len(data)))
