"""What a server can say: one small type per response, and the reading of a complete response into it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from postern.wire.imap.grammar import MAX_DIGITS, Tokens, Unreadable, Value, number, number_or_none, read_date
from postern.wire.imap.spool import Raw
from postern.wire.imap.uidset import MAX_UID, UidSet, pieces, read_uid

T = TypeVar("T")
NO_FLAGS: frozenset[str] = frozenset()
# RFC 7162: mod-sequences have 63 bits, and so have the sizes of RFC 9051.
MAX_MODSEQ = 2**63 - 1


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
    """The UIDs of SEARCH or ESEARCH; ``tag`` is the command that ESEARCH says it answers."""

    uids: UidSet
    tag: str = ""


@dataclass(slots=True)
class FolderStatus:
    """The items of STATUS, by their names in upper case; what is no number of its kind is left out."""

    wire_name: bytes
    items: dict[str, int]


@dataclass(slots=True)
class NamespaceList:
    """RFC 2342: (prefix, delimiter) of our own folders, other people's, and shared ones."""

    personal: tuple[tuple[bytes, str | None], ...]
    others: tuple[tuple[bytes, str | None], ...]
    shared: tuple[tuple[bytes, str | None], ...]


@dataclass(slots=True)
class Fetch:
    """One FETCH response; what it did not name is None."""

    sequence: int
    uid: int | None = None
    flags: frozenset[str] | None = None
    internaldate: datetime | None = None
    size: int | None = None
    body: Raw | None = None
    header: bytes | None = None
    modseq: int | None = None
    emailid: str | None = None
    labels: frozenset[bytes] | None = None


@dataclass(slots=True)
class Vanished:
    """Letters that are gone (RFC 7162); ``earlier``: since before, so that EXISTS counts them no more."""

    uids: UidSet
    earlier: bool = False


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
    | NamespaceList
    | Fetch
    | Vanished
    | Other
)

_FLAG_STARTS = re.compile(r"(?=\\)")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
_STATUSES = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
_MOST = {"HIGHESTMODSEQ": MAX_MODSEQ, "SIZE": MAX_MODSEQ, "DELETED-STORAGE": MAX_MODSEQ}
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
        words = first[:80].split(maxsplit=3)
        word = next((word for word in words if word != b"*" and not word.isdigit()), b"")
        return Other(word.decode("ascii", "replace").upper(), first[:400])


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
    if count > MAX_UID:
        raise Unreadable("more letters than UIDs")
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


def _uid(word: bytes) -> int:
    try:
        return read_uid(word)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _list(tokens: Tokens) -> Folder:
    told = _flags(tokens.items_of_list())
    flags = frozenset(
        flag for word in told for flag in _FLAG_STARTS.split(word) if flag
    )  # quirk joined_flags
    tokens.spaces()
    delimiter = tokens.nstring()
    tokens.spaces()
    # A folder may be called NIL, and then it stands there as an atom.
    name = tokens.nstring()
    return Folder(flags, delimiter.decode("latin-1") if delimiter else None, b"NIL" if name is None else name)


def _search(tokens: Tokens) -> Found:
    words = pieces(tokens.rest().partition(b"(")[0], None)
    return Found(_set_of(UidSet.of, map(_uid, words)))


def _esearch(tokens: Tokens) -> Found:
    """RFC 4731. Without the word UID its numbers would count letters, which nobody here asks for."""
    tag = ""
    if tokens.peek() == b"(":
        told = tokens.items_of_list()
        tag = told[1].decode("ascii", "replace") if len(told) == 2 and isinstance(told[1], bytes) else ""
        tokens.spaces()
    words = [word.upper() for word in tokens.rest().split()]
    if words[:1] != [b"UID"]:
        raise Unreadable("no UIDs")
    pairs = dict(zip(words[1::2], words[2::2], strict=False))
    return Found(_set_of(UidSet.parse, pairs.get(b"ALL", b"")), tag)


def _set_of(make: Callable[[T], UidSet], told: T) -> UidSet:
    try:
        return make(told)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _status(tokens: Tokens) -> FolderStatus:
    name = tokens.nstring()
    tokens.spaces()
    told = tokens.items_of_list()
    pairs = [item if isinstance(item, bytes) else b"" for item in told]
    items = {
        key.decode("ascii", "replace").upper(): number(value)
        for key, value in zip(pairs[::2], pairs[1::2], strict=False)
        if value.isdigit() and len(value) <= MAX_DIGITS
    }
    items = {key: value for key, value in items.items() if value <= _MOST.get(key, MAX_UID)}
    return FolderStatus(b"NIL" if name is None else name, items)


def object_id(value: Value) -> str:
    """The one object identifier in a list (RFC 8474 section 7); '' for anything else."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
        return value[0].decode() if _OBJECT_ID.fullmatch(value[0]) else ""
    return ""


def _namespace(tokens: Tokens) -> NamespaceList:
    personal, others, shared = (_places(tokens) for _ in range(3))
    return NamespaceList(personal, others, shared)


def _places(tokens: Tokens) -> tuple[tuple[bytes, str | None], ...]:
    tokens.spaces()
    found = []
    for place in tokens.items_of_list():
        if not isinstance(place, list) or len(place) < 2 or not isinstance(place[0], bytes):
            raise Unreadable("not a namespace")
        delimiter = place[1].decode("latin-1") if isinstance(place[1], bytes) else None
        found.append((place[0], delimiter or None))
    return tuple(found)


def _vanished(tokens: Tokens) -> Vanished:
    earlier = tokens.peek() == b"(" and tokens.items_of_list() != []
    return Vanished(_set_of(UidSet.parse, tokens.rest().strip()), earlier)


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
        event.size = number_or_none(value, MAX_MODSEQ)
    elif name in (b"BODY[]", b"RFC822") and isinstance(value, bytes):
        event.body = value
    elif name == b"BODY[HEADER]" and isinstance(value, bytes):
        event.header = value
    elif name == b"MODSEQ" and isinstance(value, list) and value and isinstance(value[0], bytes):
        event.modseq = number_or_none(value[0], MAX_MODSEQ)
    elif name == b"EMAILID":
        event.emailid = object_id(value) or None
    elif name == b"X-GM-MSGID" and isinstance(value, bytes):
        event.emailid = value.decode() if value.isdigit() and len(value) <= 20 else None
    elif name == b"X-GM-LABELS" and isinstance(value, list):
        event.labels = frozenset(label for label in value if isinstance(label, bytes))


_READERS: dict[bytes, Callable[[Tokens], Event]] = {
    b"CAPABILITY": _capability,
    b"ENABLED": _enabled,
    b"LIST": _list,
    b"SEARCH": _search,
    b"ESEARCH": _esearch,
    b"STATUS": _status,
    b"NAMESPACE": _namespace,
    b"VANISHED": _vanished,
}
