"""UIDs as ranges. What a server can claim in ten bytes ("1:4294967295") costs ten bytes here as well (S-116).

There is no way to walk over a set: whoever wants single UIDs says which ones they know (``among``) or how
many they can bear (``listed``).
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain

MAX_UID = 2**32 - 1

Range = tuple[int, int]
_PORTION = 50_000


class UidSet:
    """A set of UIDs as sorted ranges that neither touch nor overlap; frozen, and empty when made of nothing.

    A range takes 16 bytes: a server may name a million of them in one line.
    """

    __slots__ = ("_highs", "_lows")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._lows, self._highs = _columns(iter(ranges))

    @classmethod
    def parse(cls, text: bytes | str) -> "UidSet":
        """Read ``"1:5,9"`` in any order. Raises ``ValueError`` for everything else, ``*`` included."""
        raw = text.encode("ascii", "replace") if isinstance(text, str) else text
        return cls(_ranges_of(raw))

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        """The set of these UIDs. Raises ``ValueError`` for what is no UID."""
        return cls((_checked(uid), uid) for uid in uids)

    def ranges(self) -> tuple[Range, ...]:
        """(first, last) of every range, ascending."""
        return tuple(self._pairs())

    def _pairs(self) -> Iterator[Range]:
        return zip(self._lows, self._highs, strict=True)

    def among(self, known: Iterable[int]) -> list[int]:
        """Those of ``known`` that are in the set, in their order; costs what ``known`` costs."""
        return [uid for uid in known if uid in self]

    def listed(self, at_most: int) -> list[int]:
        """All UIDs, ascending. Raises ``ValueError`` when there are more than ``at_most``."""
        if len(self) > at_most:
            raise ValueError("the set is too large to be listed")
        return list(chain.from_iterable(range(low, high + 1) for low, high in self._pairs()))

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._lows, uid)
        return at > 0 and uid <= self._highs[at - 1]

    def __len__(self) -> int:
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def __bool__(self) -> bool:
        return bool(self._lows)

    def __or__(self, other: "UidSet") -> "UidSet":
        return UidSet(merge(self._pairs(), other._pairs()))

    def __sub__(self, other: "UidSet") -> "UidSet":
        return UidSet(_without(self._pairs(), other.ranges()))

    def __and__(self, other: "UidSet") -> "UidSet":
        return self - (self - other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and self._lows == other._lows and self._highs == other._highs

    def __hash__(self) -> int:
        return hash((self._lows.tobytes(), self._highs.tobytes()))

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self._pairs())

    def __repr__(self) -> str:
        text = str(self)
        return f"UidSet.parse({text if len(text) < 200 else text[:200] + '…'!r})"

    # Without this Python would walk over the set by asking for 0, 1, 2 …
    __iter__ = None


def ordered_ranges(text: bytes) -> list[Range]:
    """The ranges of ``text`` in the order they stand there, each (low, high): COPYUID's order has a meaning.

    Raises ``ValueError`` for everything that is not ``1:5,9`` with numbers of 32 bits.
    """
    return list(_ranges_of(text))


def _ranges_of(text: bytes) -> Iterator[Range]:
    return (_range(piece) for piece in pieces(text, b",")) if text else iter(())


def pieces(text: bytes, separator: bytes | None) -> Iterator[bytes]:
    """``text.split(separator)`` in portions: a line of megabytes is never there twice."""
    while True:
        parts = text.split(separator, _PORTION)
        if len(parts) <= _PORTION:
            yield from parts
            return
        text = parts.pop()
        yield from parts


def _range(piece: bytes) -> Range:
    low, colon, high = piece.partition(b":")
    first = read_uid(low)
    last = read_uid(high) if colon else first
    return (first, last) if first <= last else (last, first)


def read_uid(digits: bytes) -> int:
    """A UID, that is 1 to 4294967295. Raises ``ValueError``; the digits are counted before they are read."""
    if len(digits) > 10 or not digits.isdigit() or not 0 < (uid := int(digits)) <= MAX_UID:
        raise ValueError("not a UID")
    return uid


def _checked(uid: int) -> int:
    if not 0 < uid <= MAX_UID:
        raise ValueError("not a UID")
    return uid


def _columns(ranges: Iterator[Range]) -> "tuple[array[int], array[int]]":
    """First and last of every range once those that touch are one; servers mostly send them in order."""
    lows, highs = array("Q"), array("Q")
    for low, high in ranges:
        if not lows or low > highs[-1] + 1:
            lows.append(low)
            highs.append(high)
        elif low < lows[-1]:
            return _columns(iter(sorted([*zip(lows, highs, strict=True), (low, high), *ranges])))
        elif high > highs[-1]:
            highs[-1] = high
    return lows, highs


def _without(mine: Iterable[Range], theirs: tuple[Range, ...]) -> Iterator[Range]:
    """One walk over both, whatever the ranges span."""
    at = 0
    for low, high in mine:
        while at < len(theirs) and theirs[at][1] < low:
            at += 1
        look = at
        while look < len(theirs) and theirs[look][0] <= high:
            if theirs[look][0] > low:
                yield low, theirs[look][0] - 1
            low = theirs[look][1] + 1
            look += 1
        if low <= high:
            yield low, high


NOTHING = UidSet()
