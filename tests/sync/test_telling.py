"""What a server tells while we wait, and what it does not: letters arrive all the same, and nobody else pays for it."""

import asyncio
import time
from itertools import count

import pytest

from postern.sync import backoff
from postern.sync.hosts import Hosts

from .box import letter, make_box, quick
from .teller import Teller
from .test_watcher import in_sync, until


@pytest.mark.parametrize("sent", ["Sent", ""], ids=["with a sent folder", "INBOX alone"])
@pytest.mark.parametrize("idle", [1, 2], ids=["before the first short IDLE", "before the second"])
@pytest.mark.parametrize("told", [False, True], ids=["the first look", "a look that brought a letter"])
def test_a_letter_that_came_around_a_look_and_is_never_told_of_is_here_soon(story, sent, idle, told):
    """It comes between the answer to EXAMINE and IDLE; this server tells only of what comes in IDLE."""
    server = Teller()
    server.tells = server.what_comes

    def before_idle(number):
        if number == idle and len(server.folders["INBOX"]) == told:
            server.add(letter("never told"))

    server.before_idle = before_idle

    async def scene(box, watcher):
        if told:
            await until(lambda: server.asked["IDLE"] == 3)
            server.add(letter("told"))
        await until(lambda: box.subjects() == ["told", "never told"][1 - told :], 5)

    story(server, scene, sent=sent)


def test_a_look_that_found_nothing_is_not_followed_by_another(story):
    server = Teller()

    async def scene(box, watcher):
        await until(lambda: server.asked["IDLE"] == 3)
        watcher.wake.set()
        await until(lambda: server.asked["IDLE"] == 6)
        assert server.asked["EXAMINE"] == 3, "the first look, one more behind it, the one that was asked for"

    story(server, scene, sent="")


async def exists_without_end(server, talk):
    """One letter more each time."""
    for number in count(len(server.folders["INBOX"]) + 1):
        await talk.say(b"* %d EXISTS" % number)
        await asyncio.sleep(0.002)


async def counts_without_end(server, talk):
    while True:
        await talk.say(server.status("Sent"))
        await asyncio.sleep(0.002)


async def once(server, talk):
    """Ends each IDLE at its beginning, by news of a letter that is not there."""
    await talk.say(b"* %d EXISTS" % (len(server.folders["INBOX"]) + 1))
    await asyncio.Event().wait()


@pytest.mark.rule("R-033")
@pytest.mark.parametrize(
    ("offered", "tells"),
    [(b"NOTIFY", counts_without_end), (b"", exists_without_end), (b"", once)],
    ids=["NOTIFY tells of the sent folder", "EXISTS", "EXISTS at each IDLE"],
)
def test_news_without_end_cost_a_look_now_and_then_and_letters_come(story, monkeypatch, offered, tells):
    monkeypatch.setattr("postern.sync.pace.AT_ONCE", 4)
    monkeypatch.setattr("postern.sync.pace.SECONDS", 0.5)
    server = Teller(b"IMAP4rev1 IDLE " + offered)
    noisy = asyncio.Event()

    async def quiet_at_first(talk):
        await noisy.wait()
        await tells(server, talk)

    server.tells = quiet_at_first
    honest = Teller()
    honest.tells = honest.honestly
    neighbour = make_box(honest, host="127.0.0.1", user="ravi@example.test", sent_folder="")

    async def scene(box, watcher):
        async with honest.running(), neighbour.watched():
            await until(lambda: server.asked["IDLE"] > 0 and honest.asked["IDLE"] > 0)
            begun = time.monotonic()
            honest.add(letter("beside silence"))
            await until(lambda: "beside silence" in neighbour.subjects())
            alone = time.monotonic() - begun
            noisy.set()
            before, begun = server.looks, time.monotonic()
            for n, folder in enumerate(("INBOX", "Sent", "INBOX"), 1):
                await asyncio.sleep(1)
                server.add(letter(f"number {n}"), folder)
                honest.add(letter(f"number {n}"))
                await until(lambda n=n: f"number {n}" in neighbour.subjects(), 1 + 5 * alone)
                await until(lambda n=n: f"number {n}" in box.subjects(), 5)
            # Each look opens a folder, and the other one when something came there.
            allowed = 4 + (time.monotonic() - begun) / 0.5
            assert server.looks - before <= allowed + 3
            assert server.asked["LOGIN"] == 1
            assert watcher.backoff.failures == 0

    story(server, scene)


@pytest.mark.parametrize("sent", ["Sent", ""], ids=["with a sent folder", "INBOX alone"])
@pytest.mark.parametrize("refusal", [b"NO not now", b"BAD what is IDLE?", b"NO [UNAVAILABLE] later"])
def test_a_server_that_refuses_idle_is_polled(story, refusal, sent):
    server = Teller(refused={"IDLE": refusal})

    async def scene(box, watcher):
        await until(lambda: server.asked["IDLE"] > 0)
        server.add(letter("polled"))
        await until(lambda: box.subjects() == ["polled"], 5)
        await asyncio.sleep(1)
        assert server.asked["IDLE"] == server.asked["LOGIN"] == 1
        assert watcher.backoff.failures == 0

    story(server, scene, sent=sent, poll_seconds=0.4)


