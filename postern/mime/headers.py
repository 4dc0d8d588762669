"""The header block of a letter or part: found, cut into fields once, unfolded and decoded only when read."""

import re
from collections.abc import Callable
from functools import lru_cache

from postern.mime.charset import decode
from postern.mime.words import decode_words, one_line

MAX_BYTES = 256 * 1024
MAX_FIELDS = 2000

_LEAD = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:>?From [^\r\n]*\r?\n)?")
# A run of well-formed fields; possessive, so that a long line without a colon costs its length once.
_RUN = re.compile(rb"(?:[!-9;-~]++[ \t]*+:[^\n]*+(?:\n|\Z)(?:[ \t][^\n]*+(?:\n|\Z))*+)*+")
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)")
_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_FOLD = re.compile(rb"[\r\n]+[ \t]*")
# After a broken line, only these show that the header block goes on.
_GOES_ON = re.compile(
    rb"(?:From|To|Cc|Bcc|Subject|Date|Message-ID|In-Reply-To|References|Reply-To|Sender|MIME-Version|Received|"
    rb"Return-Path|Delivered-To|DKIM-Signature|Content-[A-Za-z-]+|X-[A-Za-z0-9-]+|List-[A-Za-z-]+|"
    rb"Authentication-Results|Precedence|Importance|Priority|User-Agent|Organization)[ \t]*:",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return name.lower().encode("ascii", "replace")


class Headers:
    """Fields by lower-case name, in order. `get` gives the first: a second From or Subject never counts."""

    __slots__ = ("_fields", "fallback")

    def __init__(self, fields: dict[bytes, list[bytes]], fallback: str = "") -> None:
        self._fields = fields
        self.fallback = fallback

    def raw(self, name: str) -> list[bytes]:
        """Every value of that field as it stands in the letter, folds included."""
        return self._fields.get(_key(name), [])

    def count(self, name: str) -> int:
        return len(self.raw(name))

    def text(self, name: str) -> str:
        """The first value, unfolded, 8-bit decoded, encoded words left alone (for tokenising)."""
        values = self._fields.get(_key(name))
        return unfolded(values[0], self.fallback) if values else ""

    def texts(self, name: str) -> list[str]:
        """Every value as `text` gives it."""
        return [unfolded(value, self.fallback) for value in self.raw(name)]

    def get(self, name: str) -> str:
        """The first value decoded to one line of readable text; '' when absent."""
        return decode_words(self.text(name))

    def names(self) -> list[str]:
        """Lower-case field names in order of first appearance."""
        return [name.decode("ascii") for name in self._fields]


def unfolded(value: bytes, fallback: str = "") -> str:
    """One header value as one line of text: UTF-8 first, else the fallback charset, else the detector."""
    value = value.strip()
    if b"\n" in value or b"\r" in value:
        value = _FOLD.sub(b" ", value)
    if value.isascii():
        return value.decode("ascii")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return one_line(decode(value, fallback))


def read_headers(data: bytes, start: int, end: int, note: Callable[[str], None]) -> tuple[Headers, int]:
    """Headers in data[start:end] and the offset where the body begins. Defects go to `note`; never raises."""
    lead = _LEAD.match(data, start, end)
    if lead:
        start = lead.end()
    limit = min(end, start + MAX_BYTES)
    fields: dict[bytes, list[bytes]] = {}
    position, left = start, MAX_FIELDS
    while True:
        run = _RUN.match(data, position, limit)
        stop = run.end() if run else position
        left = _collect(data, position, stop, fields, left, note)
        position, go_on = _after_run(data, stop, limit, bool(fields))
        if not go_on:
            break
        note("header line without a name")
        left -= 1
        if left <= 0:
            break
    if position >= limit < end:
        note("truncated: headers")
        blank = _BLANK_LINE.search(data, limit, end)
        position = blank.end() if blank else end
    return Headers(fields), position


def _collect(
    data: bytes,
    start: int,
    stop: int,
    fields: dict[bytes, list[bytes]],
    left: int,
    note: Callable[[str], None],
) -> int:
    for found in _FIELD.finditer(data, start, stop):
        if left <= 0:
            note("truncated: headers")
            break
        left -= 1
        fields.setdefault(found[1].lower(), []).append(found[2])
    return left


def _after_run(data: bytes, stop: int, limit: int, have_fields: bool) -> tuple[int, bool]:
    """Where the body begins, or (next line, True) when one broken line stands between two fields."""
    if stop >= limit:
        return stop, False
    line_end = data.find(b"\n", stop, limit)
    after = line_end + 1 if line_end >= 0 else limit
    if not data[stop:after].strip(b" \t\r\n"):
        return after, False
    if have_fields and line_end >= 0 and _GOES_ON.match(data, after, limit):
        return after, True
    return stop, False
