"""Files that lie inside a text: uuencoded and yEnc blocks. They become parts; the text keeps what stands around them."""

import re
from collections.abc import Callable, Iterator

from postern.mime.charset import decode
from postern.mime.parameters import safe_name
from postern.mime.parts import Node, Outer, Part
from postern.mime.transfer import Raw, decoded_size

MAX_FILES = 200
_UU = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?\n(?=[!-`][^\r\n]*\r?\n)", re.MULTILINE)
_UU_END = re.compile(rb"^end[ \t]*\r?$", re.MULTILINE)
_YENC = re.compile(rb"^=ybegin [^\r\n]{0,200}?name=([^\r\n]{1,255})\r?\n", re.MULTILINE)
_YENC_END = re.compile(rb"^=yend [^\r\n]{0,200}", re.MULTILINE)


def without_files(
    data: Raw, start: int, end: int, outer: Outer, add: Callable[[Part], None], limit: int
) -> bytes:
    """data[start:end] without its encoded files, at most `limit` bytes of it; each file goes to `add`.

    `outer` says how `data` itself is got from the raw letter.
    """
    kept: list[bytes] = []
    position = start
    for first, after, part in _files(data, start, end, outer):
        kept.append(data[position : min(first, position + limit)])
        position = after
        add(part)
    kept.append(data[position : min(end, position + limit)])
    return b"".join(kept)[:limit]


def _files(data: Raw, start: int, end: int, outer: Outer) -> Iterator[tuple[int, int, Part]]:
    position, count = start, 0
    for begin, finish, encoding in ((_UU, _UU_END, "uuencode"), (_YENC, _YENC_END, "yenc")):
        while count < MAX_FILES and (found := begin.search(data, position, end)):
            last = finish.search(data, found.end(), end)
            if not last:
                break
            name = safe_name(decode(found[1]).strip())
            length = last.end() - found.start()
            size = decoded_size(data, found.start(), last.end(), encoding)
            yield found.start(), last.end(), Part(
                0, name, "application/octet-stream", size, "", False, found.start(), length, encoding, outer
            )  # fmt: skip
            position, count = last.end(), count + 1


def coordinates(node: Node) -> tuple[Raw, int, int, Outer]:
    """(data, start, end, outer) of a node's decoded body, without a copy where nothing has to be decoded."""
    if not node.encoding:
        return node.data, node.start, node.end, node.outer
    data = node.content()
    return data, 0, len(data), (*node.outer, (node.start, node.end - node.start, node.encoding))
