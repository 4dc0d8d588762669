"""How much of a provider's day is used up, hour by hour (R-037)."""

from datetime import UTC, datetime, timedelta

import pytest

from postern.sync.day import counted, frees_at, used

pytestmark = pytest.mark.rule("R-037")
NOON = datetime(2026, 11, 23, 12, 20, tzinfo=UTC)


def at(*downloads: tuple[float, int]) -> dict[str, int]:
    """Hours after NOON and bytes, counted one after the other."""
    hours: dict[str, int] = {}
    for after, size in downloads:
        hours = counted(hours, NOON + timedelta(hours=after), size)
    return hours


@pytest.mark.parametrize(
    ("downloads", "total"),
    [
        ([], 0),
        ([(0, 5), (0.5, 7)], 12),
        ([(0, 5), (23, 7)], 12),
        ([(0, 5), (24.5, 7)], 12),  # 12:20 to 12:50 of the next day: a part of that hour is not a day old
        ([(0, 5), (24.7, 7)], 7),
        ([(0, 5), (0.1, -2)], 3),
        ([(0, 5), (0.1, -9)], 0),
        ([(48, 5), (0, 7)], 7),  # a clock that was two days ahead
    ],
)
def test_what_a_day_holds(downloads, total):
    assert used(at(*downloads)) == total


def test_no_24_hours_hold_more_than_is_told():
    """Whatever is downloaded when: a window of 24 hours that ends now is within what is counted."""
    sizes = [(n * 0.37, n % 11) for n in range(200)]
    hours: dict[str, int] = {}
    for after, size in sizes:
        hours = counted(hours, NOON + timedelta(hours=after), size)
        assert used(hours) >= sum(some for then, some in sizes if after - 24 <= then <= after)


def test_when_there_is_room_again():
    hours = at((0, 60), (3, 30), (5, 10))
    assert frees_at(hours, 100) is None
    assert frees_at(hours, 40) == datetime(2026, 11, 24, 13, tzinfo=UTC)
    assert frees_at(hours, 39) == datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert frees_at(hours, 0) == datetime(2026, 11, 24, 18, tzinfo=UTC)
    for most in (40, 39, 0):
        then = frees_at(hours, most)
        assert used(counted(hours, then, 0)) <= most < used(counted(hours, then - timedelta(minutes=1), 0))
