"""UIDs as ranges. What a server can claim in ten bytes ("1:4294967295") costs ten bytes here as well (S-116).

There is no way to walk over a set: whoever wants single UIDs says which ones they know (``among``) or how
many they can bear (``listed``).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain

MAX_UID = 2**32 - 1

Range = tuple[int, int]


class UidSet:
    """A set of UIDs as sorted ranges that neither touch nor overlap; frozen, and empty when made of nothing."""

    __slots__ = ("_lows", "_ranges")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._ranges = _merged(sorted(ranges))
        self._lows = [low for low, _ in self._ranges]

    @classmethod
    def parse(cls, text: bytes | str) -> "UidSet":
        """Read ``"1:5,9"`` in any order. Raises ``ValueError`` for everything else, ``*`` included."""
        raw = text.encode("ascii", "replace") if isinstance(text, str) else text
        return cls(ordered_ranges(raw))

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        """The set of these UIDs. Raises ``ValueError`` for what is no UID."""
        ordered = sorted(set(uids))
        if ordered and not 0 < ordered[0] <= ordered[-1] <= MAX_UID:
            raise ValueError("not a UID")
        made = cls()
        made._ranges = _runs(ordered)
        made._lows = [low for low, _ in made._ranges]
        return made

    def ranges(self) -> tuple[Range, ...]:
        """(first, last) of every range, ascending."""
        return self._ranges

    def among(self, known: Iterable[int]) -> list[int]:
        """Those of ``known`` that are in the set, in their order; costs what ``known`` costs."""
        return [uid for uid in known if uid in self]

    def listed(self, at_most: int) -> list[int]:
        """All UIDs, ascending. Raises ``ValueError`` when there are more than ``at_most``."""
        if len(self) > at_most:
            raise ValueError("the set is too large to be listed")
        return list(chain.from_iterable(range(low, high + 1) for low, high in self._ranges))

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._lows, uid)
        return at > 0 and uid <= self._ranges[at - 1][1]

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __or__(self, other: "UidSet") -> "UidSet":
        return UidSet(self._ranges + other._ranges)

    def __sub__(self, other: "UidSet") -> "UidSet":
        return UidSet(_without(self._ranges, other._ranges))

    def __and__(self, other: "UidSet") -> "UidSet":
        return self - (self - other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self._ranges)

    def __repr__(self) -> str:
        text = str(self)
        return f"UidSet.parse({text if len(text) < 200 else text[:200] + '…'!r})"

    # Without this Python would walk over the set by asking for 0, 1, 2 …
    __iter__ = None


def ordered_ranges(text: bytes) -> list[Range]:
    """The ranges of ``text`` in the order they stand there, each (low, high): COPYUID's order has a meaning.

    Raises ``ValueError`` for everything that is not ``1:5,9`` with numbers of 32 bits.
    """
    return [_range(piece) for piece in text.split(b",")] if text else []


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


def _runs(ordered: Sequence[int]) -> tuple[Range, ...]:
    """Ascending distinct UIDs as ranges."""
    edges = [at for at in range(1, len(ordered)) if ordered[at] != ordered[at - 1] + 1]
    starts, ends = [0, *edges], [*edges, len(ordered)]
    return tuple((ordered[a], ordered[b - 1]) for a, b in zip(starts, ends, strict=True)) if ordered else ()


def _merged(ordered: list[Range]) -> tuple[Range, ...]:
    found: list[Range] = []
    for low, high in ordered:
        if found and low <= found[-1][1] + 1:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def _without(mine: Sequence[Range], theirs: Sequence[Range]) -> Iterable[Range]:
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
