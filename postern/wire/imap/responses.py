"""What a server can say: one small type per response, and the reading of a complete response into it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from postern.wire.imap.grammar import ProtocolError, Tokens, Unreadable, Value, number, read_date

NO_FLAGS: frozenset[str] = frozenset()
MAX_UID = 2**32 - 1
MAX_UIDS_IN_SET = 1_000_000


@dataclass(slots=True)
class Line:
    """``+``, tagged or untagged OK, NO, BAD, BYE, PREAUTH: ``code`` is the word in ``[...]``, upper case."""

    status: str
    code: str
    arguments: bytes
    text: str
    tag: str = ""


@dataclass(slots=True)
class Continuation:
    """The server wants more: ``text`` is what stands after the plus."""

    text: bytes


@dataclass(slots=True)
class Capability:
    """Names in upper case."""

    names: frozenset[str]


@dataclass(slots=True)
class Enabled:
    """Names in upper case (RFC 5161)."""

    names: frozenset[str]


@dataclass(slots=True)
class Folder:
    """One LIST line: flags in their own spelling, delimiter None for a flat server, name as on the wire."""

    flags: frozenset[str]
    delimiter: str | None
    wire_name: bytes


@dataclass(slots=True)
class Count:
    """``* n EXISTS``, ``* n RECENT`` or ``* n EXPUNGE``."""

    what: str
    number: int


@dataclass(slots=True)
class Found:
    """The UIDs of SEARCH or ESEARCH."""

    uids: list[int]


@dataclass(slots=True)
class FolderStatus:
    """The items of STATUS, by their names in upper case."""

    wire_name: bytes
    items: dict[str, int]


@dataclass(slots=True)
class Fetch:
    """One FETCH response; what it did not name is None."""

    sequence: int
    uid: int | None = None
    flags: frozenset[str] | None = None
    internaldate: datetime | None = None
    size: int | None = None
    body: bytes | None = None
    modseq: int | None = None


@dataclass(slots=True)
class Vanished:
    """RFC 7162."""

    uids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Other:
    """Something we did not ask for or cannot read; ``kind`` is its first word, upper case."""

    kind: str
    raw: bytes


Event = (
    Line
    | Continuation
    | Capability
    | Enabled
    | Folder
    | Count
    | Found
    | FolderStatus
    | Fetch
    | Vanished
    | Other
)

_STATUSES = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
_COUNTS = frozenset({b"EXISTS", b"RECENT", b"EXPUNGE"})


def read_response(parts: list[bytes]) -> Event:
    """One complete response as an event.

    A response that breaks the grammar becomes ``Other``, for one odd line must not end a mailbox. Only
    too deep nesting raises ``ProtocolError``.
    """
    if parts[0].startswith(b"\x00"):  # quirk nul_padding
        parts = [parts[0].lstrip(b"\x00"), *parts[1:]]
    first = parts[0]
    try:
        if first.startswith(b"* "):
            return _untagged(parts)
        if first.startswith(b"+"):
            return Continuation(first[1:].strip())
        return _tagged(parts)
    except Unreadable:
        return Other(first[:80].split(b" ")[0].decode("ascii", "replace").upper(), first[:400])


def _tagged(parts: list[bytes]) -> Event:
    tokens = Tokens(parts)
    tag = tokens.atom().decode("ascii", "replace")
    tokens.expect(b" ")
    status = tokens.atom().upper()
    if status not in (b"OK", b"NO", b"BAD"):
        raise Unreadable("neither tag nor status")
    line = _status_line(status, tokens)
    line.tag = tag
    return line


def _untagged(parts: list[bytes]) -> Event:
    tokens = Tokens(parts)
    tokens.at = 2
    tokens.spaces()
    word = tokens.atom().upper()
    if word in _STATUSES:
        return _status_line(word, tokens)
    tokens.spaces()
    if word.isdigit():
        return _numbered(number(word), tokens)
    reader = _READERS.get(word)
    if reader is None:
        return Other(word.decode("ascii", "replace"), parts[0][:400])
    return reader(tokens)


def _numbered(count: int, tokens: Tokens) -> Event:
    word = tokens.atom().upper()
    if word in _COUNTS:
        return Count(word.decode(), count)
    if word == b"FETCH":
        tokens.spaces()
        return _fetch(count, tokens)
    return Other(word.decode("ascii", "replace"), tokens.parts[0][:400])


def _status_line(status: bytes, tokens: Tokens) -> Line:
    tokens.spaces()
    code, arguments = "", b""
    if tokens.peek() == b"[":
        close = tokens.text.find(b"]", tokens.at)
        if close > 0:
            word, _, arguments = tokens.text[tokens.at + 1 : close].partition(b" ")
            code = word.decode("ascii", "replace").upper()
            tokens.at = close + 1
            tokens.spaces()
    return Line(status.decode(), code, arguments, _words(tokens.rest()))


def _words(text: bytes) -> str:
    """A server's words for people: readable characters only, never more than a short paragraph."""
    readable = "".join(mark if mark.isprintable() else " " for mark in text[:500].decode("utf-8", "replace"))
    return readable.strip()


