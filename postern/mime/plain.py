# ruff: noqa: SIM905  (word lists read better as one string)
"""Readable text from sanitised html, and the one-line preview of a letter."""

import re
from functools import lru_cache
from html import unescape

from postern.mime.quoting import split_quote

_BLOCKS = frozenset(
    "address blockquote caption center dd div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul".split()
)
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 ul ol table blockquote".split())
_VOID = frozenset(("br", "hr", "img", "col", "wbr"))
# How newsletters hide the text that only a preview should show.
_HIDDEN = re.compile(
    r"(?:display:\s?none|visibility:\s?hidden|max-height:\s?0|font-size:\s?[01](?:px|pt)?|opacity:\s?0|height:\s?0)"
    r"(?:px)?\s?(?:!important)?(?:;|$)",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0]+"
)
# Text, or a tag as nh3 writes it: lower case, every attribute in double quotes, no `<` but a tag's.
_TOKEN = re.compile(r"""([^<]++)|<(/?)([a-z][a-z0-9]*+)((?: [^\s"=>]++="[^"]*+")*+)[^>]*+>""")
_ATTRIBUTE = re.compile(r""" ([^\s"=>]++)="([^"]*+)\"""")
_RULES = re.compile(r"[-_=*~.#+]{4,}")
_AS_RULE = bytes.maketrans(b"_=*~.#+", b"-------")
_QUOTE_MARK = re.compile(r"(?m)^[> ]*>")


def text_from_html(clean_html: str, *, links: bool = False) -> str:
    """Plain text of html that `sanitize` returned (never raw html): blocks as lines, quotes with `> `.

    Hidden text is left out. links adds the address after a link's words when it says more than they do.
    What `sanitize` returns is written in one way only, so a pattern reads it in a quarter of html.parser's time.
    """
    reader = _Reader(links=links)
    for text, closing, tag, attributes in _TOKEN.findall(clean_html):
        if text:
            reader.say(unescape(text) if "&" in text else text)
        elif closing:
            reader.close(tag)
        else:
            reader.open(tag, attributes)
    return reader.text()


@lru_cache(maxsize=1024)
def _hides(style: str) -> bool:
    return _HIDDEN.search(style) is not None


class _Reader:
    def __init__(self, *, links: bool) -> None:
        self.links = links
        self.lines: list[str] = []
        self.current: list[str] = []
        self.hidden = 0  # how many open elements lie at or below a hidden one
        self.quote = 0
        self.pre = 0
        self.gap = False  # an empty line is due before the next line
        self.line_quote = 0  # quote depth of the last line
        self.href = ""
        self.link_start = 0

    def open(self, tag: str, attributes: str) -> None:
        if self.hidden or ('style="' in attributes and _hides(_value(attributes, "style"))):
            self.hidden += tag not in _VOID
        elif tag == "br":
            self._line()
        elif tag == "img":
            self.current.append(_value(attributes, "alt"))
        elif tag in ("td", "th"):
            self.current.append(" ")
        elif tag == "a":
            self.href, self.link_start = _value(attributes, "href"), len(self.current)
        elif tag in _BLOCKS:
            self._block(tag, opening=True)

    def close(self, tag: str) -> None:
        if self.hidden:
            self.hidden -= tag not in _VOID
        elif tag == "a":
            self._end_link()
        elif tag in _BLOCKS:
            self._block(tag, opening=False)

    def say(self, text: str) -> None:
        if self.hidden:
            return
        if not self.pre:
            self.current.append(text)
            return
        first, *others = text.split("\n")
        self.current.append(first)
        for line in others:
            self._line()
            self.current.append(line)

    def _block(self, tag: str, *, opening: bool) -> None:
        if "".join(self.current).strip():
            self._line()
        self.current = []
        self.gap = self.gap or tag in _SPACED
        change = 1 if opening else -1
        if tag == "blockquote":
            self.quote = min(20, max(0, self.quote + change))
        elif tag == "pre":
            self.pre = max(0, self.pre + change)
        elif opening and tag == "li":
            self.current.append("- ")

    def _end_link(self) -> None:
        words = "".join(self.current[self.link_start :]).strip()
        target = self.href.removeprefix("mailto:")
        if (
            self.links
            and self.href
            and target.rstrip("/") not in (words, "http://" + words, "https://" + words)
        ):
            self.current.append(f" <{target}>")
        self.href = ""

    def _line(self) -> None:
        text = "".join(self.current)
        text = text.rstrip() if self.pre else " ".join(text.split())
        if self.gap and self.lines:
            self.lines.append("> " * min(self.quote, self.line_quote))
        self.lines.append("> " * self.quote + text)
        self.line_quote, self.gap, self.current = self.quote, False, []

    def text(self) -> str:
        if self.current:
            self._line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in self.lines)).strip("\n")


def _value(attributes: str, name: str) -> str:
    """The value of one attribute; '' when it is not there."""
    return unescape(dict(_ATTRIBUTE.findall(attributes)).get(name, ""))


def preview(text: str, length: int = 200) -> str:
    """One line of at most `length` characters: what is new in the text, without quotes, rules and invisible signs."""
    line = ""
    for looked_at in (4 * length, 20_000):  # most letters say enough at once
        fresh, quoted = split_quote(text[:looked_at])
        # the last word may have been cut; without it this is how the whole line begins
        line = _one_line(fresh[: 2 * length]).rpartition(" ")[0]
        if len(line) <= length:
            line = _one_line(fresh)
        if len(line) > length or len(text) <= looked_at:
            break
    line = line or _one_line(_QUOTE_MARK.sub("", quoted))
    if len(line) <= length:
        return line
    return line[: max(0, length - 1)].rstrip() + "…"


def _one_line(text: str) -> str:
    if not text.isascii():
        text = _visible(text)
    # a look at the bytes takes a third of the pattern's time, and most texts have no rule
    if b"----" in text.encode("utf-8", "replace").translate(_AS_RULE):
        text = _RULES.sub(" ", text)
    return " ".join(text.split())


def _visible(text: str) -> str:
    """The text without invisible signs. Latin-1, which most western texts keep to, has but one; asking is cheap."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return _INVISIBLE.sub("", text)
    return text.replace("\u00ad", "")
