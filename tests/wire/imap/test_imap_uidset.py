"""Sets of UIDs: the arithmetic against Python's own sets, and what a hostile one may cost (S-116)."""

import time
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.wire.imap.uidset import MAX_UID, UidSet, ordered_ranges

UIDS = st.sets(st.integers(1, 60))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", ()),
        ("5", ((5, 5),)),
        ("1:3,7", ((1, 3), (7, 7))),
        ("7,1:3", ((1, 3), (7, 7))),
        ("3:1", ((1, 3),)),
        ("1:3,4,5:9", ((1, 9),)),
        ("1:9,2:3", ((1, 9),)),
        ("1:4294967295", ((1, MAX_UID),)),
        ("4294967295,1", ((1, 1), (MAX_UID, MAX_UID))),
    ],
)
def test_parse(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert UidSet.parse(text).ranges() == UidSet.parse(text.encode()).ranges() == ranges


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0:3",
        "1:*",
        "*",
        "-1",
        "1,,2",
        ",",
        "1:",
        ":1",
        "1:2:3",
        " 1",
        "1 ",
        "4294967296",
        "9" * 5000,
        "²",
    ],
)
def test_no_set(text: str) -> None:
    with pytest.raises(ValueError, match="UID"):
        UidSet.parse(text)


@pytest.mark.parametrize("uids", [[0], [-1], [2**32]])
def test_no_uid(uids: list[int]) -> None:
    with pytest.raises(ValueError, match="UID"):
        UidSet.of(uids)


@given(UIDS, UIDS)
def test_it_is_a_set(one: set[int], other: set[int]) -> None:
    mine, yours = UidSet.of(one), UidSet.of(other)
    assert len(mine) == len(one)
    assert bool(mine) is bool(one)
    assert [uid for uid in range(70) if uid in mine] == sorted(one)
    assert UidSet.parse(str(mine)) == mine
    assert hash(UidSet.parse(str(mine))) == hash(mine)
    assert mine | yours == UidSet.of(one | other)
    assert mine - yours == UidSet.of(one - other)
    assert mine & yours == UidSet.of(one & other)
    assert (mine == yours) is (one == other)
    assert mine.among(sorted(other)) == sorted(one & other)
    assert mine.listed(60) == sorted(one)


@given(UIDS)
def test_ranges_neither_touch_nor_overlap(uids: set[int]) -> None:
    edges = [edge for pair in UidSet.of(uids).ranges() for edge in pair]
    assert edges == sorted(edges)
    assert all(low - high > 1 for high, low in zip(edges[1::2], edges[2::2], strict=False))


def test_a_set_cannot_be_walked_over_or_listed_beyond_a_bound() -> None:
    everything = UidSet.parse("1:4294967295")
    with pytest.raises(TypeError):
        iter(everything)
    with pytest.raises(ValueError, match="too large"):
        everything.listed(10**6)
    assert UidSet.parse("5:7").listed(3) == [5, 6, 7]


def test_a_claim_of_every_uid_costs_nothing() -> None:
    """S-116: whatever is done with it."""
    begun = time.process_time()
    tracemalloc.start()
    known: Iterable[int] = range(1, 1001)
    for _ in range(1000):
        everything = UidSet.parse(b"1:4294967295")
        assert len(everything) == MAX_UID
        assert str(everything) == "1:4294967295"
    assert everything.among(known) == list(known)
    assert str(everything - UidSet.of(known)) == "1001:4294967295"
    assert everything | everything == everything & everything
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("shape", ["{0}", "{0}:{1}", "1:4294967295"])
def test_many_ranges_cost_linear_time(shape: str) -> None:
    """S-114, S-116: a line of some megabytes, and the arithmetic with it."""

    def seconds(count: int) -> float:
        text = ",".join(shape.format(4 * n, 4 * n + 1) for n in range(1, count)).encode()
        begun = time.process_time()
        made = UidSet.parse(text)
        assert made - made == UidSet()
        assert made | made == made
        return time.process_time() - begun

    small = min(seconds(50_000) for _ in range(3))
    assert seconds(200_000) < 12 * small + 0.1
    assert small < 1


def test_order_is_kept_where_it_has_a_meaning() -> None:
    assert ordered_ranges(b"304,319:320,5") == [(304, 304), (319, 320), (5, 5)]
