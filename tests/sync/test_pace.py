"""The table of looks: a flock at once, then one every few seconds, and never a debt that grows."""

import pytest

from postern.sync.pace import AT_ONCE, SECONDS, Pace


def waits(*moments):
    pace = Pace()
    return [pace.look(now) for now in moments]


@pytest.mark.parametrize("start", [0.0, 5.0, 1e6])
def test_a_flock_of_looks_goes_at_once_and_the_next_one_waits(start):
    assert waits(*[start] * (AT_ONCE + 1)) == [0.0] * AT_ONCE + [SECONDS]


def test_looks_that_are_far_enough_apart_never_wait():
    assert set(waits(*(SECONDS * n for n in range(100)))) == {0.0}


def test_looks_that_are_waited_for_are_so_far_apart():
    pace, now, at = Pace(), 0.0, []
    for _ in range(AT_ONCE + 50):
        now += pace.look(now) + 0.01
        at.append(now)
    assert at[-1] - at[AT_ONCE] == pytest.approx(49 * SECONDS, abs=1)


def test_whoever_does_not_wait_owes_no_more_than_one_wait():
    assert max(waits(*[0.0] * 500)) == SECONDS


def test_after_a_rest_there_is_a_flock_again():
    pace = Pace()
    for _ in range(AT_ONCE * 2):
        pace.look(0.0)
    rested = (AT_ONCE + 1) * SECONDS
    assert [pace.look(rested) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
