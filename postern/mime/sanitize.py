# ruff: noqa: SIM905  (word lists read better as one string)
"""Mail html made harmless once, at intake, and stored with SANITIZER_VERSION. Nothing edits its output afterwards.

The frame's sandbox and policy are the second wall; this one must hold alone.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

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


class _Washer(threading.local):
    """nh3 as it is set up, made once a thread: that costs as much as a short letter."""

    def __init__(self) -> None:
        self.image: Callable[[str], str | None] = _dropped
        self.remote: set[str] = set()
        self._cleaner = nh3.Cleaner(
            tags=_TAGS,
            clean_content_tags=_GONE_WITH_CONTENT,
            attributes=_ATTRIBUTES,
            attribute_filter=self._filter,
            link_rel=_ADDED["rel"],
            set_tag_attribute_values={"a": {"target": _ADDED["target"]}},
            url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        )

    def wash(self, html: str, image: Callable[[str], str | None]) -> str:
        """Clean once; `image` decides on the sources of images, `remote` then names what was to be loaded."""
        self.image, self.remote = image, set()
        return self._cleaner.clean(html)

    def _filter(self, tag: str, name: str, value: str) -> str | None:
        """Decide an attribute's value. Anything unexpected removes the attribute."""
        try:
            if name == "src":
                if is_remote(value):
                    self.remote.add(value)
                return self.image(value)
            kept, loads = _decided(name, value) if len(value) <= _CACHED else _decide(name, value)
        except Exception:
            return None
        if loads:
            self.remote.add(value)
        return kept


def _dropped(value: str) -> None:
    return None


def _decide(name: str, value: str) -> tuple[str | None, bool]:
    """The value that is kept, if any, and whether the attribute would have loaded something."""
    if name == "href":
        return safe_link(value), False
    if name == "style":
        return clean_style(value), loads_something(value)
    if name in ("title", "alt"):
        return value[:1000], False
    if name in _ADDED:  # the mail's own are not allowed through: this is what nh3 itself sets
        return _ADDED[name], False
    if name == "background":
        return None, is_remote(value)
    shape = _SHAPES.get(name)
    value = value.strip()
    return (value if shape and shape.fullmatch(value) else None), False


# A letter's styles and links come again and again, at the latest when it is cleaned a second time.
_CACHED = 200
_decided = lru_cache(maxsize=4096)(_decide)
_washer = _Washer()


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
    html = html.replace("\0", "")
    if too_complex(html):
        return Clean("", 0, True)
    keep = _kept(remote=remote_url is not None)
    try:
        first = _washer.wash(html, keep)
    except UnicodeEncodeError:  # lone surrogates: looking for them beforehand costs a twentieth of the wash
        html = storable(html)
        first = _washer.wash(html, keep)
    remote_images = len(_washer.remote)
    clean = _settled(html, first, keep)
    if clean is None:
        return Clean("", 0, True)
    if cid_url or remote_url:
        clean = _washer.wash(clean, _rewritten(cid_url, remote_url))
    return Clean(clean, remote_images, False)


def _settled(html: str, clean: str, keep: Callable[[str], str | None]) -> str | None:
    """`clean`, cleaned again until nothing changes; None when it never settles. What came out as it was is settled."""
    rounds = 0
    while clean != html:
        if rounds == _ROUNDS:
            return None
        rounds += 1
        html, clean = clean, _washer.wash(clean, keep)
    return clean


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
