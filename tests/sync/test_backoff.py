"""When to try again: never in step with others, never a wrong password a fourth time."""

import pytest

from postern.sync.backoff import LONGEST_SECONDS, Backoff
from postern.wire.errors import MailError


def error(code, temporary):
    return MailError(code, "No.", temporary=temporary)


def test_temporary_failures_wait_longer_and_longer_up_to_a_limit():
    backoff = Backoff(dice=lambda: 0.5)
    waits = [backoff.after(error("timeout", True)) for _ in range(12)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == LONGEST_SECONDS
    backoff.reset()
    assert backoff.after(error("timeout", True)) == 5


def test_two_mailboxes_do_not_return_at_the_same_moment():
    assert Backoff(dice=lambda: 0.0).after(error("timeout", True)) == 2.5
    assert Backoff(dice=lambda: 1.0).after(error("timeout", True)) == 7.5


def test_a_server_that_asks_for_time_gets_it():
    asked = MailError("server_busy", "Too much today.", temporary=True, retry_after=600.0)
    assert Backoff(dice=lambda: 0.0).after(asked) == 600.0
    asked = MailError("server_busy", "A moment.", temporary=True, retry_after=0.5)
    assert Backoff(dice=lambda: 0.0).after(asked) == 2.5


@pytest.mark.rule("R-037")
def test_a_providers_limit_is_waited_for_by_the_hour():
    backoff = Backoff(dice=lambda: 0.5)
    backoff.after(error("timeout", True))
    waits = [backoff.after(error("over_limit", True), was_in_sync=True) for _ in range(6)]
    assert waits == [3600, 7200, 14400, 14400, 14400, 14400]
    backoff.finished()
    assert backoff.after(error("over_limit", True)) == 14400
    backoff.reset()
    assert backoff.after(error("over_limit", True)) == 3600
    asked = MailError("over_limit", "Tomorrow.", temporary=True, retry_after=20_000.0)
    assert backoff.after(asked) == 20_000


@pytest.mark.rule("R-008")
def test_a_database_that_was_away_for_long_is_not_waited_for_long_after():
    backoff = Backoff(dice=lambda: 0.5)
    assert [backoff.after(error("store_failed", True)) for _ in range(12)][-1] == 60


@pytest.mark.rule("R-034")
@pytest.mark.parametrize("code", ["password_rejected", "token_rejected"])
def test_a_refused_sign_in_is_tried_three_times_in_all(code):
    backoff = Backoff()
    waits = [backoff.after(error(code, False)) for _ in range(3)]
    assert all(waits[:2])
    assert waits[2] is None


def test_other_failures_in_between_do_not_buy_more_tries():
    backoff = Backoff()
    backoff.after(error("password_rejected", False))
    backoff.after(error("timeout", True))
    backoff.after(error("password_rejected", False))
    assert backoff.after(error("password_rejected", False)) is None


def test_a_changed_certificate_stops_at_once():
    assert Backoff().after(error("certificate_changed", False)) is None


def test_a_refusal_that_waiting_may_not_heal_is_looked_at_rarely():
    assert Backoff(dice=lambda: 0.5).after(error("certificate_invalid", False)) == 1800
