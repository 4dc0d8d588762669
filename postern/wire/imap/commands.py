"""The encoder: the only place where bytes for the server are made (S-048 to S-051).

A command is a list of parts: bytes go out as they are, a ``Literal`` goes out as ``{n}`` and its bytes,
which for a synchronising literal wait until the server asks for them.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal as Choice

from postern.wire.errors import MailError, control_bytes
from postern.wire.imap.grammar import MONTHS
from postern.wire.imap.uidset import MAX_UID

MAX_LINE = 8000
MAX_UIDS = 200
DEFAULT_UNTAGGED = 10_000

_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_QUOTABLE = re.compile(rb"[\x20-\x7e]*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FLAG = re.compile(r'\\?[^\x00-\x20(){%*"\\\]\x7f-\U0010ffff]+')
_CRITERIA = re.compile(r"[A-Za-z0-9:*,.()<>@+/$_=-]+")
_SET = re.compile(
    r"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*"
)


@dataclass(frozen=True)
class Literal:
    """Bytes that cannot stand in a line: sent as a literal."""

    data: bytes = field(repr=False)


@dataclass
class Command:
    """What is to be said after the tag.

    ``name`` is for people and logs and never holds an argument. ``flow`` says what a ``+`` means: for a
    plain command the next literal, in ``auth`` a challenge, in ``idle`` that waiting has begun.
    """

    name: str
    parts: list[bytes | Literal] = field(repr=False)
    flow: Choice["plain", "auth", "idle"] = "plain"
    max_untagged: int = DEFAULT_UNTAGGED


def command(name: str, *arguments: bytes | Literal, max_untagged: int = DEFAULT_UNTAGGED) -> Command:
    """The command ``name`` with its encoded arguments, a space before each."""
    parts: list[bytes | Literal] = [name.encode("ascii")]
    for argument in arguments:
        parts += [b" ", argument]
    return Command(name, parts, max_untagged=max_untagged)


def astring(text: str | bytes, *, what: str) -> bytes | Literal:
    """``text`` as an atom, a quoted string, or a literal when it holds more than ASCII.

    Raises ``MailError("control_bytes")`` naming ``what`` for CR, LF, NUL and their like.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise control_bytes(what) from None
    if _CONTROL.search(raw):
        raise control_bytes(what)
    if _ATOM.fullmatch(raw) and raw.upper() != b"NIL":
        return raw
    if _QUOTABLE.fullmatch(raw) and len(raw) <= 1000:
        return quoted(raw)
    return Literal(raw)


def atom(word: str) -> bytes:
    """A word of our own, such as the name of an extension."""
    raw = word.encode()
    if not _ATOM.fullmatch(raw):
        raise control_bytes("The word")
    return raw


def quoted(raw: bytes) -> bytes:
    """A quoted string of printable ASCII."""
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def flag_list(flags: Iterable[str]) -> bytes:
    """``(\\Seen $Forwarded)``. Raises ``MailError("control_bytes")`` for what is no flag."""
    chosen = list(flags)
    for flag in chosen:
        if not _FLAG.fullmatch(flag):
            raise control_bytes("The flag")
    return b"(" + " ".join(chosen).encode("ascii") + b")"


def day(when: date) -> bytes:
    """The date form of SEARCH (RFC 3501 date-text), which knows no zone."""
    return f"{when.day}-{MONTHS[when.month - 1]}-{when.year:04d}".encode()


def moment(when: datetime) -> bytes:
    """The date-time form of APPEND. ``when`` must be aware."""
    if when.tzinfo is None:
        raise ValueError("the moment needs a time zone")
    text = f"{when.day:2d}-{MONTHS[when.month - 1]}-{when.year:04d} {when:%H:%M:%S %z}"
    return quoted(text[:26].encode())


def uid_set(uids: Iterable[int]) -> bytes:
    """UIDs as the shortest set of ranges: 1, 2, 3, 7 is ``1:3,7``. Raises ``ValueError`` when empty."""
    return b",".join(_range(low, high) for low, high in _runs(uids))


def uid_sets(uids: Iterable[int], *, at_most: int = MAX_UIDS) -> Iterator[tuple[list[int], bytes]]:
    """The UIDs in order, cut so that a set names at most ``at_most`` and fits a short command line."""
    ordered = list(dict.fromkeys(uids))
    for start in range(0, len(ordered), at_most):
        some = ordered[start : start + at_most]
        yield some, uid_set(some)


