"""Modified UTF-7, the alphabet of IMAP folder names (RFC 3501 section 5.1.3)."""

import binascii
import re

from postern.wire.errors import control_bytes

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHIFTED = re.compile(rb"&([^-]*)-")
_UNPRINTABLE = re.compile("[^\x20-\x7e]+")


def encode_mutf7(name: str) -> bytes:
    """The folder name as the wire wants it. Control characters raise ``MailError("control_bytes")``."""
    if _CONTROL.search(name):
        raise control_bytes("The folder name")
    return _UNPRINTABLE.sub(_shift, name.replace("&", "&-")).encode("ascii")


def _shift(found: "re.Match[str]") -> str:
    try:
        packed = binascii.b2a_base64(found.group().encode("utf-16-be"), newline=False)
    except UnicodeEncodeError:  # a lone surrogate names no folder anywhere
        raise control_bytes("The folder name") from None
    return f"&{packed.decode().rstrip('=').replace('/', ',')}-"


def decode_mutf7(wire: bytes) -> str:
    """The name a person reads. Raises ``ValueError`` when ``wire`` is not modified UTF-7."""
    text: list[str] = []
    at = 0
    for found in _SHIFTED.finditer(wire):
        text.append(_plain(wire[at : found.start()]))
        text.append(_unshift(found.group(1)) if found.group(1) else "&")
        at = found.end()
    text.append(_plain(wire[at:]))
    return "".join(text)


def _plain(piece: bytes) -> str:
    if b"&" in piece:
        raise ValueError("a shift without its end")
    return piece.decode("ascii")


def _unshift(packed: bytes) -> str:
    if b"/" in packed:
        raise ValueError("not modified base64")
    padded = packed.replace(b",", b"/") + b"=" * (-len(packed) % 4)
    return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
