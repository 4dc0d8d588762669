"""What a mail server is asked to bear: few sign-ins at once, budgets, turns, and patience after a failure."""

import asyncio
import contextlib
import time

import pytest

from postern.sync.backoff import Backoff
from postern.sync.hosts import Host, Hosts, Places, read_budgets
from postern.sync.supervisor import quiet_seconds
from postern.wire import errors
from postern.wire.errors import MailError

TOO_MANY_OF_USER = "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)"
TOO_MANY = "Too many connections"


def busy(text):
    return MailError("server_busy", "The mail server's limit is reached.", temporary=True, server_text=text)


async def crowd(number, enter):
    """So many come at once; how many were inside together at most."""
    inside = most = 0

    async def one():
        nonlocal inside, most
        async with enter():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(number)))
    return most


@pytest.mark.rule("R-032")
def test_a_thousand_that_come_back_at_once_sign_in_three_at_a_time():
    hosts = Hosts()
    assert asyncio.run(crowd(1000, lambda: hosts.start("imap.example.net", "u"))) == 3


@pytest.mark.rule("R-032")
def test_hosts_do_not_wait_for_each_other():
    hosts = Hosts()

    async def story():
        async with contextlib.AsyncExitStack() as slow:
            for n in range(3):
                await slow.enter_async_context(hosts.start("slow.example.net", f"u{n}"))
            async with asyncio.timeout(1), hosts.start("quick.example.net", "u"):
                pass

    asyncio.run(story())


@pytest.mark.rule("R-032")
@pytest.mark.parametrize(("host", "most"), [("imap.gmail.com", 15), ("imap.example.net", 10)])
def test_connections_of_one_account_are_limited(host, most):
    hosts = Hosts()
    assert asyncio.run(crowd(40, lambda: hosts.connection(host, "Marta@example.test"))) == most


@pytest.mark.rule("R-032")
def test_a_budget_from_the_settings_is_kept():
    hosts = Hosts(read_budgets("imap.example.net=4, other=9"))
    numbers = iter(range(100))
    assert asyncio.run(crowd(30, lambda: hosts.connection("IMAP.example.net", f"u{next(numbers)}"))) == 4


@pytest.mark.parametrize("text", ["imap", "imap=", "imap=0", "=3", "imap=three"])
def test_a_budget_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        read_budgets(text)


@pytest.mark.rule("R-029")
@pytest.mark.parametrize(("text", "of_host", "of_account"), [(TOO_MANY, 4, 10), (TOO_MANY_OF_USER, None, 4)])
def test_a_server_that_has_too_many_connections_is_believed(text, of_host, of_account):
    hosts = Hosts()

    async def story():
        async with contextlib.AsyncExitStack() as open_ones:
            for _ in range(5):
                await open_ones.enter_async_context(hosts.connection("imap.example.net", "u"))
            with pytest.raises(MailError):
                async with hosts.start("imap.example.net", "u"):
                    raise busy(text)
            host: Host = hosts.of("imap.example.net")
            return host.connected.most, host.accounts["u"].most

    assert asyncio.run(story()) == (of_host, of_account)


def test_places_are_given_in_order_and_a_cancelled_wait_takes_none():
    places = Places(1)

    async def story():
        order = []

        async def one(name):
            async with places.place():
                order.append(name)
                await asyncio.sleep(0)

        async with places.place():
            waiting = [asyncio.create_task(one(n)) for n in range(4)]
            await asyncio.sleep(0)
            assert places.crowded
            waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 2, 3]
        assert places.taken == 0
        assert not places.crowded

    asyncio.run(story())


@pytest.mark.rule("R-031")
@pytest.mark.parametrize(
    "error",
    [
        errors.host_not_found("imap.example.net", temporary=True),
        errors.timed_out("Connecting", 20),
        MailError("connect_failed", "Nobody listens.", temporary=True),
    ],
    ids=lambda error: error.code,
)
def test_while_a_host_does_not_answer_one_asks_and_the_others_wait(error, monkeypatch):
    monkeypatch.setattr("postern.sync.hosts.FIRST_SECONDS", 0.2)
    hosts = Hosts(dice=lambda: 0.5)
    tries = []

    async def one():
        with contextlib.suppress(MailError):
            async with hosts.start("imap.example.net", "u"):
                tries.append(time.monotonic())
                await asyncio.sleep(0.01)
                raise error

    async def story():
        many = [asyncio.create_task(one()) for _ in range(200)]
        await asyncio.sleep(1.0)
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)

    asyncio.run(story())
    # Three at once before anything is known; then 0.2, 0.4 and more seconds apart.
    assert len(tries) <= 12
    assert hosts.of("imap.example.net").failures >= 3


def test_a_host_that_answers_again_is_asked_by_all():
    hosts = Hosts(dice=lambda: 0.0)
    host = hosts.of("imap.example.net")
    host.failures, host.not_before = 5, time.monotonic() + 0.05

    async def story():
        async with hosts.start("imap.example.net", "u"):
            pass

    asyncio.run(story())
    assert host.failures == 0


@pytest.mark.rule("R-030")
@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("in_sync", [False, True])
def test_let_in_and_dropped_again_and_again_is_no_storm_of_sign_ins(dice, in_sync):
    backoff = Backoff(dice=lambda: dice)
    at, sign_ins = 0.0, 0
    while at < 90:
        sign_ins += 1
        backoff.finished()
        at += backoff.after(errors.connection_lost("waiting"), was_in_sync=in_sync)
    assert sign_ins <= 10
    backoff.reset()
    assert backoff.after(errors.connection_lost("waiting")) < 10


@pytest.mark.parametrize(("mailboxes", "seconds"), [(1, 60), (600, 60), (2000, 200), (50_000, 540)])
def test_a_sent_folder_is_asked_about_less_often_where_there_are_thousands(mailboxes, seconds):
    assert quiet_seconds(mailboxes) == seconds
