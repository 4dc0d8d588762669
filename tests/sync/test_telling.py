"""What a server tells while we wait, and what it does not: letters arrive all the same, and nobody else pays for it."""

import asyncio

import pytest

from .box import letter, make_box
from .teller import Teller
from .test_watcher import until


class Passwords:
    passwords = {"marta@example.test": "secret"}


@pytest.fixture
def story(db, acting_as, monkeypatch):
    """Watch Marta's mailbox on a server that tells what the test says, while a coroutine goes on."""
    from django.conf import settings

    monkeypatch.setattr("postern.sync.visit.SETTLE_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1,localhost")

    def play(server, scene, *, sent="Sent", **options):
        async def whole(box):
            async with server.running(), box.watched(**options) as watcher:
                await scene(box, watcher)

        box = make_box(Passwords(), host="127.0.0.1", port=server.port, sent_folder=sent)
        with acting_as("sync"):
            asyncio.run(whole(box))
        return box

    return play


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
