"""Cuts the stream of bytes into complete responses; every length a server may claim is limited here (S-115).

The common FETCH response is recognised by one anchored pattern and never sees the tokenizer. A letter of a
mean size is copied once, from where the socket put it into its ``bytes``; a large one is received in place
or goes to a file (``spool``). Nothing here keeps a reference to the buffer that bytes came in.
"""

import re
from dataclasses import dataclass

from postern.wire.imap import spool
from postern.wire.imap.grammar import ProtocolError, read_date
from postern.wire.imap.responses import Fetch, read_flags
from postern.wire.imap.uidset import MAX_UID


@dataclass(frozen=True)
class Limits:
    """In bytes, but for ``literals``, the number of literals in one response."""

    line: int = 1 << 20
    # SEARCH answers with one line: a million UIDs of ten digits.
    long_line: int = 12 << 20
    literal: int = 1 << 20
    letter: int = spool.LARGEST_LETTER
    literals: int = 1000


# An unfinished line above this is collected in a buffer of its own, so that it is searched only once.
_LONG_LINE = 16 * 1024

_HOT = re.compile(
    rb"\* ([0-9]{1,10}) FETCH \(UID ([0-9]{1,10}) FLAGS \(([^()\"{}\[\]\r\n\x00]{0,2000})\)"
    rb' INTERNALDATE "([^"\\\r\n]{20,26})"'
    rb" (?:RFC822\.SIZE ([0-9]{1,18})\)|BODY\[\] \{([0-9]{1,10})\})\r\n"
)
# Where a literal cannot stand: free text may well end in something like "{5}".
_NO_LITERAL = re.compile(rb"\x00*(?:\* +(?:OK|NO|BAD|BYE|PREAUTH)\b|\+|[^*\x00])", re.IGNORECASE)
_LONG = re.compile(rb"\* (?:E?SEARCH|VANISHED) ", re.IGNORECASE)
_FETCH = re.compile(rb"\* +[0-9]{1,10} +FETCH ", re.IGNORECASE)
_LITERAL = re.compile(rb"~?\{([^{}\s\"]{0,30})\}\Z")


