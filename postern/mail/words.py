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
_SUBJECT = struct.pack(">HH", 1, 3 << 14 | 1)  # one position, of weight A
_PEOPLE = struct.pack(">HH", 1, 2 << 14 | 2)  # of weight B
_BODY = b"\0\0"  # no position: a third of the size, and nobody searches for phrases


@lru_cache(maxsize=50_000)
def fold(word: str) -> str:
    """Return a word without case and accents, and no longer than LONGEST."""
    if not word.isascii():
        pieces = unicodedata.normalize("NFKD", word.casefold())
        word = "".join(c for c in pieces if not unicodedata.combining(c)).translate(_LETTERS)
    return word[:LONGEST]


def words(text: str) -> set[str]:
    """Return the different folded words of a text."""
    plain = set()
    for piece in set(text.lower().split()):  # most pieces are words already, and come again and again
        if piece.isascii() and piece.isalnum():
            plain.add(piece[:LONGEST])
        else:
            plain.update(_folded(piece))
    return plain


def _folded(piece: str) -> Iterator[str]:
    for word in _WORD.findall(piece):
        if word.isascii():
            yield word[:LONGEST]
        else:  # compatibility forms (ﬁ, ½, full width) may fall apart into several words
            yield from _WORD.findall(fold(_UNSPACED.sub(r" \g<0> ", word)))


def vector(*, subject: str, people: Iterable[str], body: str) -> bytes:
    """Return the search vector of a letter as PostgreSQL's `tsvectorrecv` reads it."""
    first = words(subject[:2000])
    second = words(" ".join(people)[:20_000]) - first
    rest = words(body) - first - second
    if sum(map(len, rest)) > MOST_BYTES // 5:  # a character is four bytes at most
        rest = _fitting(rest)
    pieces = [_joined(first, _SUBJECT), _joined(second, _PEOPLE), _joined(rest, _BODY)]
    return struct.pack(">i", len(first) + len(second) + len(rest)) + b"".join(pieces)


def _fitting(many: set[str]) -> set[str]:
    left, kept = MOST_BYTES, set()
    for word in sorted(
        many, key=lambda word: (len(word), word)
    ):  # the longest are numbers and addresses of pages
        left -= len(word.encode()) + 1
        if left < 0:
            break
        kept.add(word)
    return kept


def _joined(some: set[str], place: bytes) -> bytes:
    end = b"\0" + place
    return end.join(sorted(map(str.encode, some))) + end if some else b""


def query(text: str) -> str:
    """Return what somebody typed as a `tsquery`: letters that have words beginning with all of these.

    '' when nothing in it is a word.
    """
    typed = [one for typed in text.split()[:MOST_TYPED] for one in sorted(words(typed))[:MOST_TYPED]]
    return " & ".join(f"'{word}':*" for word in typed)
