"""An open event stream ends when its person may no longer look, also while much is going on (S-066)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import RequestFactory

from postern.people.models import Staff
from postern.web.inbox import events
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
