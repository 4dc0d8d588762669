"""The header block of a letter or part: found, cut into fields once, unfolded and decoded only when read."""

import re
from collections.abc import Callable

from postern.mime.charset import decode
from postern.mime.transfer import Raw
from postern.mime.words import decode_words, one_line

MAX_BYTES = 256 * 1024
MAX_FIELDS = 2000
MAX_BROKEN = 50  # lines without a name among them: each is a step, and there may be two thousand parts

# Blank lines, a byte order mark, mbox's line; a first header that is indented by mistake.
_LEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[\r\n]|[ \t]++(?=[\r\n]|[!-9;-~]{1,80}+:))*+(?:>?From [^\r\n]*\r?\n)?"
)
_LEADING = b"\xef\r\n>F \t"
_END = re.compile(rb"\n\r?\n")
_FIRST_IS_BLANK = re.compile(rb"\r?\n")
# The block is cut as latin-1 text: one character a byte, so 8-bit values can still be taken back to bytes.
_FIELD = re.compile(r"^([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
# A run of well-formed fields; possessive, so that a long line without a colon costs its length once.
_RUN = re.compile(r"(?:[!-9;-~]++[ \t]*+:[^\n]*+(?:\n|\Z)(?:[ \t][^\n]*+(?:\n|\Z))*+)*+")
_BLANK_LINE = re.compile(rb"\n[ \t]*\r?\n")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_LF_FOLD = re.compile(r"\n\n*[ \t]*")
_ASCII_BLANK = " \t\r\n\v\f"  # str.strip() alone would take latin-1's 0x85 and 0xa0 too
# After a broken line, only these show that the header block goes on.
_GOES_ON = re.compile(
    r"(?:From|To|Cc|Bcc|Subject|Date|Message-ID|In-Reply-To|References|Reply-To|Sender|MIME-Version|Received|"
    r"Return-Path|Delivered-To|DKIM-Signature|Content-[A-Za-z-]+|X-[A-Za-z0-9-]+|List-[A-Za-z-]+|"
    r"Authentication-Results|Precedence|Importance|Priority|User-Agent|Organization)[ \t]*:",
    re.IGNORECASE,
)


class Headers:
    """Fields by name, in order; names are asked for in lower case.

    `get` gives the first of that name: a second From or Subject never counts.
    """

    __slots__ = ("_first", "fallback", "repeated")

    def __init__(self, fields: list[tuple[str, str]] | None = None, fallback: str = "") -> None:
        self._first: dict[str, str] = {}
        self.fallback = fallback
        self.repeated: dict[str, list[str]] = {}  # every value of each name that more than one field has
        first, repeated = self._first, self.repeated
        for name, value in fields or ():
            name = name.lower()
            if name not in first:
                first[name] = value
            elif name in repeated:
                repeated[name].append(value)
            else:
                repeated[name] = [first[name], value]

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def count(self, name: str) -> int:
        """How many fields have that name."""
        return len(self._values(name))

    def text(self, name: str) -> str:
        """The first value, unfolded, 8-bit decoded, encoded words left alone (for tokenising)."""
        value = self._first.get(name)
        return unfolded(value, self.fallback) if value else ""

    def texts(self, name: str) -> list[str]:
        """Every value as `text` gives it."""
        return [unfolded(value, self.fallback) for value in self._values(name)]

    def get(self, name: str) -> str:
        """The first value decoded to one line of readable text; '' when absent."""
        value = self._first.get(name)
        return decode_words(unfolded(value, self.fallback)) if value else ""

    def names(self) -> list[str]:
        """Lower-case field names in order of first appearance."""
        return list(self._first)

    def _values(self, name: str) -> list[str]:
        if name in self.repeated:
            return self.repeated[name]
        return [self._first[name]] if name in self._first else []

    def any_of(self, names: frozenset[str]) -> bool:
        """True when a field of one of these lower-case names is there."""
        return not names.isdisjoint(self._first)


def unfolded(value: str, fallback: str = "") -> str:
    """One value (latin-1 text of its bytes) as a line: UTF-8 first, else the fallback charset, else the detector."""
    value = value.strip(_ASCII_BLANK)
    if "\r" in value:
        value = value.replace("\r\n", "\n")
        if "\r" in value:
            value = _FOLD.sub(" ", value)
    if "\n" in value:  # what can begin with LF alone is found in half the time
        value = _LF_FOLD.sub(" ", value)
    if value.isascii():
        return value
    data = value.encode("latin-1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return one_line(decode(data, fallback))


def beginning(data: Raw, start: int, end: int) -> int:
    """Where the first header of a whole letter begins: behind blank lines, a byte order mark, mbox's From line."""
    lead = _LEAD.match(data, start, end) if start < end and data[start] in _LEADING else None
    return lead.end() if lead else start


def read_headers(
    data: Raw, start: int, end: int, note: Callable[[str], None], *, root: bool = True
) -> tuple[Headers, int]:
    """Headers in data[start:end] and the offset where the body begins. Defects go to `note`; never raises.

    Only a whole letter (`root`) may begin with blank lines, a byte order mark or mbox's From line: in a part
    an empty first line says that it has no headers (RFC 2046 5.1).
    """
    first = data[start] if start < end else 0
    if root:
        start = beginning(data, start, end)
    elif first in b"\r\n" and (blank := _FIRST_IS_BLANK.match(data, start, end)):
        return Headers(), blank.end()
    limit = min(end, start + MAX_BYTES)
    stop = _END.search(data, start, limit)
    if stop:
        block = data[start : stop.start()].decode("latin-1")
        fields = _FIELD.findall(block)
        # every line is the first of a field or the fold of one: nothing is broken, nothing was passed over
        folds = block.count("\n") + 1 - len(fields)
        folds -= folds and block.count("\n ")
        if len(fields) <= MAX_FIELDS and (not folds or folds == block.count("\n\t")):
            return Headers(fields), stop.end()
    return _with_care(data, start, end, limit, note)


def _with_care(
    data: Raw, start: int, end: int, limit: int, note: Callable[[str], None]
) -> tuple[Headers, int]:
    """The same for a block that has broken lines, no end, or too much of everything."""
    text = data[start:limit].decode("latin-1")
    fields: list[tuple[str, str]] = []
    position, left = 0, MAX_FIELDS
    for _ in range(MAX_BROKEN):
        run = _RUN.match(text, position)
        stop = run.end() if run else position
        found = _FIELD.findall(text[position:stop])
        if len(found) > left:
            note("truncated: headers")
        fields += found[:left]
        left -= len(found)
        position, goes_on = _after_run(text, stop, bool(fields))
        if not goes_on:
            break
        note("header line without a name")
        left -= 1
        if left <= 0:
            break
    else:
        note("truncated: headers")
    body = start + position
    if body >= limit < end:
        note("truncated: headers")
        blank = _BLANK_LINE.search(data, limit, end)
        body = blank.end() if blank else end
    return Headers(fields), body


def _after_run(text: str, stop: int, have_fields: bool) -> tuple[int, bool]:
    """Where the body begins, or (next line, True) when one broken line stands between two fields."""
    if stop >= len(text):
        return stop, False
    line_end = text.find("\n", stop)
    after = line_end + 1 if line_end >= 0 else len(text)
    if not text[stop:after].strip(" \t\r\n"):
        return after, False
    if have_fields and line_end >= 0 and _GOES_ON.match(text, after):
        return after, True
    return stop, False
