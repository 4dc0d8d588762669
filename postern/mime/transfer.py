"""Content-Transfer-Encoding undone: base64, quoted-printable, uuencode, yEnc. Unknown encodings pass through."""

import binascii
import re

_TOKEN = re.compile(r"[A-Za-z0-9-]+")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANK = b" \t\r\n"
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
    "yenc": "yenc",
    "x-yenc": "yenc",
}


def encoding_name(header: str) -> str:
    """'base64', 'quoted-printable', 'uuencode', 'yenc', or '' for everything that passes through unchanged."""
    found = _TOKEN.search(header)
    return _NAMES.get(found[0].lower(), "") if found else ""


def undo(data: bytes, encoding: str) -> bytes:
    """The bytes behind a transfer encoding (a name from encoding_name). Never raises: damage is skipped."""
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return _quoted_printable(data)
    if encoding == "uuencode":
        return _uuencode(data)
    if encoding == "yenc":
        return _yenc(data)
    return data


def _quoted_printable(data: bytes) -> bytes:
    if b"\n" not in data:  # letters with CR line ends: a2b_qp knows soft breaks before LF only
        data = data.replace(b"\r", b"\n")
    return binascii.a2b_qp(data)


def _base64(data: bytes) -> bytes:
    if (clean := _clean_base64(data)) is not None:
        return clean
    bare = data.translate(None, _BLANK)
    if bare.rstrip(b"=").translate(None, _ALPHABET):  # something else is in there
        bare = _without_footer(data)
    if b"=" in bare[:-2]:
        # several encoded pieces one after the other, each with its own padding
        return b"".join(_base64_piece(piece) for piece in _PADDING.split(bare))
    return _base64_piece(bare)


def _clean_base64(data: bytes) -> bytes | None:
    """The usual case in one pass: nothing but alphabet, line ends and correct padding, else None."""
    try:
        decoded = binascii.a2b_base64(data)
    except (binascii.Error, ValueError):
        return None
    signs = len(data) - data.count(b"\n") - data.count(b"\r")
    padding = data[-8:].count(b"=")
    # every sign that was skipped, or came after the padding, would be missing in the result
    return decoded if signs % 4 == 0 and len(decoded) == signs // 4 * 3 - padding else None


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
