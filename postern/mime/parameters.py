"""Content-Type and Content-Disposition: the value, its parameters (RFC 2045, RFC 2231), and file names."""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from postern.mime.charset import decode
from postern.mime.words import decode_words

MAX_PARAMETERS = 200
_TYPE_TEXT = r"\s*+([A-Za-z0-9!#$&^_.+*-]{1,100}+)\s*+/\s*+([A-Za-z0-9!#$&^_.+*-]{1,100}+)"
_TYPE = re.compile(_TYPE_TEXT)
_PARAMETER = re.compile(r""";\s*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))""", re.DOTALL)
# A type with one plain parameter: nearly all of them.
_ONE_TEXT = r"""[^;"]*+; *+([A-Za-z-]{1,30}+)=(?:"([^"\\]++)"|([A-Za-z0-9._-]++)) *+"""
_ONE = re.compile(_ONE_TEXT)
_TYPE_AND_ONE = re.compile(_TYPE_TEXT + _ONE_TEXT)
_USUAL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 _-]{0,50}+(?:\.[A-Za-z0-9]{1,8}+)?+(?<! )")
_UNQUOTE = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*?)$")
_BIDI = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_LONGEST_NAME = 255


def content_type(header: str) -> tuple[str, dict[str, str]]:
    """('text/plain', {'charset': ...}); the type is '' when the header is missing or nonsense. Not to be changed."""
    return _common_type(header) if len(header) < 60 and "oundary" not in header else _content_type(header)


def _content_type(header: str) -> tuple[str, dict[str, str]]:
    if both := _TYPE_AND_ONE.fullmatch(header):
        first, second, name, quoted, bare = both.groups()
        return f"{first}/{second}".lower(), {name.lower(): quoted if bare is None else bare}
    found = _TYPE.match(header)
    kind = f"{found[1]}/{found[2]}".lower() if found else ""
    return kind, parameters(header) if ";" in header else {}


# A few dozen values are nearly all there are, in every mailbox.
_common_type = lru_cache(maxsize=256)(_content_type)


def parameters(header: str) -> dict[str, str]:
    """Parameters by lower-case name, RFC 2231 pieces joined and decoded; `name*` wins over `name`."""
    if one := _ONE.fullmatch(header):
        return {one[1].lower(): one[2] if one[3] is None else one[3]}
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(header)):
        if count >= MAX_PARAMETERS:
            break
        key = found[1].lower()
        value = found[2]
        if value is None:
            value = _uncommented(found[3].strip())
        elif "\\" in value:
            value = _UNQUOTE.sub(r"\1", value)
        section = _SECTION.match(key) if "*" in key else None
        if section is None:
            plain.setdefault(key, value.strip('"'))
        else:
            pieces.setdefault(section[1], {}).setdefault(int(section[2] or 0), (value, section[3] == "*"))
    for key, numbered in pieces.items():
        plain[key] = _joined(numbered)
    return plain


def _uncommented(value: str) -> str:
    """A value without its trailing comment: `us-ascii (Plain text)`."""
    return value[: value.rfind("(")].rstrip() if value.endswith(")") and "(" in value[1:] else value


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    """Sections in order; bytes of neighbouring sections are joined before the charset is applied."""
    charset = ""
    data = b""
    for position, index in enumerate(sorted(numbered)):
        value, percent = numbered[index]
        if percent and position == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        data += unquote_to_bytes(value) if percent else value.encode("utf-8", "replace")
    return decode(data, charset)


def file_name(disposition: dict[str, str], kind: dict[str, str]) -> str:
    """The part's file name, safe to show and to store: no path, no control or direction characters, 255 bytes."""
    name = disposition.get("filename") or kind.get("name") or ""
    return safe_name(decode_words(name)) if name else ""


def safe_name(name: str) -> str:
    """A bare file name: the last path component without control, format or direction characters."""
    if _USUAL_NAME.fullmatch(name):
        return name
    name = name[:4000]
    if not (name.isascii() and name.isprintable()):
        name = _BIDI.sub("", unicodedata.normalize("NFC", name))
        name = "".join(character for character in name if unicodedata.category(character) not in ("Cc", "Cs"))
    name = name.replace("\\", "/").rpartition("/")[2].strip().strip(".").strip()
    if 4 * len(name) <= _LONGEST_NAME:  # bytes of UTF-8, at most
        return name
    encoded = name.encode("utf-8")
    if len(encoded) <= _LONGEST_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        return encoded[:_LONGEST_NAME].decode("utf-8", "ignore")
    room = _LONGEST_NAME - len(ending.encode()) - 1
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + "." + ending
