"""The words by which a letter is found, folded alike when it is stored and when somebody types.

Case and accents do not matter, and everything that is no letter or digit parts words, so an address is
found by each of its pieces (@ . _ - +). Scripts written without blanks are taken letter by letter. Knows
neither Django nor a database.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator

MOST_BYTES = 900_000
"""Of different words kept of one letter: PostgreSQL takes a vector of less than one megabyte."""
LONGEST = 60
MOST_TYPED = 8
MOST_READ = 2_000_000
"""Characters of a text whose words are kept: more than anybody writes, and less than keeps a processor busy."""
MOST_FOLDED = 50_000  # different words with other letters than ASCII's; a long novel in Russian has as many
_LONGEST_BYTES = 4 * LONGEST

_WORD = re.compile(r"[^\W_]+")
# What stands over or under a letter: what may be left of one when it is taken apart.
_COMBINING = re.compile(
    "[" + "".join(c for c in map(chr, range(0x300, 0x20000)) if unicodedata.combining(c)) + "]+"
)
# Thai and Lao, Khmer, Chinese, Japanese: no blanks between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
# What parts words in UTF-8 becomes a blank, capitals small; what is not ASCII stays to be looked at.
_PARTED = bytes(byte if byte > 127 or chr(byte).isalnum() else 32 for byte in bytes(range(256)).lower())
# After a word in the vector: its end, the count of its positions, the position with its weight.
_SUBJECT = b"\0" + struct.pack(">HH", 1, 3 << 14 | 1)  # weight A
_PEOPLE = b"\0" + struct.pack(">HH", 1, 2 << 14 | 2)  # weight B
_BODY = b"\0\0\0"  # no position: a third of the size, and nobody searches for phrases


def words(text: str) -> set[bytes]:
    """Return the different folded words of a text, in UTF-8."""
    pieces = set(text.encode(errors="ignore").translate(_PARTED).split())
    if text.isascii():
        return {piece[:LONGEST] for piece in pieces}
    plain = {piece[:LONGEST] for piece in pieces if piece.isascii()}
    others = [piece for piece in pieces if not piece.isascii()]
    if len(others) > MOST_FOLDED:
        others = sorted(sorted(others), key=len)[:MOST_FOLDED]
    if others:
        plain.update(map(str.encode, _folded(b" ".join(others).decode(errors="ignore").lower())))
    return plain


def _folded(pieces: str) -> Iterator[str]:
    """The words of some pieces without case and accents, none longer than LONGEST."""
    found = set(_WORD.findall(pieces))
    yield from (word[:LONGEST] for word in found if word.isascii())
    # no fold makes a word so much shorter
    lines = "\n".join([word[: 4 * LONGEST] for word in found if not word.isascii()])
    lines = unicodedata.normalize("NFKD", _UNSPACED.sub(r" \g<0> ", lines).casefold())
    lines = _COMBINING.sub("", lines).translate(_LETTERS)
    # compatibility forms (ﬁ, ½, full width) may fall apart into several words
    yield from (word[:LONGEST] for word in _WORD.findall(lines))


def vector(*, subject: str, people: Iterable[str], body: str) -> bytes:
    """Return the search vector of a letter as PostgreSQL's `tsvectorrecv` reads it, in its order."""
    first = words(subject[:2000])
    second = words(" ".join(people)[:20_000]) - first
    rest = words(body[:MOST_READ]) - first - second
    if sum(map(len, rest)) + len(rest) > MOST_BYTES:
        rest = _fitting(rest)
    entries = [word + _SUBJECT for word in first]
    entries += [word + _PEOPLE for word in second]
    entries += [word + _BODY for word in rest]
    entries.sort()
    return struct.pack(">i", len(entries)) + b"".join(entries)


def _fitting(many: set[bytes]) -> set[bytes]:
    """The shortest, as many as there is room for: the longest are numbers and addresses of pages."""
    left, kept = MOST_BYTES, set[bytes]()
    by_length: list[list[bytes]] = [[] for _ in range(_LONGEST_BYTES + 1)]
    for word in many:
        by_length[len(word)].append(word)
    for length, some in enumerate(by_length):
        fit = left // (length + 1)
        if len(some) > fit:
            kept.update(sorted(some)[:fit])
            break
        kept.update(some)
        left -= len(some) * (length + 1)
    return kept


def query(text: str) -> str:
    """Return what somebody typed as a `tsquery`: letters that have words beginning with all of these.

    '' when nothing in it is a word.
    """
    typed = [one for typed in text.split()[:MOST_TYPED] for one in sorted(words(typed))[:MOST_TYPED]]
    return " & ".join(f"'{word.decode()}':*" for word in typed)
