"""An open event stream ends when its person may no longer look, also while much is going on (S-066)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import RequestFactory

from postern.people.models import Staff
from postern.web.inbox import events
from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_world


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    return make_world(acting_as)


def signed_in(staff: Staff) -> HttpRequest:
    from django.contrib.auth import login

    request = RequestFactory().get("/events/")
    request.session = SessionStore()
    login(request, staff)
    request.session.save()
    return request


def heard(request: HttpRequest, staff: Staff, *told: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Hand events to one stream; return what it passed on, and whether it ended."""

    async def listen() -> tuple[list[dict[str, Any]], bool]:
        stream, got = events._events(request, staff.pk), []
        await anext(stream)
        waiting = asyncio.create_task(anext(stream, None))
        while not events.LISTENER.queues:
            await asyncio.sleep(0.01)
        for event in told:
            events.LISTENER._hand_on(json.dumps(event))
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=1.0)
            if not done:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                return got, False
            if waiting.result() is None:
                return got, True
            got.append(json.loads(waiting.result().split(b"data: ")[1]))
            waiting = asyncio.create_task(anext(stream, None))

    return asyncio.run(listen())


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No listener of its own: the test hands the events over."""

    async def nothing(self: Any) -> None:
        self._hearing.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(events.Listener, "_listen", nothing)


def of(kind: str, number: int, mailbox: int = 0) -> dict[str, Any]:
    return {"kind": kind, "mailbox": mailbox, "id": number}


@pytest.mark.rule("S-062")
@pytest.mark.rule("S-066")
def test_s066_what_is_ones_own_goes_on_and_a_word_about_oneself_ends_it(
    world: World, acting_as: Any, quiet: None
):
    [message] = arrive(acting_as, world.inbox, letter())
    news = of("message", message.pk, world.mailbox.pk)
    assert heard(signed_in(world.owner), world.owner, news) == (
        [{"mailbox": world.mailbox.pk, "id": message.pk}],
        False,
    )
    assert heard(signed_in(world.colleague), world.colleague, news) == ([], False)
    assert heard(signed_in(world.reader), world.reader, of("access", world.owner.pk), news)[1] is False
    assert heard(signed_in(world.reader), world.reader, of("access", world.reader.pk), news) == ([], True)


@pytest.mark.rule("S-066")
@pytest.mark.parametrize("change", [{"is_active": False}, {"sign_ins": 1}, {"password": "another"}])
def test_s066_the_next_event_of_anybody_ends_it(
    world: World, acting_as: Any, quiet: None, change: dict[str, Any]
):
    """Even if the word itself was lost: on a busy day the pause in which a stream looks by itself never comes."""
    request = signed_in(world.owner)
    with acting_as("superuser"):
        Staff.objects.filter(pk=world.owner.pk).update(**change)
    assert heard(request, world.owner, of("message", 1, world.mailbox.pk)) == ([], True)


def test_a_session_that_was_ended_is_not_there(world: World, quiet: None):
    request = signed_in(world.owner)
    assert events._still_there(request, world.owner.pk)
    request.session.delete()
    assert heard(request, world.owner, of("message", 1, world.mailbox.pk)) == ([], True)


@pytest.mark.rule("S-106")
@pytest.mark.parametrize("others", [False, True])
def test_s106_a_stream_looks_by_itself_whatever_happens_to_others(
    world: World, acting_as: Any, quiet: None, monkeypatch: pytest.MonkeyPatch, others: bool
):
    """The word that would end it is lost, and the session is over: the next look ends it, also amid others' words."""
    monkeypatch.setattr(events, "PING_SECONDS", 0.3)
    request = signed_in(world.owner)
    request.session.delete()

    async def listen() -> int:
        stream, told = events._events(request, world.owner.pk), 0
        await anext(stream)
        waiting = asyncio.create_task(anext(stream, None))
        while not waiting.done() and told < 200:
            if others:
                events.LISTENER._hand_on(json.dumps(of("access", world.reader.pk)))
            told += 1
            await asyncio.sleep(0.05)
        assert waiting.done() and waiting.result() is None
        return told

    assert asyncio.run(listen()) < 200
    assert events.PING_SECONDS == 0.3


@pytest.mark.rule("S-106")
def test_s106_signs_of_life_come_at_their_own_times_and_tell_nothing_of_others_mail(
    world: World, acting_as: Any, quiet: None, monkeypatch: pytest.MonkeyPatch
):
    """A ping put off by each letter to somebody else would tell a colleague when those come."""
    monkeypatch.setattr(events, "PING_SECONDS", 0.5)
    [message] = arrive(acting_as, world.inbox, letter())
    request = signed_in(world.colleague)

    async def pinged() -> bool:
        stream = events._events(request, world.colleague.pk)
        await anext(stream)
        waiting = asyncio.create_task(anext(stream, None))
        for _ in range(100):
            events.LISTENER._hand_on(json.dumps(of("message", message.pk, world.mailbox.pk)))
            await asyncio.sleep(0.1)
            if waiting.done():
                return waiting.result() == b": ping\n\n"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return False

    assert asyncio.run(pinged())


def test_s106_half_a_minute_is_longer_than_a_stream_waits_to_look():
    assert events.PING_SECONDS + events.HEARING_SECONDS < 30


@pytest.mark.rule("S-106")
def test_s106_signing_out_says_so_to_the_persons_streams(world: World):
    """At once, not at their next look."""
    client = Browser()
    client.force_login(world.reader)
    with psycopg.connect(events.listening_address(), autocommit=True) as ear:
        ear.execute("LISTEN postern_events")
        assert client.post("/sign-out/").status_code == 302
        [told] = [events.read_event(note.payload) for note in ear.notifies(timeout=10, stop_after=1)]
    assert told == of("access", world.reader.pk)
