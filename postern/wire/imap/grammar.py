"""The tokens of IMAP (RFC 3501 section 9): atoms, numbers, quoted strings, literals, lists.

A response arrives here complete and cut into parts: line, literal, line, literal, ..., line, where each
line but the last ended in ``{n}`` (already taken off) and each literal is its bytes. No sockets, no state.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from postern.wire.errors import MailError

MAX_DEPTH = 20
MAX_ITEMS = 200_000
# RFC 7162: mod-sequences have 63 bits, that is 19 digits; nothing in IMAP is longer.
MAX_DIGITS = 19

# RFC 3501 atom-specials without "\" and "]": real servers send both inside flags and codes.
_ATOM = re.compile(rb'[^\x00-\x20(){%*"\x7f]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){"\x7f]+')
_NAME = re.compile(rb'[^\x00-\x20(){"\x7f\[<]+')
_QUOTED = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_DIGITS = re.compile(rb"[0-9]+")
_SPACES = re.compile(rb" *")
_DATE = re.compile(
    rb"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTHS, 1)}

# What INTERNALDATE is when a server names none or one that cannot be a date.
UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)

Value = bytes | list["Value"] | None


class ProtocolError(MailError):
    """The peer broke the protocol or a limit; the connection cannot be used any more."""

    def __init__(self, message: str, *, server_text: str = "") -> None:
        super().__init__(
            "protocol_error",
            f"The mail server's answer could not be understood: {message}.",
            "If this stays so, the server is faulty or the address is not that of an IMAP server.",
            temporary=True,
            server_text=server_text,
        )


class Unreadable(ValueError):
    """One response does not follow the grammar; the stream itself is still in step."""


def number(digits: bytes) -> int:
    """``digits`` as an int. The length is checked first: ``int()`` of a long text takes quadratic time."""
    if len(digits) > MAX_DIGITS or not digits.isdigit():
        raise Unreadable("not a number")
    return int(digits)


def number_or_none(digits: bytes | None, most: int) -> int | None:
    """A server's number up to ``most``, None for anything else. ``most`` has 19 digits or fewer."""
    if not digits or len(digits) > MAX_DIGITS or not digits.isdigit():
        return None
    found = int(digits)
    return found if found <= most else None


class Tokens:
    """Reads one response from left to right."""

    __slots__ = ("at", "items", "part", "parts", "text")

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.part = 0
        self.text = parts[0]
        self.at = 0
        self.items = 0

    def peek(self) -> bytes:
        """The next byte, or ``b""`` at the end or where a literal stands."""
        return self.text[self.at : self.at + 1]

    def at_literal(self) -> bool:
        """True when the next thing is a literal."""
        return self.at >= len(self.text) and self.part + 1 < len(self.parts)

    def at_end(self) -> bool:
        """True when nothing is left."""
        return self.at >= len(self.text) and self.part + 1 >= len(self.parts)

    def spaces(self) -> None:
        """Skip spaces; some servers send two where the grammar has one."""
        found = _SPACES.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def take(self, wanted: bytes) -> bool:
        """Step over ``wanted`` when it comes next."""
        if self.text.startswith(wanted, self.at):
            self.at += len(wanted)
            return True
        return False

    def expect(self, wanted: bytes) -> None:
        """Step over ``wanted`` or raise ``Unreadable``."""
        if not self.take(wanted):
            raise Unreadable(f"{wanted!r} expected")

    def _match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise Unreadable(f"{what} expected")
        self.at = found.end()
        return found.group()

    def atom(self) -> bytes:
        """An atom, with ``\\`` and ``]`` allowed in it."""
        return self._match(_ATOM, "atom")

    def number(self) -> int:
        """An unsigned number of at most 19 digits."""
        return number(self._match(_DIGITS, "number"))

    def fetch_name(self) -> bytes:
        """The name of a FETCH item in upper case with its section, as ``BODY[HEADER.FIELDS (TO)]``.

        ``<0>`` behind it is left out: a part from the beginning. Any other origin stays.
        """
        name = self._match(_NAME, "name")
        if self.peek() == b"[":
            close = self.text.find(b"]", self.at)
            if close < 0:
                raise Unreadable("section without end")
            name += self.text[self.at : close + 1]
            self.at = close + 1
        if self.take(b"<"):
            origin = self.number()
            self.expect(b">")
            name += b"<%d>" % origin if origin else b""
        return name.upper()

    def rest(self) -> bytes:
        """What is left of the last line; literals on the way are stepped over."""
        text = self.parts[-1] if self.part + 1 < len(self.parts) else self.text[self.at :]
        self.part = len(self.parts) - 1
        self.text = self.parts[-1]
        self.at = len(self.text)
        return text

    def value(self, depth: int = 0) -> Value:
        """Whatever comes next: NIL is None, a list is a list, everything else is bytes."""
        self.items += 1
        if self.items > MAX_ITEMS:
            raise Unreadable("too many items")
        if self.at_literal():
            return self._literal()
        byte = self.peek()
        if byte == b'"':
            return self._quoted()
        if byte == b"(":
            return self._list(depth)
        word = self._match(_ASTRING, "value")
        return None if word.upper() == b"NIL" else word

    def nstring(self) -> bytes | None:
        """A quoted string, a literal, an atom where a string should be, or NIL."""
        found = self.value()
        if isinstance(found, list):
            raise Unreadable("string expected, list found")
        return found

    def items_of_list(self) -> list[Value]:
        """A parenthesised list; NIL counts as the empty one."""
        found = self.value()
        if found is None:
            return []
        if not isinstance(found, list):
            raise Unreadable("list expected")
        return found

    def _literal(self) -> bytes:
        found = self.parts[self.part + 1]
        self.part += 2
        self.text = self.parts[self.part]
        self.at = 0
        return found

    def _quoted(self) -> bytes:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise Unreadable("quoted string without end")
        self.at = found.end()
        inner = found.group(1)
        return _ESCAPE.sub(rb"\1", inner) if b"\\" in inner else inner

    def _list(self, depth: int) -> list[Value]:
        if depth >= MAX_DEPTH:
            raise ProtocolError("lists are nested too deeply")
        self.at += 1
        found: list[Value] = []
        self.spaces()
        while not self.take(b")"):
            found.append(self.value(depth + 1))
            self.spaces()
        return found


@lru_cache(maxsize=512)
def read_date(text: bytes) -> datetime:
    """INTERNALDATE as an aware datetime; ``UNKNOWN_DATE`` for what is no date (RFC 3501 date-time)."""
    found = _DATE.fullmatch(text.strip(b" "))
    month = _MONTH_NUMBERS.get(found.group(2).decode().lower()) if found else None
    if found is None or month is None:
        return UNKNOWN_DATE
    day, year, hour, minute, second, zone_hours, zone_minutes = map(int, found.group(1, 3, 4, 5, 6, 8, 9))
    offset = timedelta(hours=zone_hours, minutes=zone_minutes)
    try:
        zone = timezone(-offset if found.group(7) == b"-" else offset)
        read = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        read.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNKNOWN_DATE
    return read
