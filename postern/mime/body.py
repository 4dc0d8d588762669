"""Which parts of a letter are its text, which its html, and which are attachments."""

import re
from dataclasses import dataclass, field, replace
from html import escape
from urllib.parse import unquote

from postern.mime.charset import decode
from postern.mime.flowed import unflow
from postern.mime.headers import read_headers
from postern.mime.parameters import file_name, safe_name
from postern.mime.parts import Node, Outer
from postern.mime.transfer import undo
from postern.mime.words import one_line

_CID = re.compile(r"""cid:([^"'\s>)]{1,500})""", re.IGNORECASE)
# An alternative that only says that the other one should be read.
_EXCUSE = re.compile(
    r"(?:e-?mail|message|mail|program|reader|client|viewer)[^.]{0,80}"
    r"(?:does not|doesn't|cannot|can't|unable to|not able to)[^.]{0,40}(?:html|display|support)",
    re.IGNORECASE,
)
_VISIBLE = re.compile(
    r"<(?:style|script|title|head)\b.*?(?:</(?:style|script|title|head)\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_WORDS = re.compile(r">\s*[^\s<&]")  # text after a tag: the quick answer for most pages
_UU = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n(?=[!-`][^\r\n]*\r?\n)", re.MULTILINE)
_UU_END = re.compile(rb"^end[ \t]*\r?$", re.MULTILINE)
_YENC = re.compile(rb"^=ybegin [^\r\n]{0,200}?name=([^\r\n]{1,255})\r?\n", re.MULTILINE)
_YENC_END = re.compile(rb"^=yend [^\r\n]{0,200}", re.MULTILINE)
# Other shapes of the same text, never files of their own.
_ONLY_ALTERNATIVES = ("text/x-amp-html", "text/enriched", "text/richtext", "text/watch-html")
MAX_BODY = 4_000_000  # characters kept of the text and of the html; the raw letter stays whole


@dataclass(frozen=True)
class Part:
    """An attachment or inline image. offset and length lie in the raw letter, or in the innermost `outer` bytes."""

    index: int
    filename: str
    content_type: str
    size: int  # decoded bytes
    content_id: str  # without <>
    inline: bool  # an image the html shows
    offset: int
    length: int
    encoding: str  # a name transfer.undo knows
    outer: Outer = ()  # (offset, length, encoding) to undo first, outermost first
    charset: str = ""


@dataclass
class Body:
    """What the walk gathers, in reading order."""

    texts: list[str] = field(default_factory=list)
    pages: list[tuple[str, bool]] = field(default_factory=list)  # (html or text, is html)
    files: list[Part] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(text for text in self.texts if text.strip())[:MAX_BODY]

    def html(self) -> str:
        """The html pages joined; plain text between them is escaped and kept in its place."""
        if not any(is_html for _, is_html in self.pages):
            return ""
        if len(self.pages) == 1:
            return self.pages[0][0][:MAX_BODY]
        return "\n".join(
            page if is_html else f'<div style="white-space:pre-wrap">{escape(page)}</div>'
            for page, is_html in self.pages
            if page.strip()
        )[:MAX_BODY]


def read_body(root: Node) -> Body:
    """Walk the tree: alternatives chosen, related images told from attachments, embedded files taken out."""
    body = Body()
    _walk(root, body, first=True)
    shown = {
        unquote(found).strip("<>") for page, is_html in body.pages if is_html for found in _CID.findall(page)
    }
    if shown:
        body.files = [replace(part, inline=True) if _used(part, shown) else part for part in body.files]
    return body


def _used(part: Part, shown: set[str]) -> bool:
    """An image is inline when the html shows it; one that nothing shows is an attachment."""
    if not part.content_id or not part.content_type.startswith("image/"):
        return False
    return part.content_id in shown or unquote(part.content_id) in shown


def _walk(node: Node, body: Body, *, first: bool) -> None:
    if node.kind == "multipart/alternative" and node.children:
        _alternative(node, body)
    elif node.children:
        for position, child in enumerate(node.children):
            _walk(child, body, first=first and position == 0)
    elif node.kind in ("text/plain", "text/html") and _is_body(node, first):
        _show(node, body)
    elif not (node.parent == "multipart/alternative" and node.kind in _ONLY_ALTERNATIVES):
        body.files.append(_part(node, len(body.files)))


def _is_body(node: Node, first: bool) -> bool:
    """Disposition is a hint only: a nameless text is read, a named one only in first place."""
    if "content-disposition" not in node.headers and "name" not in node.params:
        return True
    disposition, parameters = node.disposition()
    named = bool(file_name(parameters, node.params))
    if disposition == "attachment":
        return first and not node.parent and not named
    return first or not named


def _alternative(node: Node, body: Body) -> None:
    """The text of the first plain child, the html of the last child that has one; other kinds are files."""
    kept = Body(files=body.files)
    choices: list[Body] = []
    for child in node.children:
        choice = Body(files=kept.files)
        _walk(child, choice, first=True)
        choices.append(choice)
    html = next((c.html() for c in reversed(choices) if _shows_something(c.html())), "")
    text = next((c.text() for c in choices if c.text().strip()), "")
    if not text:
        text = _enriched(node)
    if html and len(text) < 400 and _EXCUSE.search(text):
        text = ""
    if text:
        body.texts.append(text)
    if html or text:
        body.pages.append((html, True) if html else (text, False))


def _enriched(node: Node) -> str:
    """text/enriched without a plain alternative: read without its formatting commands (RFC 1896)."""
    for child in node.children:
        if child.kind in ("text/enriched", "text/richtext"):
            text = re.sub(r"<[^<>]{1,60}>", "", _text(child).replace("<<", "\0"))
            return text.replace("\0", "<")
    return ""


def _shows_something(html: str) -> bool:
    if not html:
        return False
    head = html[:200_000]
    lower = head.lower()
    if not any(mark in lower for mark in ("<style", "<script", "<title", "<!--")) and _WORDS.search(head):
        return True
    return "<img" in lower or bool(_VISIBLE.sub("", head).replace("&nbsp;", "").strip())


def _show(node: Node, body: Body) -> None:
    if node.kind == "text/html":
        page = decode(node.content(), node.params.get("charset", ""), html=True)
        body.pages.append((_lines(page).rstrip("\n"), True))
        return
    text = _text(node, body)
    body.texts.append(text)
    body.pages.append((text, False))


def _text(node: Node, body: Body | None = None) -> str:
    data = node.content()
    if body is not None and (b"begin " in data or b"=ybegin " in data):
        data = _take_files_out(node, data, body)
    text = _lines(decode(data, node.params.get("charset", "")))
    if node.params.get("format", "").lower() == "flowed":
        text = unflow(text, delete_space=node.params.get("delsp", "").lower() == "yes")
    return text


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _take_files_out(node: Node, data: bytes, body: Body) -> bytes:
    """uuencoded and yEnc files inside a text become parts; the text keeps what stands around them."""
    kept, position = [], 0
    for begin, finish, encoding in ((_UU, _UU_END, "uuencode"), (_YENC, _YENC_END, "yenc")):
        while len(body.files) < 200 and (found := begin.search(data, position)):
            end = finish.search(data, found.end())
            if not end:
                break
            outer = node.outer
            if node.encoding or node.outer:
                outer = (*node.outer, (node.start, node.end - node.start, node.encoding))
            shift = 0 if outer else node.start
            name = safe_name(decode(found[1]).strip())
            body.files.append(
                _file(data, found.start(), end.end(), shift, encoding, name, outer, len(body.files))
            )
            kept.append(data[position : found.start()])
            position = end.end()
    return b"".join([*kept, data[position:]])


def _file(
    data: bytes, start: int, end: int, shift: int, encoding: str, name: str, outer: Outer, index: int
) -> Part:
    size = len(undo(data[start:end], encoding))
    return Part(
        index, name, "application/octet-stream", size, "", False, start + shift, end - start, encoding, outer
    )


def _part(node: Node, index: int) -> Part:
    _, parameters = node.disposition()
    name = file_name(parameters, node.params)
    if not name and node.kind == "message/rfc822":
        name = _enclosed_name(node)
    cid = one_line(node.headers.text("content-id")).strip("<> ")
    size = node.end - node.start if not node.encoding else len(node.content())
    return Part(
        index, name, node.kind, size, cid, False, node.start, node.end - node.start, node.encoding, node.outer,
        node.params.get("charset", ""),
    )  # fmt: skip


def _enclosed_name(node: Node) -> str:
    """An enclosed letter is called by its subject."""
    data = node.content()[:65_536]
    headers, _ = read_headers(data, 0, len(data), lambda defect: None)
    return safe_name(headers.get("subject").replace("/", "-")[:80] + ".eml") or "letter.eml"
