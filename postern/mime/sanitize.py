# ruff: noqa: SIM905  (word lists read better as one string)
"""Mail html made harmless once, at intake, and stored with SANITIZER_VERSION. Nothing edits its output afterwards.

The frame's sandbox and policy are the second wall; this one must hold alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import nh3

from postern.mime.charset import storable
from postern.mime.complexity import too_complex
from postern.mime.links import content_id, is_remote, safe_data_image, safe_link
from postern.mime.plain import preview, text_from_html
from postern.mime.styles import clean_style, loads_something

__all__ = ["SANITIZER_VERSION", "Clean", "preview", "sanitize", "text_from_html"]

SANITIZER_VERSION = 1
_ROUNDS = 5

_TAGS = set(
    "a abbr acronym address b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt "
    "em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong "
    "sub sup table tbody td tfoot th thead tr tt u ul var wbr".split()
)
_GONE_WITH_CONTENT = set(
    "script style title template noscript iframe object embed applet svg math select textarea xmp noembed noframes "
    "plaintext audio video canvas frameset".split()
)
_CELL = {"width", "height", "align", "valign", "bgcolor", "background", "colspan", "rowspan", "nowrap"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang", "title", "align"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border", "hspace", "vspace"},
    "table": {"width", "height", "border", "cellpadding", "cellspacing", "bgcolor", "background"},
    "td": _CELL,
    "th": _CELL,
    "tr": {"bgcolor", "valign", "height", "background"},
    "tbody": {"valign"},
    "thead": {"valign"},
    "tfoot": {"valign"},
    "col": {"width", "span"},
    "colgroup": {"width", "span"},
    "font": {"color", "face", "size"},
    "hr": {"width", "size", "color"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"value", "type"},
}
_ADDED = {"rel": "noopener noreferrer nofollow", "target": "_blank"}
_WORD = re.compile(r"[A-Za-z0-9-]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4})?(?:%|px)?")
_COLOUR = re.compile(r"#?[A-Za-z0-9]{1,30}")
_FACE = re.compile(r"[\w ,'\"-]{1,200}")
_SIZE = re.compile(r"[+-]?[0-9]{1,2}")
_SHAPES: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(("dir", "lang", "align", "valign", "nowrap", "type"), _WORD),
    **dict.fromkeys(("width", "height", "border", "hspace", "vspace", "cellpadding", "cellspacing"), _NUMBER),
    **dict.fromkeys(("colspan", "rowspan", "span", "start", "value"), re.compile(r"-?[0-9]{1,3}")),
    **dict.fromkeys(("bgcolor", "color"), _COLOUR),
    "face": _FACE,
    "size": _SIZE,
}


@dataclass(frozen=True)
class Clean:
    """Safe html, how many pictures from elsewhere were left out, and whether the html was too complex to clean."""

    html: str
    remote_images: int
    too_complex: bool


@dataclass
class _Filter:
    """Decides each attribute's value. Anything unexpected removes the attribute."""

    image: Callable[[str], str | None]
    remote: set[str] = field(default_factory=set)

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        try:
            return self._decide(tag, name, value)
        except Exception:
            return None

    def _decide(self, tag: str, name: str, value: str) -> str | None:
        if name == "href":
            return safe_link(value)
        if name == "src":
            return self._source(value)
        if name == "style":
            if loads_something(value):
                self.remote.add(value)
            return clean_style(value)
        if name in ("title", "alt"):
            return value[:1000]
        if name in _ADDED:  # the mail's own are not allowed through: this is what nh3 itself sets
            return _ADDED[name]
        if name == "background":
            if is_remote(value):
                self.remote.add(value)
            return None
        shape = _SHAPES.get(name)
        value = value.strip()
        return value if shape and shape.fullmatch(value) else None

    def _source(self, value: str) -> str | None:
        if is_remote(value):
            self.remote.add(value)
        return self.image(value)


def sanitize(
    html: str,
    *,
    cid_url: Callable[[str], str | None] | None = None,
    remote_url: Callable[[str], str | None] | None = None,
) -> Clean:
    """Clean html for the sandboxed frame.

    cid_url turns a Content-ID into our own authorised address (None drops the image); without it `cid:` stays.
    remote_url does the same for http(s) images after consent; without it they are removed. Both results are
    trusted. The output is a fixed point of the parser: cleaning it again gives the same bytes (S-002, S-003).
    """
    html = storable(html)
    if too_complex(html):
        return Clean("", 0, True)
    filtered = _Filter(_kept(remote=remote_url is not None))
    clean = _settled(html, _run(html, filtered), remote=remote_url is not None)
    if clean is None:
        return Clean("", 0, True)
    if cid_url or remote_url:
        clean = _run(clean, _Filter(_rewritten(cid_url, remote_url)))
    return Clean(clean, len(filtered.remote), False)


def _settled(html: str, clean: str, *, remote: bool) -> str | None:
    """`clean`, cleaned again until nothing changes; None when it never settles. What came out as it was is settled."""
    rounds = 0
    while clean != html:
        if rounds == _ROUNDS:
            return None
        rounds += 1
        html, clean = clean, _run(clean, _Filter(_kept(remote=remote)))
    return clean


def _run(html: str, attribute_filter: _Filter) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_GONE_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=attribute_filter,
        link_rel=_ADDED["rel"],
        set_tag_attribute_values={"a": {"target": _ADDED["target"]}},
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
    )


def _kept(*, remote: bool) -> Callable[[str], str | None]:
    """Images as they stand: cid, raster data, and remote ones when a later pass will rewrite them."""

    def keep(value: str) -> str | None:
        if cid := content_id(value):
            return "cid:" + cid
        return safe_data_image(value) or (safe_link(value) if remote and is_remote(value) else None)

    return keep


def _rewritten(
    cid_url: Callable[[str], str | None] | None, remote_url: Callable[[str], str | None] | None
) -> Callable[[str], str | None]:
    def rewrite(value: str) -> str | None:
        if cid := content_id(value):
            return cid_url(cid) if cid_url else "cid:" + cid
        if is_remote(value):
            return remote_url(value) if remote_url else None
        return safe_data_image(value)

    return rewrite