def _runs(uids: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for uid in sorted(set(uids)):
        if not 0 < uid <= MAX_UID:
            raise ValueError(f"{uid} is no UID")
        if runs and runs[-1][1] == uid - 1:
            runs[-1] = (runs[-1][0], uid)
        else:
            runs.append((uid, uid))
    if not runs:
        raise ValueError("a set of UIDs cannot be empty")
    return runs


def _range(low: int, high: int) -> bytes:
    return b"%d" % low if low == high else b"%d:%d" % (low, high)


def written_set(text: str) -> bytes:
    """A UID set written by our own code, such as ``100:*``. Raises ``ValueError`` for anything else."""
    if not _SET.fullmatch(text):
        raise ValueError("not a set of UIDs")
    return text.encode()


def search(
    criteria: "str | Sequence[str | bytes | int | date]", *, compact: bool = False, utf8: bool = False
) -> Command:
    """UID SEARCH. A string is a constant of keywords; a sequence holds keywords and arguments of any text.

    Text beyond ASCII turns on ``CHARSET UTF-8`` (RFC 3501 section 6.4.4), but for a server whose text is
    UTF-8 anyhow (``utf8``, RFC 6855). ``compact`` asks for ranges (RFC 4731).
    """
    returning = [b"RETURN", b"(ALL)"] if compact else []
    if isinstance(criteria, str):
        words = criteria.split()
        if (
            not words
            or _CONTROL.search(criteria.encode())
            or not all(_CRITERIA.fullmatch(word) for word in words)
        ):
            raise control_bytes("The search")
        return command("UID SEARCH", *returning, *(word.encode() for word in words))
    arguments = [_criterion(item, before) for item, before in zip(criteria, ["", *criteria], strict=False)]
    if not arguments:
        raise ValueError("a search needs criteria")
    if not utf8 and any(isinstance(argument, Literal) for argument in arguments):
        arguments = [b"CHARSET", b"UTF-8", *arguments]
    return command("UID SEARCH", *returning, *arguments)


def _criterion(item: "str | bytes | int | date", before: object) -> bytes | Literal:
    """One word; a set of UIDs only behind UID, for a stranger's text may look like one (S-049)."""
    if isinstance(item, date):
        return day(item)
    if isinstance(item, int):
        return b"%d" % item
    if before == "UID" and isinstance(item, str) and _SET.fullmatch(item):
        return item.encode()
    return astring(item, what="The search")


def authenticate(mechanism: str, initial: bytes | None) -> Command:
    """AUTHENTICATE, with what we say first in the same line (SASL-IR, RFC 4959); ``None`` to be asked for it.

    A line that would be too long for some servers waits to be asked as well.
    """
    parts: list[bytes | Literal] = [b"AUTHENTICATE ", atom(mechanism)]
    if initial is not None and len(words := b64encode(initial) or b"=") < MAX_LINE:
        parts += [b" ", words]
    return Command("AUTHENTICATE", parts, flow="auth")


def login(username: str, password: str) -> Command:
    """LOGIN. Always quoted or literal: some servers read an atom such as ``{`` or ``NIL`` in odd ways."""
    return command("LOGIN", _string(username, what="The user name"), _string(password, what="The password"))


def _string(text: str, *, what: str) -> bytes | Literal:
    found = astring(text, what=what)
    return quoted(found) if isinstance(found, bytes) and not found.startswith(b'"') else found


def identify(fields: dict[str, str]) -> Command:
    """ID (RFC 2971)."""
    words = b" ".join(quoted(word.encode("ascii")) for pair in fields.items() for word in pair)
    return command("ID", b"(" + words + b")")


def notify(folders: Iterable[bytes | Literal]) -> Command:
    """NOTIFY for the open folder and these (RFC 5465), their counts first.

    SELECTED-DELAYED: the open folder's letters keep their numbers while they are being fetched.
    """
    events = b"(MessageNew MessageExpunge FlagChange)"
    names = [part for folder in folders for part in (b" ", folder)][1:]
    before = b"NOTIFY SET STATUS (SELECTED-DELAYED " + events + b") (MAILBOXES ("
    return Command("NOTIFY", [before, *names, b") " + events + b")"])


def append(
    folder: bytes | Literal, raw: bytes, flags: Iterable[str], when: datetime | None, *, utf8: bool = False
) -> Command:
    """APPEND of one letter; headers in UTF-8 are declared where the connection knows them (RFC 6855)."""
    if b"\0" in raw:
        raise MailError(
            "control_bytes",
            "The letter contains a NUL byte, which IMAP cannot carry.",
            "Nothing was sent to the server.",
            temporary=False,
        )
    arguments: list[bytes | Literal] = [folder, flag_list(flags)]
    if when is not None:
        arguments.append(moment(when))
    head = raw.partition(b"\r\n\r\n")[0]
    if utf8 and not head.isascii():
        sent = command("APPEND", *arguments, b"UTF8 (~")
        return Command(sent.name, [*sent.parts, Literal(raw), b")"])
    return command("APPEND", *arguments, Literal(raw))
