# ruff: noqa: SIM905  (word lists read better as one string)
"""Is this html cheap enough to sanitise? html5ever is quadratic on deep nesting, so we count first, linearly."""

import re

MAX_LENGTH = 1_000_000  # characters
MAX_DEPTH = 500
MAX_ATTRIBUTES = 200
MAX_TAGS = 15_000
MAX_REOPENED = 200_000  # unclosed formatting elements are opened again in every new block
MAX_ESCAPED = 40_000_000_000  # signs written as entities, times bytes: each makes the writer look at the rest

_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
_TAG = re.compile(
    r"<(?:!--(?:>|->|.*?(?:-->|--!>|\Z))|(/?)([a-zA-Z][^\s/>]*+)((?:" + _ATTRIBUTE + r")*+))", re.DOTALL
)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_OPENERS = re.compile("<[a-zA-Z]")
_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr basefont bgsound frame".split()
)
# The parser closes these by itself before the next of their kind.
_SELF_CLOSING = frozenset("p li dd dt td th tr tbody thead tfoot option colgroup body html head".split())
_NEVER_OPEN = _VOID | _SELF_CLOSING
_BARRIERS = frozenset("table object applet marquee template svg math button select".split())
_RAW_TEXT = frozenset("script style title textarea xmp iframe noembed noframes noscript".split())
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())


# Html of which every `<` begins a short and plain tag, or no tag at all: then their number alone says enough.
_PLAIN_ATTRIBUTE = r"""\s++[a-zA-Z0-9:_.-]{1,40}+(?:\s?+=\s?+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>=`]++))?+"""
_PLAIN_HTML = re.compile(
    rf"(?:[^<]++|<[!?]|</?+[a-zA-Z][a-zA-Z0-9:_-]{{0,30}}+(?:{_PLAIN_ATTRIBUTE}){{0,20}}+\s*+/?+>)*+"
)


def too_complex(html: str) -> bool:
    """True when cleaning could take long: too large, too many tags or attributes, nested or reopened too often."""
    opening = html.count("<")
    if len(html) > MAX_LENGTH or (opening > MAX_TAGS and len(_OPENERS.findall(html)) > MAX_TAGS):
        return True
    if len(html) > 100_000 and _escapes_much(html):
        return True
    if opening <= MAX_DEPTH and _PLAIN_HTML.fullmatch(html):
        return False  # no more tags than levels, and too few to be reopened too often
    counter = _Counter()
    position = 0
    while found := _TAG.search(html, position):
        position = found.end()
        closer, name, attributes = found.groups()
        if not name:
            continue
        name = name.lower()
        if not counter.accepts(name, attributes, closer=bool(closer)):
            return True
        if name in _RAW_TEXT and not closer:
            closing = re.compile(f"</{re.escape(name)}", re.IGNORECASE).search(html, position)
            position = closing.start() if closing else position
    return False


def _escapes_much(html: str) -> bool:
    escaped = html.count("&") + html.count("\u00a0")
    return escaped * len(html.encode(errors="ignore")) > MAX_ESCAPED


class _Counter:
    def __init__(self) -> None:
        self.open: list[str] = []
        self.formatting = 0
        self.reopened = 0

    def accepts(self, name: str, attributes: str, *, closer: bool) -> bool:
        self.reopened += self.formatting
        if self.reopened > MAX_REOPENED or len(name) > 100:
            return False
        if len(attributes) > 2 * MAX_ATTRIBUTES and len(_ONE_ATTRIBUTE.findall(attributes)) > MAX_ATTRIBUTES:
            return False
        if name in _NEVER_OPEN:
            return True
        if closer:
            self._close(name)
        else:
            self.open.append(name)
            self.formatting += name in _FORMATTING
        return len(self.open) <= MAX_DEPTH

    def _close(self, name: str) -> None:
        """Forget the innermost such element; the parser ignores a closing tag that a table or svg keeps from it."""
        for index in range(len(self.open) - 1, -1, -1):
            if self.open[index] == name:
                del self.open[index]
                self.formatting -= name in _FORMATTING
                return
            if self.open[index] in _BARRIERS:
                return