class Framer:
    """Bytes in, responses out.

    Give it bytes by ``feed``, or put them where ``room`` says and tell by ``got``; ask ``next`` until None;
    then say ``keep``, for the buffer of the bytes is not its own. ``announced`` is how many bytes of the
    literal on its way are missing.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.announced = 0
        # What is being read: a part of somebody's buffer, or of our own.
        self._data: bytes | bytearray = b""
        self._view: memoryview | None = None
        self._at = 0
        self._end = 0
        # What is unfinished between two readings: a short piece, or a long line with how far it was searched.
        self._tail = b""
        self._line: bytearray | None = None
        self._scanned = 0
        # The response under way: its parts, and the literal that comes next.
        self._parts: list[bytes] = []
        self._literal: int | None = None
        self._filling: spool.InMemory | spool.Spool | None = None
        self._literal_bytes = 0

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handed out, parts of an unfinished response included."""
        waiting = len(self._tail) + len(self._line or b"") + sum(map(len, self._parts))
        return waiting + (self._filling.length - self._filling.missing if self._filling else 0)

    def room(self, scratch: memoryview) -> memoryview:
        """Where to put the bytes that come next: into the literal on its way, or into ``scratch``."""
        if self._filling is not None:
            return self._filling.room(scratch)
        if not self._tail:
            return scratch
        scratch[: len(self._tail)] = self._tail
        return scratch[len(self._tail) :]

    def got(self, count: int, scratch: memoryview) -> None:
        """``count`` bytes were put where ``room`` said; ``scratch``, of a bytearray, is the same as there."""
        if self._filling is not None:
            self._filling.got(count, scratch)
            return
        self._read(scratch.obj, 0, len(self._tail) + count)  # type: ignore[arg-type]
        if self._line is None:
            self._view = scratch

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from anywhere."""
        if self._filling is not None:
            with memoryview(data) as view:
                count = min(self._filling.missing, len(view))
                self._filling.write(view[:count])
                data = bytes(view[count:])
        whole = self._tail + data if self._tail else bytes(data)
        self._read(whole, 0, len(whole))

    def _read(self, data: bytes | bytearray, at: int, end: int) -> None:
        self._tail = b""
        if self._line is None:
            self._data, self._at, self._end = data, at, end
        else:
            with memoryview(data) as view:
                self._line += view[at:end]
            self._data, self._at, self._end = self._line, 0, len(self._line)

    def keep(self) -> None:
        """Copy what is unfinished: the buffer that was read may be used for something else."""
        if self._line is not None and self._at == 0:
            return
        self._tail = bytes(self._data[self._at : self._end]) if self._at < self._end else b""
        self._line = None
        if len(self._tail) > _LONG_LINE and self._literal is None and not self.announced:
            self._line, self._tail = bytearray(self._tail), b""
        else:
            self._scanned = 0
        self._data, self._view, self._at, self._end = b"", None, 0, 0

    def surplus(self) -> bytes:
        """Give up all that was received and not handed out."""
        kept, self._tail, self._line = self._tail + (self._line or b""), b"", None
        return kept

    def discard(self) -> None:
        """No more bytes will come: a literal on its way to a file leaves none behind."""
        if self._filling is not None:
            self._filling.discard()

    def next(self) -> Fetch | list[bytes] | None:
        """The next complete response, as an event or cut into line, literal, ..., line; None: more is needed.

        Raises ``ProtocolError`` at the first length beyond the limits.
        """
        if not self._parts and (hot := _HOT.match(self._data, self._at, self._end)) is not None:
            found = self._hot(hot)
            if found is not None or self.announced:
                return found
        while True:
            if self._literal is not None and not self._take_literal(self._literal):
                return None
            line = self._take_line()
            if line is None:
                return None
            self._parts.append(line)
            self._literal = self._literal_after(line)
            if self._literal is not None:
                self._parts[-1] = line[: line.rindex(b"{")].removesuffix(b"~")
            else:
                parts, self._parts, self._literal_bytes = self._parts, [], 0
                return parts

    def _hot(self, hot: "re.Match[bytes]") -> Fetch | None:
        """The event; None while the body is on its way (``announced`` tells), and when it is not so simple."""
        sequence, digits, flags, when, size, literal = hot.groups()
        uid = int(digits)
        if not 0 < uid <= MAX_UID:
            return None
        body = None
        end = hot.end()
        if literal is not None:
            begin, end = end, end + int(literal)
            if end - begin >= spool.IN_PLACE_FROM or end - begin > self.limits.letter:
                return None
            if end + 3 > self._end:
                self.announced = end + 3 - self._end
                return None
            self.announced = 0
            if not self._data.startswith(b")\r\n", end):
                return None
            body = self._slice(begin, end)
            end += 3
        self._at = end
        return Fetch(
            int(sequence),
            uid,
            read_flags(flags),
            read_date(when),
            None if size is None else int(size),
            body,
        )

    def _slice(self, start: int, end: int) -> bytes:
        if self._view is not None:
            return bytes(self._view[start:end])
        if isinstance(self._data, bytes):
            return self._data[start:end]
        with memoryview(self._data) as view:
            return bytes(view[start:end])

    def _take_literal(self, length: int) -> bool:
        """Move a whole literal to the parts, or remember what came of it."""
        if self._filling is None:
            end = self._at + length
            self.announced = max(0, end - self._end)
            if length < spool.IN_PLACE_FROM or (not self.announced and length <= spool.SPOOL_FROM):
                if self.announced:
                    return False
                self._parts.append(self._slice(self._at, end))
                self._at, self._literal = end, None
                return True
            self._filling = spool.begin(length)
            with memoryview(self._data) as view:
                self._filling.write(view[self._at : min(end, self._end)])
            self._at = min(end, self._end)
        self.announced = self._filling.missing
        if self.announced:
            return False
        self._parts.append(self._filling.value())
        self._filling = self._literal = None
        return True

    def _take_line(self) -> bytes | None:
        end = self._data.find(b"\r\n", max(self._at, self._scanned), self._end)
        length = (end if end >= 0 else self._end) - self._at
        if length > self.limits.line and length > self._line_limit():
            raise ProtocolError("a line is too long")
        if end < 0:
            self._scanned = max(0, length - 1)
            return None
        line = self._slice(self._at, end)
        self._at, self._scanned = end + 2, 0
        return line

    def _line_limit(self) -> int:
        first = not self._parts and _LONG.match(self._data, self._at)
        return self.limits.long_line if first else self.limits.line

    def _literal_after(self, line: bytes) -> int | None:
        """The length of the literal that ``line`` announces."""
        if not line.endswith(b"}") or (len(self._parts) == 1 and _NO_LITERAL.match(line)):
            return None
        found = _LITERAL.search(line[-40:])
        if found is None:
            return None
        digits = found.group(1).removesuffix(b"+")
        if not digits.isdigit() or len(digits) > 10:
            raise ProtocolError("a literal without a proper length")
        if len(self._parts) > 2 * self.limits.literals:
            raise ProtocolError("too many literals in one response")
        whole = self.limits.letter if _FETCH.match(self._parts[0]) else self.limits.literal
        length = self._allowed(int(digits), whole - self._literal_bytes)
        self._literal_bytes += length
        return length

    @staticmethod
    def _allowed(length: int, limit: int) -> int:
        if length > limit:
            raise ProtocolError(f"a literal of {length} bytes is too large")
        return length
