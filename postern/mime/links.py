"""Addresses inside html: which links stay, which images may be shown."""

import re

from postern.mime.addresses import ascii_domain

MAX_LINK = 8000
_EDGE = "".join(map(chr, range(0x21)))
_DROPPED = re.compile(r"[\t\r\n]")
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_WEB = re.compile(r"(https?)://([^/?#\\\s@]+)(?=[/?#]|\Z)(.*)", re.IGNORECASE | re.DOTALL)
_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(:\d{1,5})?")
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}", re.IGNORECASE)
_MAIL = re.compile(r"mailto:[^\s<>\"\\]*", re.IGNORECASE)
_PHONE = re.compile(r"tel:[0-9+*#().;=A-Za-z-]{1,60}", re.IGNORECASE)


def safe_link(value: str) -> str | None:
    """The link as absolute http(s), mailto or tel, its host in ASCII; None for everything else.

    A browser ignores tabs, line ends and leading blanks in an address, so they go first (WHATWG URL 4.4).
    """
    value = _DROPPED.sub("", value.strip(_EDGE))
    if len(value) > MAX_LINK or _UNWANTED.search(value):
        return None
    if value.startswith("//"):
        value = "https:" + value
    scheme = _SCHEME.match(value)
    name = scheme[1].lower() if scheme else ""
    if name in ("http", "https"):
        return _web(value)
    if name == "mailto" and _MAIL.fullmatch(value):
        return value
    return value if name == "tel" and _PHONE.fullmatch(value) else None


def _web(value: str) -> str | None:
    found = _WEB.fullmatch(value.replace(" ", "%20"))
    host = _HOST_PORT.fullmatch(found[2]) if found else None
    if found is None or host is None:
        return None
    name = host[1] if host[1].startswith("[") else ascii_domain(host[1])
    return f"{found[1].lower()}://{name}{host[2] or ''}{found[3]}" if name else None


def is_remote(value: str) -> bool:
    """True for an address a browser would fetch from elsewhere."""
    return bool(safe_link(value)) and not value.strip(_EDGE).lower().startswith(("mailto", "tel"))


def safe_data_image(value: str) -> str | None:
    """A data: raster image in base64, without blanks; None otherwise. SVG is never one."""
    if not value[:20].lstrip().lower().startswith("data:image/"):
        return None
    bare = "".join(value.split())
    return bare if _DATA_IMAGE.fullmatch(bare) else None


def content_id(value: str) -> str:
    """The Content-ID of a cid: address; '' when it is none or holds anything but plain characters."""
    value = value.strip(_EDGE)
    if (
        value[:4].lower() != "cid:"
        or len(value) > 504
        or _UNWANTED.search(value)
        or set(value) & set(" <>\"'\\`")
    ):
        return ""
    return value[4:]
