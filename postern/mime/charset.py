# ruff: noqa: SIM905  (word lists read better as one string)
"""Bytes to text, whatever the letter claims about its charset. Nothing here raises on hostile input."""

import codecs
import encodings.aliases
import re
from functools import lru_cache

# Names that say one thing and mean another (WHATWG Encoding Standard, and what mail programs really send).
_MEANT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb-2312-80": "gb18030",
    "cp936": "gb18030",
    "x-gbk": "gb18030",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601": "cp949",
    "ks-c-5601-1989": "cp949",
    "ksc5601": "cp949",
    "euc-kr": "cp949",
    "korean": "cp949",
    "shift-jis": "cp932",
    "shift-jisx0213": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms-kanji": "cp932",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "big5": "cp950",
    "x-big5": "cp950",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "iso-8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "unicode-1-1-utf-7": "utf_7",
    "utf-8mb4": "utf_8",
    "utf8mb4": "utf_8",
    "utf-8mb3": "utf_8",
    "utf8mb3": "utf_8",
    "unicode-1-1-utf-8": "utf_8",
    "x-unicode-2-0-utf-8": "utf_8",
    "utf-8-sig": "utf_8",
}
# These names are used by programs that do not know better: strict UTF-8 is tried first, then cp1252.
_WEAK = frozenset(
    "iso-8859-1 iso8859-1 iso88591 8859-1 latin1 latin-1 l1 us-ascii ascii us iso-ir-6 iso646-us "
    "ansi-x3.4-1968 ansi-x3-4-1968 iso-8859-1-windows-3-1-latin-1".split()
)
# Codecs that are not text, run code-like transformations, or exist on Windows only.
_NOT_TEXT = frozenset(
    "base64_codec bz2_codec hex_codec quopri_codec rot_13 uu_codec zlib_codec mbcs idna punycode "
    "unicode_escape raw_unicode_escape undefined oem ascii latin_1".split()
)
_MORE = "cp720 cp737 cp856 cp874 cp875 cp1006 koi8_t koi8_u mac_arabic mac_croatian mac_farsi mac_romanian utf_8_sig"
# Only codecs in this table are ever used, so a hostile name never reaches codecs.lookup.
_KNOWN: dict[str, str] = {
    alias.replace("_", "-"): codec
    for alias, codec in encodings.aliases.aliases.items()
    if codec not in _NOT_TEXT
}
_KNOWN.update({codec.replace("_", "-"): codec for codec in list(_KNOWN.values()) + _MORE.split()})
_KNOWN.update(_MEANT)
# In these, bytes below 0x80 do not mean ASCII characters.
_NOT_ASCII = frozenset(
    "utf_7 utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le hz iso2022_jp_ext iso2022_jp iso2022_jp_1 "
    "iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_kr cp037 cp273 cp424 cp500 cp875 cp1026 cp1140".split()
)
_BOMS = (
    (b"\xef\xbb\xbf", "utf_8"),
    (b"\xff\xfe\x00\x00", "utf_32_le"),
    (b"\x00\x00\xfe\xff", "utf_32_be"),
    (b"\xff\xfe", "utf_16_le"),
    (b"\xfe\xff", "utf_16_be"),
)
_BOM_STARTS = b"\xef\xff\xfe\0"
_META = re.compile(rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
# Single accented letters beside ASCII ones, and only such as latin-1, latin-2, cp1250 and cp1252 agree about, with
# the quotation marks and dashes that all of Windows' charsets share:
# no need to ask the detector, which takes longer than the rest of the letter. (R) and TM count after a small letter
# or a digit only: there latin-2's capital Z with caron does not stand.
_AGREED = rb"\xc1\xc2\xc4\xc7\xc9\xcb\xcd\xce\xd3\xd4\xd6\xda\xdc\xdd\xdf\xe1\xe2\xe4\xe7\xe9\xeb\xed\xee\xf3\xf4\xf6\xfa\xfc\xfd"
_WESTERN = re.compile(
    rb"(?:[\x00-\x7f\x85\x91-\x97\xa0]++|(?<=[A-Za-z])[" + _AGREED + rb"]|[" + _AGREED + rb"](?=[A-Za-z])"
    rb"|(?<=[a-z0-9])[\x99\xae](?=[\s.,;:!?)]|\Z))*+"
)
# cp1252 with the sign for what it leaves undefined: "replace" calls for help at each such byte, and a file has many.
_CP1252 = bytes(range(256)).decode("cp1252", "replace")
_SHIFTS = re.compile(rb"\x1b(?=\$[@B]|\([BJ])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAMPLE = 8192
MAX_SHIFTS = 200_000  # between ASCII and Japanese that are followed one by one


def codec_for(name: str) -> str:
    """The Python codec meant by a charset name; '' when unknown or when the name proves nothing."""
    return _codec(name) if len(name) <= 80 else ""


@lru_cache(maxsize=1024)
def _codec(name: str) -> str:
    name = _plain(name)
    if name in _WEAK:
        return ""
    found = _KNOWN.get(name)
    if found is None and name.startswith(("cp-", "x-", "windows-cp", "ibm-")):
        found = _KNOWN.get(name.replace("windows-cp", "cp").replace("cp-", "cp").removeprefix("x-"))
    return found or ""


def _plain(name: str) -> str:
    """A charset name without quotes and RFC 2231 language, in one spelling."""
    return name.strip().strip("\"'").partition("*")[0].strip().lower().replace("_", "-")


def is_weak(name: str) -> bool:
    """True for latin-1 and ascii names, which in mail mean 'perhaps UTF-8, else cp1252'."""
    return _plain(name) in _WEAK


def storable(text: str) -> str:
    """Text without NUL and lone surrogates: PostgreSQL and JSON refuse both."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")  # much faster than looking for surrogates
    except UnicodeEncodeError:
        text = _SURROGATE.sub("\ufffd", text)
    return text


def decode(data: bytes, declared: str = "", *, html: bool = False) -> str:
    """Decode bytes: a byte order mark wins, then the declared charset, UTF-8, the detector, cp1252.

    html also looks for a meta element when no charset was declared. Never raises; the text is storable.
    """
    if not data:
        return ""
    if data[0] in _BOM_STARTS:
        for mark, codec in _BOMS:
            if data.startswith(mark):
                return _without_nul(data[len(mark) :].decode(codec, "replace"))
    codec = codec_for(declared)
    if not codec and html and not declared:
        declared, codec = _from_meta(data)
    if data.isascii() and codec not in _NOT_ASCII:
        return _without_nul(data.decode("ascii"))
    if codec and codec != "utf_8":
        text = _strictly(data, codec)
        if text is not None:  # of all codecs only UTF-7's lets surrogates through
            return storable(text) if codec == "utf_7" else _without_nul(text)
        if codec == "iso2022_jp_ext":
            return _without_nul(_japanese(data))
    text = _strictly(data, "utf_8")
    if text is None:
        text = _undeclared(data, codec, is_weak(declared))
    return storable(text) if codec == "utf_7" else _without_nul(text)


def _without_nul(text: str) -> str:
    return text.replace("\0", "") if "\0" in text else text


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, LookupError, ValueError):
        return None


def _from_meta(data: bytes) -> tuple[str, str]:
    found = _META.search(data, 0, 4096)
    name = found[1].decode("ascii") if found else ""
    codec = codec_for(name)
    # A page whose meta element can be read as ASCII is not in one of these, whatever it says.
    return (name, codec) if codec not in _NOT_ASCII else ("", "")


def _japanese(data: bytes) -> str:
    """ISO-2022-JP with NEC's signs (row 13: № ① ㈱), which Japanese programs write and the standard does not know."""
    first, *others = _SHIFTS.split(data, MAX_SHIFTS)
    text = [first.decode("ascii", "replace")]
    for piece in others:  # each begins with two bytes that say what follows
        if piece.startswith(b"$"):
            text.append(bytes(sign | 0x80 for sign in piece[2:]).decode("euc_jis_2004", "replace"))
        else:
            text.append(piece[2:].decode("ascii", "replace"))
    return "".join(text)


def _undeclared(data: bytes, codec: str, weak: bool) -> str:
    """Neither the declared charset nor UTF-8 fits strictly."""
    if codec:
        text = data.decode(codec, "replace")
        bad = text.count("\ufffd")
        # A few bad bytes among many good ones: damaged, but the declaration was honest.
        good = sum(ch > "\x7f" for ch in text[:_SAMPLE]) - text.count("\ufffd", 0, _SAMPLE)
        if bad <= max(1, good // 4):
            return text
    if weak:
        text = _strictly(data, "cp1252") or ""
        if text:
            return text
    if _WESTERN.fullmatch(data):
        return data.decode("cp1252")
    codec = _detected(data)
    if codec == "cp1252":
        return codecs.charmap_decode(data, "strict", _CP1252)[0]
    return data.decode(codec, "replace")


def _detected(data: bytes) -> str:
    import chardet  # slow to import and rarely needed

    try:
        # what web and mail programs wrote: with older families in the race, short German looks like Macintosh text
        era = chardet.EncodingEra.MODERN_WEB
        found = chardet.detect(data[:_SAMPLE], encoding_era=era, max_bytes=_SAMPLE, prefer_superset=True)
        name = found["encoding"] or ""
    except Exception:
        return "cp1252"
    codec = codec_for(name)
    return codec if codec and codec not in _NOT_ASCII and codec != "utf_8" else "cp1252"
