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
from functools import lru_cache

MOST_BYTES = 900_000
"""Of different words kept of one letter: PostgreSQL takes a vector of less than one megabyte."""
LONGEST = 60
MOST_TYPED = 8

_WORD = re.compile(r"[^\W_]+")
# Thai and Lao, Khmer, Chinese, Japanese: no blanks between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
# What parts words in UTF-8 becomes a blank, capitals small; what is not ASCII stays to be looked at.
_PARTED = bytes(byte if byte > 127 or chr(byte).isalnum() else 32 for byte in bytes(range(256)).lower())
# After a word in the vector: its end, the count of its positions, the position with its weight.
_SUBJECT = b"\0" + struct.pack(">HH", 1, 3 << 14 | 1)  # weight A
_PEOPLE = b"\0" + struct.pack(">HH", 1, 2 << 14 | 2)  # weight B
_BODY = b"\0\0\0"  # no position: a third of the size, and nobody searches for phrases


@lru_cache(maxsize=50_000)
def fold(word: str) -> str:
    """Return a word without case and accents, and no longer than LONGEST."""
    if not word.isascii():
        pieces = unicodedata.normalize("NFKD", word.casefold())
        word = "".join(c for c in pieces if not unicodedata.combining(c)).translate(_LETTERS)
    return word[:LONGEST]


def words(text: str) -> set[bytes]:
    """Return the different folded words of a text, in UTF-8."""
    plain = set()
    for piece in set(text.encode(errors="ignore").translate(_PARTED).split()):
        if piece.isascii():
            plain.add(piece[:LONGEST])
        else:
            plain.update(map(str.encode, _folded(piece.decode(errors="ignore").lower())))
    return plain


def _folded(piece: str) -> Iterator[str]:
    for word in _WORD.findall(piece):
        if word.isascii():
            yield word[:LONGEST]
        else:  # compatibility forms (ﬁ, ½, full width) may fall apart into several words
            yield from _WORD.findall(fold(_UNSPACED.sub(r" \g<0> ", word)))


def vector(*, subject: str, people: Iterable[str], body: str) -> bytes:
    """Return the search vector of a letter as PostgreSQL's `tsvectorrecv` reads it, in its order."""
    first = words(subject[:2000])
    second = words(" ".join(people)[:20_000]) - first
    rest = words(body) - first - second
    if sum(map(len, rest)) + len(rest) > MOST_BYTES:
        rest = _fitting(rest)
    entries = [word + _SUBJECT for word in first]
    entries += [word + _PEOPLE for word in second]
    entries += [word + _BODY for word in rest]
    entries.sort()
    return struct.pack(">i", len(entries)) + b"".join(entries)


def _fitting(many: set[bytes]) -> set[bytes]:
    left, kept = MOST_BYTES, set()
    # The longest are numbers and addresses of pages.
    for word in sorted(many, key=lambda word: (len(word), word)):
        left -= len(word) + 1
        if left < 0:
            break
        kept.add(word)
    return kept


def query(text: str) -> str:
    """Return what somebody typed as a `tsquery`: letters that have words beginning with all of these.

    '' when nothing in it is a word.
    """
    typed = [one for typed in text.split()[:MOST_TYPED] for one in sorted(words(typed))[:MOST_TYPED]]
    return " & ".join(f"'{word.decode()}':*" for word in typed)
