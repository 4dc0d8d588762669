"""The tree of a letter's parts, found by searching boundaries inside the parent's bytes. Bodies stay undecoded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from postern.mime.headers import Headers, read_headers
from postern.mime.parameters import content_type, parameters
from postern.mime.transfer import Raw, encoding_name, undo_range

MAX_PARTS = 2000
MAX_DEPTH = 20  # each level is searched to its end: twenty cost what reading the letter once costs
MAX_DELIMITERS = 100_000  # places of a whole letter looked at that could be a delimiter

Outer = tuple[tuple[int, int, str], ...]

_GUESS = re.compile(rb"^--([^\s-][^\r\n]{0,200}?)[ \t]*\r?$", re.MULTILINE)
# What may follow the boundary on its line; anything else is another, longer boundary.
_TAIL = re.compile(rb"(--)?+(?:[ \t]*+(?:\r?\n|\r|\Z)|(?<=--)[ \t][^\r\n]*+\r?\n?)")
_DISPOSITION = re.compile(r"[A-Za-z-]{1,40}")


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
    encoding: str  # a name transfer.undo_range knows
    outer: Outer = ()  # (offset, length, encoding) to undo first, outermost first


@dataclass(slots=True)
class Node:
    """One part: its headers, and where its body lies in `data` (the letter, or bytes decoded from it)."""

    data: Raw
    start: int
    end: int
    headers: Headers
    kind: str
    params: dict[str, str]
    encoding: str
    parent: str
    outer: Outer = ()
    children: list["Node"] = field(default_factory=list)
    _disposition: tuple[str, dict[str, str]] | None = None

    def content(self) -> bytes:
        """The decoded body."""
        return undo_range(self.data, self.start, self.end, self.encoding)

    def disposition(self) -> tuple[str, dict[str, str]]:
        """('attachment' | 'inline' | '' | ..., parameters) of Content-Disposition."""
        if self._disposition is None:
            self._disposition = self._read_disposition()
        return self._disposition

    def _read_disposition(self) -> tuple[str, dict[str, str]]:
        text = self.headers.text("content-disposition")
        found = _DISPOSITION.match(text)
        return (found[0].lower() if found else ""), (parameters(text) if ";" in text else {})

    def leaves(self) -> Iterator["Node"]:
        """The parts that hold content, in order."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


class Tree:
    """Builds the nodes of one letter under the caps and gathers what was wrong."""

    def __init__(self) -> None:
        self.defects: dict[str, None] = {}
        self.count = 0
        self.left = MAX_DELIMITERS

    def note(self, defect: str) -> None:
        self.defects[defect] = None

    def read(
        self, data: Raw, start: int, end: int, parent: str = "", depth: int = 0, outer: Outer = ()
    ) -> Node:
        """The part whose headers begin at `start`, with everything inside it."""
        self.count += 1
        headers, body = read_headers(data, start, end, self.note, root=not depth)
        kind, params = content_type(headers.text("content-type"))
        if not kind and "name" in params:  # `application-x-gzip; name=a.gz`: surely no text
            kind = "application/octet-stream"
        elif not kind:
            kind = "message/rfc822" if parent == "multipart/digest" else "text/plain"
        encoding = encoding_name(headers.text("content-transfer-encoding"))
        headers.fallback = params.get("charset", "")
        node = Node(data, body, end, headers, kind, params, encoding, parent, outer)
        if kind.startswith("multipart/"):
            self._open(node, depth)
        return node

    def _open(self, node: Node, depth: int) -> None:
        if depth >= MAX_DEPTH:
            self.note("truncated: depth")
            return
        boundary = node.params.get("boundary", "").rstrip().encode("utf-8", "replace")
        ranges = self._ranges(node.data, node.start, node.end, boundary) if boundary else []
        if not ranges:
            ranges = self._second_try(node)
        for start, end in ranges:
            if self.count >= MAX_PARTS:
                self.note("truncated: parts")
                break
            node.children.append(self.read(node.data, start, end, node.kind, depth + 1, node.outer))
        if not node.children:
            self.note("multipart without parts")
            node.kind = "text/plain"

    def _second_try(self, node: Node) -> list[tuple[int, int]]:
        """No declared boundary was found: the body may be encoded as a whole, or use another boundary."""
        if node.encoding in ("base64", "uuencode"):
            self.note("encoded multipart")
            node.outer = (*node.outer, (node.start, node.end - node.start, node.encoding))
            node.data = node.content()
            node.start, node.end, node.encoding = 0, len(node.data), ""
            boundary = node.params.get("boundary", "").rstrip().encode("utf-8", "replace")
            if boundary and (ranges := self._ranges(node.data, 0, node.end, boundary)):
                return ranges
        guess = _GUESS.search(node.data, node.start, min(node.end, node.start + 65_536))
        if not guess:
            return []
        self.note("boundary guessed")
        return self._ranges(node.data, node.start, node.end, guess[1])

    def _ranges(self, data: Raw, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
        """(start, end) of each part between delimiter lines (RFC 2046 5.1.1)."""
        ranges: list[tuple[int, int]] = []
        opened = -1  # where the current part begins; -1 in preamble and epilogue
        closed = False
        for line, after, closing in self._delimiters(data, start, end, boundary):
            if opened >= 0:
                ranges.append((opened, _without_line_end(data, opened, line)))
            if closed and not closing:
                self.note("parts after the closing boundary")
            closed = closed or closing
            opened = -1 if closing else after
            if self.count + len(ranges) >= MAX_PARTS:
                self.note("truncated: parts")
                return ranges
        if opened >= 0:
            self.note("closing boundary missing")
            ranges.append((opened, end))
        return ranges

    def _delimiters(
        self, data: Raw, start: int, end: int, boundary: bytes
    ) -> Iterator[tuple[int, int, bool]]:
        """(line start, offset after the line, is closing) of every line that is this boundary and nothing more.

        Lines that only begin like it are passed over, and a letter can hold ten million: so many and no more.
        """
        mark = b"--" + boundary
        position = data.find(mark, start, end)
        while position >= 0:
            self.left -= 1
            if self.left < 0:
                self.note("truncated: delimiters")
                return
            after = position + len(mark)
            if position == start or data[position - 1] in b"\r\n":
                tail = _TAIL.match(data, after, end)
                if tail:
                    after = tail.end()
                    yield position, after, tail[1] is not None
            position = data.find(mark, after, end)


def _without_line_end(data: Raw, start: int, end: int) -> int:
    """The line end before a delimiter belongs to the delimiter."""
    if end > start and data[end - 1] == 10:
        end -= 1
    if end > start and data[end - 1] == 13:
        end -= 1
    return end


def rooted(raw: Raw) -> Raw:
    """The letter with CR line ends turned to LF when it has no LF at all; offsets stay the same."""
    return raw[:].replace(b"\r", b"\n") if raw.find(b"\n") < 0 else raw


def read_tree(raw: Raw) -> tuple[Node, list[str]]:
    """The root part of a letter and the defects met on the way."""
    tree = Tree()
    data = rooted(raw)
    root = tree.read(data, 0, len(data))
    return root, list(tree.defects)
