"""Health says what happened, since when, and the one fix."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from postern.mailboxes.discover import hint
from postern.mailboxes.health import ago, in_words
from postern.mailboxes.models import MailboxHealth

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SINCE = datetime(2026, 11, 23, 8, 40, tzinfo=UTC)


def health(state, **facts):
    return MailboxHealth(state=state, **facts)


@pytest.mark.parametrize(
    ("row", "title", "says", "tone"),
    [
        (health("new"), "Not started", "not visited", "busy"),
        (health("first_sync", done=43, total=100), "First sync 43%", "43 of 100 messages", "busy"),
        (health("first_sync", done=9, total=0), "First sync", "9 of 0", "busy"),
        (
            health("first_sync", done=19_000, total=38_000, since=NOW - timedelta(seconds=10)),
            "First sync 50%",
            "19,000 of 38,000 messages are here, 1,900 a second. You can work",
            "busy",
        ),
        (
            health("in_sync", last_sync_at=NOW - timedelta(seconds=12)),
            "In sync",
            "Last sync 12 s ago.",
            "good",
        ),
        (
            health("password_rejected", server_text="535 5.7.8 authentication failed", since=SINCE),
            "Password rejected",
            "Password rejected. Your provider said: “535 5.7.8 authentication failed”. Since 08:40.",
            "bad",
        ),
        (health("certificate_changed"), "Certificate changed", "another certificate", "bad"),
        (
            health("reconnecting", message="It timed out.", since=SINCE),
            "Reconnecting",
            "It timed out.",
            "warning",
        ),
        (health("failed", since=SINCE - timedelta(days=3)), "Needs attention", "Since 20 Nov 08:40", "bad"),
        (health("paused"), "Paused", "what was imported stays", "warning"),
    ],
)
def test_words(row, title, says, tone):
    words = in_words(row, NOW)
    assert words.title == title
    assert says in words.sentence
    assert words.tone == tone
    assert bool(words.fix) == (tone in ("warning", "bad"))


def test_every_state_has_words():
    for state in MailboxHealth.State:
        assert in_words(health(state), NOW).sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (-5, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (86400, "1 day ago"),
        (200_000, "2 days ago"),
    ],
)
def test_ago(seconds, text):
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_provider_hints():
    assert "app password" in hint("someone@GMail.com").advice
    assert hint("someone@northlink.example") is None
    assert hint("nonsense") is None


@pytest.mark.rule("R-037")
@pytest.mark.parametrize(("zone", "told"), [("UTC", "08:40"), ("Asia/Kolkata", "14:10")])
def test_when_what_rests_goes_on_is_told_in_the_zone_of_who_looks(zone, told):
    row = health("first_sync", code="history_rests", message="Older messages wait.", goes_on_at=SINCE)
    with timezone.override(zone):
        assert in_words(row, NOW).sentence == f"Older messages wait. They wait until {told}."
