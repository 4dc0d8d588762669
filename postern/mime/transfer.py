"""Content-Transfer-Encoding undone: base64, quoted-printable, uuencode, yEnc. Unknown encodings pass through."""

import binascii
import re
from mmap import mmap

# A letter's bytes: in memory, or a file of the spool when it is large. Slices of both are bytes.
Raw = bytes | mmap

_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANK = b" \t\r\n"
_BLOCK = 1 << 16  # stays in the processor's cache: a megabyte at a time takes nearly twice as long
_PADDING = re.compile(rb"=+")
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
        return b"".join(_base64_piece(piece) for piece in _PADDING.split(bare))
    return _base64_piece(bare)


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
    kept = []
    width = 0
    ended = False
    for line in data.splitlines():
        bare = line.translate(None, _BLANK)
        strange = bare.rstrip(b"=").translate(None, _ALPHABET)
        if ended and strange:
            break
        if not bare:
            continue
        kept.append(bare.translate(None, bytes(set(strange))) if strange else bare)
        width = width or len(bare)
        ended = ended or len(bare) < width or bare.endswith(b"=")
    return b"".join(kept)


def _uuencode(data: bytes) -> bytes:
    out = []
    for line in data.splitlines():
        if line.startswith(b"begin ") or not line:
            continue
        if line.rstrip() in (b"end", b"`"):
            if line.startswith(b"end"):
                break
            continue
        out.append(_uu_line(line))
    return b"".join(out)


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        try:  # some encoders pad the line: use the length that the first character states
            return binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3 + 1])
        except (binascii.Error, ValueError):
            return b""


def _yenc(data: bytes) -> bytes:
    lines = [line for line in data.split(b"\n") if not line.startswith((b"=ybegin", b"=ypart", b"=yend"))]
    body = b"".join(line.rstrip(b"\r") for line in lines)
    first, *escaped = body.split(b"=")
    out = [first.translate(_UNSHIFT)]
    for piece in escaped:
        out.append(piece[:1].translate(_UNSHIFT_ESCAPED) + piece[1:].translate(_UNSHIFT))
    return b"".join(out)
