"""A provider with a limit for the day: old mail rests before it is used up, new mail never does (R-037)."""

import asyncio
import contextlib
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from postern.mailboxes.health import in_words
from postern.mailboxes.models import MailboxHealth
from postern.sync import allowance
from postern.sync.backoff import Backoff
from postern.sync.hosts import WORKING_AT_ONCE, Hosts
from postern.sync.reconcile import reconcile
from postern.wire.imap import Session

from .box import USER, letter
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-037")]
LIMIT = 250_000
SIZE = 16_000
LETTERS = 30  # 480 kB: three days


class Meter:
    """Counts the letters that the server hands over, and what the connections receive."""

    def __init__(self, monkeypatch) -> None:
        self.fetched: list[int] = []
        self.received = 0
        bodies, abort = Session.uid_fetch_bodies, Session.abort

        async def fetch(session, uids, **options):
            async for one in bodies(session, uids, **options):
                self.fetched.append(one.uid)
                yield one

        def end(session):
            self.received += session.received
            abort(session)

        monkeypatch.setattr(Session, "uid_fetch_bodies", fetch)
        monkeypatch.setattr(Session, "abort", end)


@pytest.fixture
def meter(monkeypatch):
    return Meter(monkeypatch)


@pytest.fixture
def limited(monkeypatch, box):
    """As if Dovecot were a provider with a limit; and 480 kB of old mail."""
    monkeypatch.setattr(Session, "bytes_a_day", LIMIT)
    monkeypatch.setattr(allowance, "PASS_BYTES", 40_000)
    monkeypatch.setattr(allowance, "NOTE_BYTES", 1)
    return fill(box)


def fill(box):
    for number in range(LETTERS):
        box.server.append(USER, "INBOX", letter(f"number {number}", body="x" * SIZE))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2), sent_folder="")
    return box


@contextlib.asynccontextmanager
async def others_import(hosts):
    """Other mailboxes have all places of this host for long imports."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(WORKING_AT_ONCE):
            await stack.enter_async_context(hosts.of("localhost").working.place())
        yield


def passed(box, **time: float) -> None:
    """Pretend that the day's downloads are so much older."""
    hours = int(timedelta(**time).total_seconds() // 3600)
    health = box.health
    older = {str(int(hour) - hours): count for hour, count in health.downloaded.items()}
    MailboxHealth.objects.filter(pk=health.pk).update(downloaded=older)


def test_it_rests_goes_on_the_next_day_and_a_restart_changes_nothing(limited, meter):
    box = limited
    box.visit()
    first = list(meter.fetched)
    assert 9 * SIZE < len(first) * SIZE < LIMIT * 4 / 5
    assert sorted(first, reverse=True) == sorted(box.server.uids(USER))[-len(first) :][::-1], "newest first"
    assert not box.folder().history_done
    # Another process, which knows only what the database does.
    box.visit()
    passed(box, hours=20)
    box.visit()
    assert meter.fetched == first, "not one letter more within the day"
    assert meter.received < LIMIT
    passed(box, hours=5)
    box.visit()
    assert len(meter.fetched) > len(first)
    passed(box, hours=25)
    box.visit()
    assert sorted(meter.fetched) == box.server.uids(USER), "each letter was downloaded once"
    assert box.folder().history_done and reconcile(box.mailbox.pk).complete


def test_a_comparison_brings_in_no_more_than_the_day_allows(limited, meter):
    box = limited
    box.visit()
    first = list(meter.fetched)
    report = reconcile(box.mailbox.pk)
    assert meter.fetched == first and not report.complete, "what rests is missing, and is said to be"
    passed(box, hours=25)
    reconcile(box.mailbox.pk)
    assert len(first) < len(meter.fetched) < LETTERS
    passed(box, hours=25)
    assert reconcile(box.mailbox.pk).complete
    assert sorted(meter.fetched) == box.server.uids(USER), "each letter was downloaded once"


def test_what_is_counted_is_what_came_over_the_line(limited, meter):
    box = limited
    box.visit()
    counted = sum(box.health.downloaded.values())
    assert meter.received - 5_000 < counted <= meter.received + 1_000


def test_new_mail_is_not_held_back_and_the_owner_is_told(limited, meter):
    box = limited
    box.visit()
    passed(box, hours=25)
    hosts, before = Hosts(), len(meter.fetched)

    async def story():
        async with contextlib.AsyncExitStack() as stack:
            async with others_import(hosts):
                await stack.enter_async_context(box.watched(hosts, backoff=Backoff(dice=lambda: 0.5)))
                await asyncio.sleep(1)
                assert len(meter.fetched) == before, "old mail that need not rest waits for one of the places"
            await until(lambda: box.health.code == "history_rests")
            told, done = await asyncio.to_thread(lambda: (in_words(box.health), box.health.done))
            async with others_import(hosts):
                for subject in ("new", "newer"):
                    box.server.deliver(USER, letter(subject, body="y" * LIMIT))
                    await until(lambda subject=subject: subject in box.subjects())
        return told, done

    told, done = asyncio.run(story())
    assert (told.title, told.tone) == ("First sync rests", "busy")
    assert (
        9 <= done < LETTERS - before
        and f"{done} of {LETTERS - before} messages are here so far." in told.sentence
    )
    tomorrow = datetime.now(UTC) + timedelta(hours=24)
    assert f"{tomorrow:%-d %b}" in told.sentence or f"{tomorrow + timedelta(hours=1):%-d %b}" in told.sentence
    health = box.health
    assert health.goes_on_at > datetime.now(UTC) and not re.search(r"\d:\d\d", health.message + health.advice)
    assert "New mail comes in at once" in told.sentence and "goes on by itself" in told.fix
    assert len(box.subjects()) == before + done + 2
    assert (box.health.state, box.health.code) == ("first_sync", "history_rests")


def test_the_watcher_goes_on_by_itself_and_says_so(limited, meter):
    box = limited

    async def story():
        async with box.watched(backoff=Backoff(dice=lambda: 0.5)):
            await until(lambda: box.health.code == "history_rests")
        await asyncio.to_thread(passed, box, hours=25)
        async with box.watched(backoff=Backoff(dice=lambda: 0.5)):
            await until(lambda: len(set(meter.fetched)) > 15)
            await until(lambda: box.health.code == "history_rests")
        await asyncio.to_thread(passed, box, hours=25)
        async with box.watched(backoff=Backoff(dice=lambda: 0.5)):
            await until(in_sync(box))

    asyncio.run(story())
    assert len(box.subjects()) == LETTERS and box.health.code == ""


def test_a_process_that_dies_in_a_pass_has_counted_it_already(limited, monkeypatch):
    """kill -9 again and again must not add up to more than the provider allows."""
    box = limited

    class Killed(BaseException):
        pass

    async def die(session, uids, **options):
        raise Killed
        yield

    monkeypatch.setattr(Session, "uid_fetch_bodies", die)
    for _ in range(3):
        before = sum(box.health.downloaded.values()) if MailboxHealth.objects.exists() else 0
        with pytest.raises(Killed):
            box.visit()
        assert sum(box.health.downloaded.values()) >= before + 30_000


def test_a_server_without_a_limit_is_never_paused_and_nothing_is_counted(box, meter):
    fill(box).visit()
    assert sorted(meter.fetched) == box.server.uids(USER)
    assert box.folder().history_done and box.health.downloaded == {}
