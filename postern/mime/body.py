"""Which parts of a letter are its text, which its html, and which are attachments."""

import re
from dataclasses import dataclass, field, replace
from html import escape
from io import IncrementalNewlineDecoder
from mimetypes import MimeTypes
from urllib.parse import unquote

from postern.mime.calendars import MAX_BYTES as MAX_CALENDAR
from postern.mime.calendars import Event, read_events
from postern.mime.charset import decode
from postern.mime.complexity import MAX_LENGTH as MAX_PAGE
from postern.mime.flowed import unflow
from postern.mime.headers import read_headers
from postern.mime.inside import coordinates, without_files
from postern.mime.parameters import content_type, file_name, safe_name
from postern.mime.parts import Node, Part
from postern.mime.tnef import KINDS, Tnef, read_tnef
from postern.mime.transfer import decoded_size, undo_range
from postern.mime.words import one_line

_CID = re.compile(r"""cid:([^"'\s>)]{1,500})""", re.IGNORECASE)
# An alternative that only says that the other one should be read.
_EXCUSE = re.compile(
    r"(?:e-?mail|message|mail|program|reader|client|viewer)[^.]{0,80}"
    r"(?:does not|doesn't|cannot|can't|unable to|not able to)[^.]{0,40}(?:html|display|support)",
    re.IGNORECASE,
)
# One thing that shows nothing. (Not one possessive pattern for all of them: Python 3.11's re fails on such.)
_NOTHING = re.compile(
    r"\s+|&nbsp;|<!--.*?(?:-->|\Z)|<style\b.*?(?:</style\s*>|\Z)|<script\b.*?(?:</script\s*>|\Z)|"
    r"<title\b.*?(?:</title\s*>|\Z)|(?!<img\b)<[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_LOOKED_AT = 200_000  # characters
# Other shapes of the same text, never files of their own.
_ONLY_ALTERNATIVES = ("text/x-amp-html", "text/enriched", "text/richtext", "text/watch-html")
MAX_BYTES = 8_000_000  # looked at of one text or html part, decoded
MAX_ENCODED = 4 * MAX_BYTES  # quoted-printable at its worst, with some room
_UNIVERSAL = IncrementalNewlineDecoder(None, translate=True)
_BEGIN = re.compile(rb"begin ")  # finds its first letter by memchr: half of what `in` costs
_TYPES = MimeTypes()  # what Python knows by itself, the same on every machine
MAX_OPENED = 64_000_000  # of a winmail.dat
MAX_BODY = 4_000_000  # characters kept of the text and of the html; the raw letter stays whole


@dataclass
class Budget:
    """What may still be spent on a letter, however many parts it has."""

    text: int = 2 * MAX_BYTES  # bytes of texts and pages, decoded: they stay in memory until all are there
    calendars: int = 2 * MAX_CALENDAR  # bytes
    events: int = 200
    bags: int = 3  # of Outlook that are opened
    looks: int = 100_000  # at things that show nothing


@dataclass
class Body:
    """What the walk gathers, in reading order."""

    texts: list[str] = field(default_factory=list)
    pages: list[tuple[str, bool]] = field(default_factory=list)  # (html or text, is html)
    files: list[Part] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    packed: list[Tnef] = field(default_factory=list)  # what was opened of Outlook's own format
    events: list[Event] = field(default_factory=list)
    left: Budget = field(default_factory=Budget)  # one for the whole letter

    def add(self, part: Part) -> None:
        """One more file; its index is its place in the list."""
        self.files.append(replace(part, index=len(self.files)) if part.index != len(self.files) else part)

    def text(self) -> str:
        """The texts that hold more than blanks, one below the other."""
        return "\n".join([text for text in self.texts if text and not text.isspace()])[:MAX_BODY]

    def html(self) -> str:
        """The html pages joined; plain text between them is escaped and kept in its place."""
        if len(self.pages) == 1:
            page, is_html = self.pages[0]
            return page[:MAX_BODY] if is_html else ""
        if not any(is_html for _, is_html in self.pages):
            return ""
        joined: list[str] = []
        length = 0
        for page, is_html in self.pages:
            if length < MAX_BODY and not (page.isspace() or not page):
                page = page[:MAX_BODY]
                joined.append(page if is_html else f'<div style="white-space:pre-wrap">{escape(page)}</div>')
                length += len(joined[-1]) + 1
        return "\n".join(joined)[:MAX_BODY]


def read_body(root: Node) -> Body:
    """Walk the tree: alternatives chosen, related images told from attachments, embedded files taken out."""
    body = Body()
    _walk(root, body, first=True)
    if body.packed:
        _unpack_text(body)
    if body.files and any(part.content_id for part in body.files):
        body.files = _inline(body)
    return body


def _inline(body: Body) -> list[Part]:
    """An image is inline when the html shows it; one that nothing shows is an attachment."""
    shown = {
        unquote(found).strip("<>")
        for page, is_html in body.pages
        if is_html
        for found in _CID.findall(page[:MAX_PAGE])
    }
    return [replace(part, inline=True) if shown and _used(part, shown) else part for part in body.files]


def _used(part: Part, shown: set[str]) -> bool:
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
        _attach(node, body)


def _attach(node: Node, body: Body) -> None:
    """A file; Outlook's bag of files is opened, a calendar is read."""
    part = _part(node, len(body.files))
    if part.content_type in KINDS or part.filename.lower() == "winmail.dat":
        if _opened(node, body):
            return
        body.defects.append("winmail.dat cannot be opened")
    elif part.content_type in ("text/calendar", "application/ics"):
        _read_calendar(node, part, body)
    body.add(part)


def _read_calendar(node: Node, part: Part, body: Body) -> None:
    left = body.left
    if left.events <= 0 or part.size > min(MAX_CALENDAR, left.calendars):
        return
    known = {(event.uid, event.start) for event in body.events}
    events = read_events(decode(node.content(), node.params.get("charset", "utf-8")))
    new = [event for event in events if (event.uid, event.start) not in known]
    body.events += new
    left.calendars -= part.size
    left.events -= len(new)


def _opened(node: Node, body: Body) -> bool:
    if node.end - node.start > MAX_OPENED or body.left.bags <= 0:
        return False
    body.left.bags -= 1
    data, start, end, outer = coordinates(node)
    found = read_tnef(data, start, end)
    if found is None or not (found.files or found.html or found.text):
        return False
    if found.damaged:
        body.defects.append("winmail.dat is damaged")
    body.packed.append(found)
    for file in found.files:
        kind = content_type(file.kind)[0] or _TYPES.guess_type(file.name)[0] or "application/octet-stream"
        cid = one_line(file.content_id)
        body.add(
            Part(0, safe_name(file.name), kind, file.length, cid, False, file.start, file.length, "", outer)
        )
    return True


def _unpack_text(body: Body) -> None:
    """The first packed body is shown where the letter itself has none."""
    html = next((one.html for one in body.packed if one.html), "")
    text = next((one.text for one in body.packed if one.text), "")
    if html and not any(is_html for _, is_html in body.pages):
        body.pages = [(html, True)]
    if text and not body.text():
        body.texts = [text]
        body.pages = body.pages if html else [*body.pages, (text, False)]


def _is_body(node: Node, first: bool) -> bool:
    """Disposition is a hint only: a nameless text is read, a named one only in first place."""
    if "name" not in node.params and "content-disposition" not in node.headers:
        return True
    disposition, parameters = node.disposition()
    if disposition == "attachment":
        return first and not node.parent and not file_name(parameters, node.params)
    return first or not file_name(parameters, node.params)


def _alternative(node: Node, body: Body) -> None:
    """The text of the first plain child, the html of the last child that has one; other kinds are files."""
    choices: list[tuple[str, str]] = []
    for child in node.children:
        choice = Body([], [], body.files, body.defects, body.packed, body.events, body.left)
        _walk(child, choice, first=True)
        choices.append((choice.text(), choice.html()))
    html = next((html for _, html in reversed(choices) if _shows_something(html, body.left)), "")
    text = next((text for text, _ in choices if text), "") or _enriched(node)
    if html and len(text) < 400 and _excuses(text):
        text = ""
    if text:
        body.texts.append(text)
    if html or text:
        body.pages.append((html, True) if html else (text, False))


def _excuses(text: str) -> bool:
    folded = text.casefold()  # without one of these it is no excuse: the whole pattern takes 20 us
    if "not" in folded or "n't" in folded or "unable" in folded:
        return _EXCUSE.search(text) is not None
    return False


def _enriched(node: Node) -> str:
    """text/enriched without a plain alternative: read without its formatting commands (RFC 1896)."""
    for child in node.children:
        if child.kind in ("text/enriched", "text/richtext"):
            text = re.sub(r"<[^<>]{1,60}>", "", _decoded(_start_of(child), child).replace("<<", "\0"))
            return text.replace("\0", "<")
    return ""


def _shows_something(html: str, left: Budget) -> bool:
    """True when a picture or a visible sign stands somewhere; only looked for until the first."""
    end = min(len(html), _LOOKED_AT)
    position = 0
    while left.looks > 0 and (found := _NOTHING.match(html, position, end)):
        left.looks -= 1
        position = found.end()
    return position < end


def _show(node: Node, body: Body) -> None:
    limit = min(MAX_BYTES, body.left.text)
    if node.end - node.start > limit:
        body.defects.append("truncated: text")
    if limit <= 0:
        return
    is_html = node.kind == "text/html"
    data = _start_of(node, limit) if is_html else _own_text(node, body, limit)
    body.left.text -= len(data)
    if is_html:
        page = decode(data, node.params.get("charset", ""), html=True)
        body.pages.append((_lines(page[:MAX_BODY]).rstrip("\n"), True))
        return
    text = _decoded(data, node)
    body.texts.append(text)
    body.pages.append((text, False))


def _own_text(node: Node, body: Body, limit: int) -> bytes:
    """The bytes of a text without the files that lie in it."""
    if node.encoding or node.end - node.start <= limit:
        data = undo_range(node.data, node.start, min(node.end, node.start + MAX_ENCODED), node.encoding)
        if not _BEGIN.search(data):
            return data[:limit]
    elif node.data.find(b"begin ", node.start, node.end) < 0:  # a twentieth of what looking for files costs
        return node.data[node.start : node.start + limit]
    return without_files(*coordinates(node), body.add, limit)


def _start_of(node: Node, limit: int = MAX_BYTES) -> bytes:
    """The decoded bytes of a text, of a very long one only the beginning."""
    end = min(node.end, node.start + (MAX_ENCODED if node.encoding else limit))
    return undo_range(node.data, node.start, end, node.encoding)[:limit]


def _decoded(data: bytes, node: Node) -> str:
    text = _lines(decode(data, node.params.get("charset", ""))[: 2 * MAX_BODY])[:MAX_BODY]
    if node.params.get("format", "").lower() == "flowed":
        text = unflow(text, delete_space=node.params.get("delsp", "").lower() == "yes")
    return text


def _lines(text: str) -> str:
    """CR LF and CR become LF: in one pass, a third of what two `replace` cost. (A `final` call keeps nothing back.)"""
    return _UNIVERSAL.decode(text, final=True) if "\r" in text else text


def _part(node: Node, index: int) -> Part:
    name = ""
    if node.params or "content-disposition" in node.headers:
        name = file_name(node.disposition()[1], node.params)
    if not name and node.kind == "message/rfc822":
        name = _enclosed_name(node)
    cid = one_line(node.headers.text("content-id")).strip("<> ") if "content-id" in node.headers else ""
    length = node.end - node.start
    size = decoded_size(node.data, node.start, node.end, node.encoding)
    part = Part.__new__(Part)
    values = {
        "index": index, "filename": name, "content_type": node.kind, "size": size, "content_id": cid, "inline": False,
        "offset": node.start, "length": length, "encoding": node.encoding, "outer": node.outer,
    }  # fmt: skip
    # a frozen dataclass sets its fields one by one, which takes twice as long
    object.__setattr__(part, "__dict__", values)
    return part


def _enclosed_name(node: Node) -> str:
    """An enclosed letter is called by its subject."""
    data = undo_range(node.data, node.start, min(node.end, node.start + 90_000), node.encoding)[:65_536]
    headers, _ = read_headers(data, 0, len(data), lambda defect: None)
    subject = safe_name(headers.get("subject").replace("/", "-")[:80])
    return f"{subject or 'letter'}.eml"