@pytest.mark.parametrize("sent", ["Sent", ""], ids=["with a sent folder", "INBOX alone"])
@pytest.mark.parametrize("tells", [False, True], ids=["without a word", "with news"])
def test_a_server_that_never_answers_idle_is_polled_from_then_on(story, monkeypatch, tells, sent):
    """It says no “+”. Nothing is later than a poll, the first letter included."""
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    monkeypatch.setattr("postern.wire.imap.waiting.BEGIN_SECONDS", 0.5)
    server = Teller(deaf_to_idle=True)
    if tells:
        server.tells = server.what_comes

    async def scene(box, watcher):
        await until(lambda: server.asked["IDLE"] > 0)
        for n, patience in enumerate((2.0, 1.5, 1.5)):
            server.add(letter(f"number {n}"))
            begun = time.monotonic()
            await until(lambda n=n: f"number {n}" in box.subjects(), patience)
            assert time.monotonic() - begun < patience
        await until(in_sync(box), 5)
        await asyncio.sleep(1)
        assert (server.asked["IDLE"], server.asked["LOGIN"]) == (1, 2)
        watcher._memories.idle_after, server.deaf_to_idle = 0.0, False  # an hour later it was mended
        watcher.wake.set()
        await until(lambda: server.asked["IDLE"] > 3)
        assert server.asked["LOGIN"] == 2

    story(server, scene, sent=sent, poll_seconds=0.5, backoff=quick())


@pytest.mark.rule("R-030")
@pytest.mark.parametrize("ends", ["with OK", "with BYE", "without a word"])
def test_a_server_whose_idle_ends_at_once_is_polled_after_two_connections(story, monkeypatch, ends):
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.2)
    server = Teller()

    async def tells(talk):
        if ends == "with BYE":
            await talk.say(b"* BYE shutting down")
        if ends != "with OK":
            talk.writer.close()

    server.tells = tells

    async def scene(box, watcher):
        await until(lambda: server.asked["LOGIN"] == 3)
        server.add(letter("polled"))
        await until(lambda: box.subjects() == ["polled"], 5)
        await asyncio.sleep(1)
        assert server.asked["IDLE"] == 2
        assert server.asked["LOGIN"] == 3

    story(server, scene, poll_seconds=0.4, backoff=quick())


@pytest.mark.rule("R-030")
@pytest.mark.parametrize("where", ["at INBOX", "at the sent folder", "in IDLE"])
def test_let_in_and_dropped_again_and_again_signs_in_ten_times_at_most(story, monkeypatch, where):
    """In ninety seconds, played a hundred times as fast, with the shortest waits."""
    for name in ("FIRST_SECONDS", "LONGEST_SECONDS", "LONGEST_AFTER_SYNC"):
        monkeypatch.setattr(f"postern.sync.backoff.{name}", getattr(backoff, name) / 100)
    server = Teller(drops={"at INBOX": {"INBOX"}, "at the sent folder": {"Sent"}}.get(where, set()))

    async def hang_up(talk):
        talk.writer.close()

    server.tells = hang_up

    async def scene(box, watcher):
        await until(lambda: server.asked["LOGIN"] > 0)
        await asyncio.sleep(0.9)
        assert 3 <= server.asked["LOGIN"] <= 10

    story(server, scene, backoff=backoff.Backoff(dice=lambda: 0.0), poll_seconds=0.05)


def test_an_idle_that_breaks_once_is_used_again(story):
    """Servers are started anew every day."""
    server = Teller()

    async def tells(talk):
        if server.asked["IDLE"] in (1, 3):
            talk.writer.close()
        else:
            await server.honestly(talk)

    server.tells = tells

    async def scene(box, watcher):
        await until(lambda: server.asked["IDLE"] == 6)
        server.add(letter("told"))
        await until(lambda: box.subjects() == ["told"], 5)

    story(server, scene, backoff=quick())


@pytest.mark.rule("R-033")
def test_news_without_end_do_not_keep_a_place_that_another_mailbox_waits_for(story, monkeypatch):
    """A host that bears one connection."""
    monkeypatch.setattr("postern.sync.watcher.TURN_SECONDS", 1.0)
    hosts = Hosts({"127.0.0.1": 1})
    server = Teller()
    server.tells = lambda talk: once(server, talk)
    neighbour = make_box(server, host="127.0.0.1", user="ravi@example.test", sent_folder="")

    async def scene(box, watcher):
        await until(lambda: server.asked["IDLE"] > 2)
        async with neighbour.watched(hosts=hosts):
            await until(in_sync(neighbour), 5)

    story(server, scene, hosts=hosts)
