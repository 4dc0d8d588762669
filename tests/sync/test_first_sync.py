"""A first sync shows the newest letters at once, while the history behind them follows."""

from datetime import UTC, date, datetime, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mail.models import Message
from postern.sync import store
from postern.sync.bringing import FIRST_LETTERS, MOST_LETTERS
from postern.wire.imap.commands import MAX_UIDS
from tests.sync.box import USER, Box, make_box

COUNT = 2000


@pytest.fixture
def full(db, acting_as, dovecot) -> Box:
    """A mailbox with two thousand letters, and the wish for all of them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1, COUNT + 1):
        raw = f"From: a@b.example\r\nMessage-ID: <{number}@b.example>\r\nSubject: {number}\r\n\r\nHello\r\n"
        dovecot.deliver(USER, raw.encode(), date=start + timedelta(minutes=number))
    with acting_as("superuser"):
        return make_box(dovecot, historic=True, historic_since=date(2026, 1, 1).isoformat())


def test_of_two_thousand_letters_the_newest_are_committed_first(full, acting_as, monkeypatch):
    batches: list[list[int]] = []
    kept = store.keep

    def watched(folder, uidvalidity, arrivals, **options):
        stored = kept(folder, uidvalidity, arrivals, **options)
        if arrivals:
            with at_mailbox(folder.mailbox_id):
                assert Message.objects.count() == sum(map(len, batches)) + len(arrivals), "it is committed"
            batches.append([one.uid for one in arrivals])
        return stored

    monkeypatch.setattr(store, "keep", watched)
    with acting_as("sync"):
        full.visit(rounds=100)
    uids = sorted(uid for batch in batches for uid in batch)  # the server goes on counting from test to test
    assert len(uids) == len(set(uids)) == COUNT
    assert sorted(batches[0]) == uids[-FIRST_LETTERS:]
    assert max(map(len, batches)) <= MOST_LETTERS
    here = 0
    for batch in batches:
        assert min(batch) > uids[-1] - here - len(batch) - MAX_UIDS, "newest first, range by range"
        here += len(batch)
