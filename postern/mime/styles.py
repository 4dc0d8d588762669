# ruff: noqa: SIM905  (word lists read better as one string)
"""The style attribute, property by property and value by value. What is not known to be harmless is dropped."""

import re

MAX_LENGTH = 4000

_ALLOWED = frozenset(
    "color background-color font font-family font-size font-style font-variant font-weight text-align "
    "text-decoration text-decoration-line text-decoration-color text-decoration-style text-transform text-indent "
    "line-height letter-spacing word-spacing white-space word-break word-wrap overflow-wrap vertical-align "
    "width height min-width min-height max-width max-height "
    "padding padding-top padding-right padding-bottom padding-left "
    "margin margin-top margin-right margin-bottom margin-left "
    "border border-top border-right border-bottom border-left border-color border-style border-width "
    "border-top-color border-right-color border-bottom-color border-left-color "
    "border-top-style border-right-style border-bottom-style border-left-style "
    "border-top-width border-right-width border-bottom-width border-left-width "
    "border-radius border-collapse border-spacing caption-side empty-cells table-layout "
    "list-style-type display visibility overflow opacity float clear direction unicode-bidi".split()
)
_NEVER = ("\\", "/*", "@", "<", ">", "{", "}", "\0")
_BAD_VALUE = re.compile(r"url|image|var\(|attr\(|expression|script|binding|behavior", re.IGNORECASE)
# Words, numbers, quoted font names, and colour functions: nothing else can be a value.
_VALUE = re.compile(
    r"""(?:[\w#%.,!+ \t-]|/(?!\*)|"[\w .,-]*+"|'[\w .,-]*+'|(?:rgb|hsl)a?\([\d%.,/ \t+-]*+\))+""",
    re.IGNORECASE,
)
_COLOUR = re.compile(
    r"(?:#[0-9a-f]{3,8}|[a-z]{3,25}|(?:rgb|hsl)a?\([\d%., /]*\))(?:\s*!important)?", re.IGNORECASE
)
_NEGATIVE = re.compile(r"(?:^|[\s,(])-\s*[\d.]")
_BLANKS = re.compile(r"\s+")
_NO_NEGATIVE = ("margin", "text-indent", "letter-spacing", "word-spacing", "line-height", "padding")
_DISPLAYS = frozenset(
    "none block inline inline-block list-item table inline-table table-row table-cell table-row-group "
    "table-header-group table-footer-group table-column table-column-group table-caption".split()
)


def clean_style(style: str) -> str | None:
    """The harmless declarations as `name:value;name:value`, or None. Cleaning the result again changes nothing."""
    if len(style) > MAX_LENGTH or any(sign in style for sign in _NEVER):
        return None
    kept = [kept for piece in style.split(";") if (kept := _declaration(piece))]
    return ";".join(kept) or None


def loads_something(style: str) -> bool:
    """True when the style asks for a picture from elsewhere (counted as a blocked remote image)."""
    return "url(" in style.lower() and "http" in style.lower()


def _declaration(piece: str) -> str:
    name, colon, value = piece.partition(":")
    name = name.strip().lower()
    value = _BLANKS.sub(" ", value).strip()
    if name == "background" and _COLOUR.fullmatch(value):
        name = "background-color"
    if not colon or name not in _ALLOWED or not value or len(value) > 300 or not value.isascii():
        return ""
    if _BAD_VALUE.search(value) or not _VALUE.fullmatch(value):
        return ""
    if name.startswith(_NO_NEGATIVE) and _NEGATIVE.search(value):
        return ""
    if name == "display" and value.lower().replace("!important", "").strip() not in _DISPLAYS:
        return ""
    return f"{name}:{value}"
