"""A provider's limit for a day: a long pause, told to the owner, then on from where it was (R-037)."""

import asyncio
from datetime import date, timedelta

import pytest

from postern.mailboxes.health import in_words
from postern.sync.backoff import Backoff
from postern.sync.reconcile import reconcile
from postern.wire.imap import Session
from postern.wire.imap.refusals import refusal
from postern.wire.imap.responses import Line

from .box import USER, letter
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-037")]
GMAIL = Line("NO", "OVERQUOTA", b"", "Account exceeded command or bandwidth limits. (Failure)")


class Provider:
    """Lets some letters through, then refuses FETCH, or EXAMINE as well, until somebody says `again`."""

    def __init__(self, monkeypatch, *, grants: int, at_select: bool = False) -> None:
        self.grants = grants
        self.sign_ins = 0
        self.fetched: list[int] = []
        self.refused = 0
        bodies, select, opened = Session.uid_fetch_bodies, Session.select, Session.__init__

        def over(command: str) -> None:
            self.refused += 1
            raise refusal(command, GMAIL)

        async def fetch(session, uids, **options):
            async for one in bodies(session, uids, **options):
                if self.grants <= 0:
                    session.abort()
                    over("UID FETCH")
                self.grants -= 1
                self.fetched.append(one.uid)
                yield one

        async def opening(session, name, **options):
            if at_select and self.grants <= 0:
                over("EXAMINE")
            return await select(session, name, **options)

        def begin(session, *arguments, **options):
            self.sign_ins += 1
            opened(session, *arguments, **options)

        monkeypatch.setattr(Session, "uid_fetch_bodies", fetch)
        monkeypatch.setattr(Session, "select", opening)
        monkeypatch.setattr(Session, "__init__", begin)


@pytest.mark.parametrize("at_select", [False, True], ids=["at FETCH", "then at EXAMINE too"])
def test_a_first_sync_pauses_is_told_and_goes_on_where_it_was(box, dovecot, monkeypatch, at_select):
    monkeypatch.setattr("postern.sync.bringing.FIRST_LETTERS", 3)
    subjects = [f"number {n}" for n in range(12)]
    for subject in subjects:
        dovecot.append(USER, "INBOX", letter(subject))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2), sent_folder="")
    provider = Provider(monkeypatch, grants=5, at_select=at_select)
    waits = Backoff(dice=lambda: 0.5)

    async def story():
        async with box.watched(backoff=waits) as watcher:
            await until(lambda: box.health.code == "over_limit")
            before = (provider.sign_ins, provider.refused)
            told = await asyncio.to_thread(lambda: in_words(box.health))
            await until(lambda: watcher.wait_left > 1000)
            watcher.wake.set()  # an errand, or "Check for mail": nobody asks the provider for that
            await asyncio.sleep(0.3)
            assert (provider.sign_ins, provider.refused) == before
            here = await asyncio.to_thread(box.subjects)
            assert len(here) == 5
            provider.grants = 100
            watcher.again_at = 0.0
            watcher.wake.set()
            await until(in_sync(box))
        return told

    told = asyncio.run(story())
    assert (told.title, told.tone) == ("Provider’s limit reached", "warning")
    assert "Account exceeded command or bandwidth limits" in told.sentence
    assert "goes on where it was" in told.fix
    assert sorted(provider.fetched) == dovecot.uids(USER), "each letter was downloaded once"
    assert sorted(box.subjects()) == sorted(subjects)
    assert reconcile(box.mailbox.pk).complete


def test_a_mailbox_that_was_in_sync_tells_it_at_the_first_refusal(box, dovecot, monkeypatch):
    provider = Provider(monkeypatch, grants=1)

    async def story():
        async with box.watched(backoff=Backoff(dice=lambda: 0.5)) as watcher:
            await until(in_sync(box))
            dovecot.deliver(USER, letter("one"))
            await until(lambda: box.subjects() == ["one"])
            dovecot.deliver(USER, letter("two"))
            await until(lambda: box.health.code == "over_limit")
            await until(lambda: watcher.wait_left > 1000)
            provider.grants = 9
            watcher.again_at = 0.0
            watcher.wake.set()
            await until(lambda: box.subjects() == ["one", "two"])
            await until(in_sync(box))

    asyncio.run(story())


def test_no_letter_is_blamed_for_the_limit(box, dovecot, monkeypatch):
    """Whatever the number of refusals, the letter at which they came is brought in whole in the end."""
    box.visit()
    dovecot.append(USER, "INBOX", letter("one"))
    provider = Provider(monkeypatch, grants=0)
    for _ in range(20):
        with pytest.raises(Exception, match="used up for now"):
            box.visit()
    provider.grants = 1
    box.visit()
    assert box.subjects(withheld="") == ["one"]