def names(text: bytes) -> frozenset[str]:
    """Words separated by spaces, upper case, as in CAPABILITY and ENABLED."""
    return frozenset(text.decode("ascii", "replace").upper().split())


def _capability(tokens: Tokens) -> Capability:
    return Capability(names(tokens.rest()))


def _enabled(tokens: Tokens) -> Enabled:
    return Enabled(names(tokens.rest()))


@lru_cache(maxsize=1024)
def read_flags(text: bytes) -> frozenset[str]:
    """Flags separated by spaces. Eight-bit bytes do occur in keywords and are kept as Latin-1."""
    return frozenset(text.decode("latin-1").split())


def _flags(value: list[Value]) -> frozenset[str]:
    return frozenset(flag.decode("latin-1") for flag in value if isinstance(flag, bytes))


def _list(tokens: Tokens) -> Folder:
    flags = _flags(tokens.items_of_list())
    tokens.spaces()
    delimiter = tokens.nstring()
    tokens.spaces()
    # A folder may be called NIL, and then it stands there as an atom.
    name = tokens.nstring()
    return Folder(flags, delimiter.decode("latin-1") if delimiter else None, b"NIL" if name is None else name)


def _search(tokens: Tokens) -> Found:
    words = tokens.rest().partition(b"(")[0].split()
    return Found([_uid(word) for word in words])


def _uid(word: bytes) -> int:
    found = number(word)
    if not 0 < found <= MAX_UID:
        raise Unreadable("not a UID")
    return found


def _esearch(tokens: Tokens) -> Found:
    if tokens.peek() == b"(":
        tokens.items_of_list()
        tokens.spaces()
    words = tokens.rest().split()
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    if words[:1] == [b"UID"]:
        pairs = dict(zip(words[1::2], words[2::2], strict=False))
    return Found(read_uid_set(pairs.get(b"ALL", b"")))


def read_uid_set(text: bytes) -> list[int]:
    """``1:3,7`` as a list; the set may not name more than a million (a range is cheap to claim)."""
    found: list[int] = []
    for piece in text.split(b",") if text else []:
        low, colon, high = piece.partition(b":")
        first, last = _uid(low), _uid(high) if colon else _uid(low)
        first, last = min(first, last), max(first, last)
        if len(found) + last - first >= MAX_UIDS_IN_SET:
            raise ProtocolError("a set of UIDs is too large")
        found.extend(range(first, last + 1))
    return found


def _status(tokens: Tokens) -> FolderStatus:
    name = tokens.nstring()
    tokens.spaces()
    pairs = [item for item in tokens.items_of_list() if isinstance(item, bytes)]
    items = {
        key.decode("ascii", "replace").upper(): number(value)
        for key, value in zip(pairs[::2], pairs[1::2], strict=False)
        if value.isdigit()
    }
    return FolderStatus(b"NIL" if name is None else name, items)


def _vanished(tokens: Tokens) -> Vanished:
    tokens.take(b"(EARLIER)")
    return Vanished(read_uid_set(tokens.rest().strip()))


def _fetch(sequence: int, tokens: Tokens) -> Fetch:
    event = Fetch(sequence)
    tokens.expect(b"(")
    tokens.spaces()
    while not tokens.take(b")"):
        _fetch_item(event, tokens.fetch_name(), tokens)
        tokens.spaces()
    return event


def _fetch_item(event: Fetch, name: bytes, tokens: Tokens) -> None:
    tokens.spaces()
    value = tokens.value()
    if name == b"UID" and isinstance(value, bytes):
        event.uid = _uid(value)
    elif name == b"FLAGS" and isinstance(value, list):
        event.flags = _flags(value)
    elif name == b"INTERNALDATE" and isinstance(value, bytes):
        event.internaldate = read_date(value)
    elif name == b"RFC822.SIZE" and isinstance(value, bytes):
        event.size = number(value) if value.isdigit() else None
    elif name in (b"BODY[]", b"RFC822") and isinstance(value, bytes):
        event.body = value
    elif name == b"MODSEQ" and isinstance(value, list) and value and isinstance(value[0], bytes):
        event.modseq = number(value[0])


_READERS: dict[bytes, Callable[[Tokens], Event]] = {
    b"CAPABILITY": _capability,
    b"ENABLED": _enabled,
    b"LIST": _list,
    b"SEARCH": _search,
    b"ESEARCH": _esearch,
    b"STATUS": _status,
    b"VANISHED": _vanished,
}
