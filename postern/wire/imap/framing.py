"""Cuts the stream of bytes into complete responses; every length a server may claim is limited here (S-115).

The common FETCH response is recognised by one anchored pattern and never sees the tokenizer.
"""

import re
from dataclasses import dataclass

from postern.wire.imap.grammar import ProtocolError, read_date
from postern.wire.imap.responses import MAX_UID, Fetch, read_flags


@dataclass(frozen=True)
class Limits:
    """In bytes, but for ``literals``, the number of literals in one response."""

    line: int = 1 << 20
    # SEARCH answers with one line: a million UIDs of ten digits.
    long_line: int = 12 << 20
    literal: int = 1 << 20
    letter: int = 128 << 20
    literals: int = 1000


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
    """Bytes in, responses out. ``announced`` is how many bytes of the literal on its way are missing."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.announced = 0
        self._buffer = bytearray()
        self._start = 0
        self._scanned = 0
        self._parts: list[bytes] = []
        self._literal: int | None = None
        self._literal_bytes = 0

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handed out, parts of an unfinished response included."""
        return len(self._buffer) - self._start + sum(map(len, self._parts))

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what came from the server; the bytes are copied."""
        if self._start:
            del self._buffer[: self._start]
            self._scanned = max(0, self._scanned - self._start)
            self._start = 0
        self._buffer += data

    def next(self) -> Fetch | list[bytes] | None:
        """The next complete response, as an event or cut into line, literal, ..., line; None: more is needed.

        Raises ``ProtocolError`` at the first length beyond the limits.
        """
        if not self._parts:
            hot = _HOT.match(self._buffer, self._start)
            if hot is not None:
                found, complete = self._hot(hot)
                if found is not None or not complete:
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

    def _hot(self, hot: "re.Match[bytes]") -> tuple[Fetch | None, bool]:
        """(event, True), or (None, False) while the body is on its way, or (None, True): not so simple."""
        sequence, uid, flags, when, size, literal = hot.groups()
        if not 0 < int(uid) <= MAX_UID:
            return None, True
        body = None
        end = hot.end()
        if literal is not None:
            length = self._allowed(int(literal), self.limits.letter)
            self.announced = max(0, end + length + 3 - len(self._buffer))
            if self.announced:
                return None, False
            if self._buffer[end + length : end + length + 3] != b")\r\n":
                return None, True
            body = bytes(memoryview(self._buffer)[end : end + length])
            end += length + 3
        self._start = self._scanned = end
        return Fetch(
            int(sequence),
            int(uid),
            read_flags(flags),
            read_date(when),
            None if size is None else int(size),
            body,
        ), True

    def _take_literal(self, length: int) -> bool:
        end = self._start + length
        self.announced = max(0, end - len(self._buffer))
        if self.announced:
            return False
        self._parts.append(bytes(memoryview(self._buffer)[self._start : end]))
        self._start = self._scanned = end
        self._literal = None
        return True

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", max(self._scanned, self._start))
        length = (end if end >= 0 else len(self._buffer)) - self._start
        if length > self.limits.line and length > self._line_limit():
            raise ProtocolError("a line is too long")
        if end < 0:
            self._scanned = max(self._start, len(self._buffer) - 1)
            return None
        line = bytes(memoryview(self._buffer)[self._start : end])
        self._start = self._scanned = end + 2
        return line

    def _line_limit(self) -> int:
        first = not self._parts and _LONG.match(self._buffer, self._start)
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
