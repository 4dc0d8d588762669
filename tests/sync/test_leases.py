"""Leases: one process at a mailbox, others take over, and whoever lost one cannot write any more (R-004)."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import pytest

from postern.mail.access import at_mailbox
from postern.mailboxes.models import Lease, Mailbox
from postern.sync import store
from postern.sync.leases import Leases, fair_share, lease_of
from postern.sync.reconcile import reconcile
from postern.sync.run import sync_once
from postern.sync.store import Held, LeaseLost, Store, pin

from .box import USER, letter, make_box
from .test_lies import Passwords
from .test_supervisor import Process, in_sync, supervising, wait_until
from .test_watcher import until

SETTINGS = "signature"
MANY = 200


@pytest.fixture
def mailbox(db, acting_as):
    """A mailbox that no server knows."""
    made = make_box(Passwords(), host="imap.example.net", imap_security="starttls").mailbox.pk
    with acting_as("sync"):
        yield made


def take(owner, mailbox, seconds=30.0, signature=SETTINGS):
    """The epoch, None when the lease is not to be had."""
    return store.take(owner, {mailbox: signature}, 10, seconds).get(mailbox)


def held(keeper, mailbox, epoch):
    return Held(keeper, mailbox, epoch, time.monotonic() + 30)


def test_one_process_at_a_time_and_an_expired_lease_is_taken_over(mailbox):
    assert take("a", mailbox, seconds=0.2) == 1
    assert take("b", mailbox) is None
    time.sleep(0.3)
    assert take("b", mailbox) == 2
    assert store.renew({mailbox: 1}, 30) == (set(), {mailbox})
    assert store.renew({mailbox: 2}, 30) == ({mailbox}, set())


def test_a_late_renewal_is_good_as_long_as_nobody_took_over(mailbox):
    take("a", mailbox, seconds=0.05)
    time.sleep(0.1)
    assert store.renew({mailbox: 1}, 30) == ({mailbox}, set())
    assert take("b", mailbox) is None


@pytest.mark.rule("R-004")
def test_a_write_under_an_old_epoch_is_refused_and_changes_nothing(mailbox):
    keeper = Store(1)
    old = held(keeper, mailbox, take("a", mailbox, seconds=0.05))
    time.sleep(0.1)
    new = held(keeper, mailbox, take("b", mailbox))

    def write():
        pin(mailbox, "written")

    async def story():
        with pytest.raises(LeaseLost):
            await old.run(write)
        assert await keeper.run(lambda: Mailbox.objects.get(pk=mailbox).imap_pinned_sha256) == ""
        await new.run(write)
        assert await keeper.run(lambda: Mailbox.objects.get(pk=mailbox).imap_pinned_sha256) == "written"

    asyncio.run(story())
    keeper.close()


@pytest.mark.rule("R-004")
def test_nothing_is_done_on_the_server_when_the_lease_may_have_run_out():
    keeper = Store(1)
    Held(keeper, 1, 1, time.monotonic() + 5).check()
    with pytest.raises(LeaseLost):
        Held(keeper, 1, 1, time.monotonic() - 0.001).check()
    keeper.close()


def test_a_lease_whose_holder_is_writing_is_not_taken_over(mailbox):
    keeper = Store(2)
    mine = held(keeper, mailbox, take("a", mailbox, seconds=0.05))

    async def story():
        writing = asyncio.create_task(mine.run(time.sleep, 0.6))
        await asyncio.sleep(0.3)
        assert await keeper.run(take, "b", mailbox) is None
        await writing
        assert await keeper.run(take, "b", mailbox) == 2

    asyncio.run(story())
    keeper.close()


def test_given_back_it_is_free_at_once_but_a_wait_outlives_the_process(mailbox):
    epoch = take("a", mailbox)
    store.give_back("a", [(mailbox, epoch, 0.0)])
    epoch = take("b", mailbox)
    assert epoch == 3, "whatever the one who gave it back still writes is refused"
    store.give_back("b", [(mailbox, epoch, 600.0)])
    assert take("c", mailbox) is None
    assert take("c", mailbox, signature="other settings") == 5


def test_giving_back_what_another_has_taken_over_harms_nobody(mailbox):
    take("a", mailbox, seconds=0.05)
    time.sleep(0.1)
    take("b", mailbox)
    store.give_back("a", [(mailbox, 1, 0.0)])
    assert store.renew({mailbox: 2}, 30) == ({mailbox}, set())


@pytest.mark.rule("R-039")
def test_the_clock_of_a_worker_means_nothing_to_a_lease(mailbox, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert take("from tomorrow", mailbox) == 1
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    assert take("from yesterday", mailbox) is None
    assert store.renew({mailbox: 1}, 30) == ({mailbox}, set())


@pytest.mark.parametrize(
    ("mailboxes", "processes", "share"), [(0, 1, 0), (1, 2, 1), (3, 2, 2), (2000, 3, 667), (5, 0, 5)]
)
def test_a_fair_share(mailboxes, processes, share):
    assert fair_share(mailboxes, processes) == share


def test_who_holds_more_than_a_fair_share_lets_go_of_the_surplus():
    leases = Leases(Store(1))
    leases.held = dict.fromkeys(range(30))
    assert leases.surplus(30) == []
    assert leases.hear("another", "hello")
    assert not leases.hear("another", "hello")
    assert leases.surplus(30) == [29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16]
    leases.hear("another", "bye")
    assert leases.surplus(30) == []
    assert not leases.hear(leases.owner, "hello")


def test_what_a_killed_process_of_this_machine_held_is_free_at_once(mailbox):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    keeper = Store(1)

    async def story():
        mine = Leases(keeper)
        place = mine.owner.rsplit(":", 2)[0]
        assert await keeper.run(take, f"{place}:{child.pid}:dead", mailbox) == 1
        await mine.bury_dead()
        assert await mine.claim({mailbox: SETTINGS}, 1) == [mailbox]
        await Leases(keeper).bury_dead()
        assert await keeper.run(take, "nobody", mailbox) is None, "the living keep theirs"

    asyncio.run(story())
    keeper.close()


# With a real server

dovecot_wanted = pytest.mark.dovecot


@dovecot_wanted
@pytest.mark.rule("R-005")
def test_fetch_now_while_it_is_watched_asks_the_watcher_and_gives_one_result(box, dovecot):
    async def story():
        async with supervising():
            await until(in_sync(box))
            dovecot.append(USER, "INBOX", letter("one"))
            said = await asyncio.to_thread(sync_once, box.mailbox.pk)
            assert "has looked just now" in said
            assert await asyncio.to_thread(box.subjects) == ["one"]

    asyncio.run(story())
    assert list(box.ledger().values()) == ["imported"]
    assert sync_once(box.mailbox.pk).endswith("is in sync; 0 new messages.")


@dovecot_wanted
@pytest.mark.rule("R-005")
def test_two_commands_at_once_do_not_visit_together(box, dovecot):
    keeper = Store(2)

    async def story():
        async with lease_of(keeper, box.mailbox.pk) as first, lease_of(keeper, box.mailbox.pk) as second:
            assert first is not None
            assert second is None

    asyncio.run(story())
    keeper.close()


SHORT = """
import django
django.setup()
from postern.sync import leases, run, supervisor
from postern.sync.store import pool
leases.LEASE_SECONDS, supervisor.CLAIM_SECONDS, pool.LONGEST_PAUSE = 2.0, 0.5, "4s"
run.main()
"""


class ShortLeased(Process):
    """A sync process whose leases last two seconds; frozen while it writes, its transaction ends after four."""

    command = (sys.executable, "-c", SHORT)


@dovecot_wanted
@pytest.mark.rule("R-004")
def test_a_frozen_process_is_replaced_and_harms_nobody_when_it_wakes(box, dovecot):
    for n in range(MANY):
        dovecot.deliver(USER, letter(f"number {n}", body="x" * 3000))
    box.change(historic=True, historic_since=date.today() - timedelta(days=2), mark_as_read=True)
    with ShortLeased() as first:
        wait_until(lambda: box.subjects())
        first.send_signal(signal.SIGSTOP)
        before = len(box.subjects())
        with ShortLeased() as second:
            wait_until(lambda: len(box.subjects()) == MANY and not box.errands(), 60)
            lease = Lease.objects.get(mailbox=box.mailbox)
            first.send_signal(signal.SIGCONT)
            time.sleep(3)  # it renews every half second
            assert first.poll() is None and second.poll() is None
            dovecot.append(USER, "INBOX", letter("afterwards"))
            wait_until(lambda: "afterwards" in box.subjects(), 30)
            assert Lease.objects.get(mailbox=box.mailbox).owner == lease.owner
    assert before < MANY, "it was frozen too late"
    assert sorted(box.subjects()) == sorted(["afterwards", *(f"number {n}" for n in range(MANY))])
    assert len(box.ledger()) == MANY + 1
    assert reconcile(box.mailbox.pk).complete


@dovecot_wanted
def test_two_processes_share_the_mailboxes_and_one_takes_all_when_the_other_ends(box, dovecot, acting_as):
    """Tom's mailbox and Marta's: each process gets one, as soon as the second has said hello."""
    other = second_mailbox(box, dovecot, acting_as)

    def owners():
        return set(Lease.objects.exclude(owner="").values_list("owner", flat=True))

    def both_in_sync():
        rows = Mailbox.objects.filter(health__state="in_sync").values_list("pk", flat=True)
        return set(rows) == {box.mailbox.pk, other.pk}

    async def story():
        async with supervising():
            await until(both_in_sync)
            assert len(await asyncio.to_thread(owners)) == 1
            async with supervising():
                await until(lambda: len(owners()) == 2)
            await until(lambda: len(owners()) == 1 and Lease.objects.exclude(owner="").count() == 2)
            dovecot.deliver(USER, letter("still here"))
            await until(lambda: box.subjects() == ["still here"])

    asyncio.run(story())


def second_mailbox(box, dovecot, acting_as):
    from postern.mail.access import viewing_as
    from postern.mailboxes.save import save_mailbox
    from tests.roles import hire

    with acting_as("web"):
        owner = hire(email="tom@isp.example", name="Tom", password=None)
        data = {
            "address": "tom@example.test",
            "imap_username": "tom@example.test",
            "imap_password": dovecot.passwords["tom@example.test"],
            "imap_host": "localhost",
            "imap_port": dovecot.port,
            "imap_security": "none",
            "sending": "",
        }
        with viewing_as(owner):
            return save_mailbox(staff=owner, mailbox=None, data=data)


def test_mail_is_reached_under_a_lease_as_without(mailbox):
    keeper = Store(1)
    mine = held(keeper, mailbox, take("a", mailbox))

    def count():
        from postern.mail.models import Message

        with at_mailbox(mailbox):
            return Message.objects.count()

    assert asyncio.run(mine.run(count)) == 0
    keeper.close()
