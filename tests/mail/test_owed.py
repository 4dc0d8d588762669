"""What a server refused to do: told to the mailbox's owner alone, and tried again when the owner asks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postern.mail.access import viewing_as
from postern.mail.models import Errand, Message
from postern.mail.owed import in_words, look_now, undone
from tests.world import NOON, arrive, letter, make_world


@pytest.fixture
def world(db, acting_as):
    return make_world(acting_as)


def refused(acting_as, message: Message, error: str = "The mailbox is full.") -> Errand:
    with acting_as("superuser"):
        return Errand.objects.create(
            mailbox_id=message.mailbox_id,
            message=message,
            kind=Errand.Kind.APPEND,
            error=error,
            attempts=8,
            failed_at=NOON if error else None,
            not_before=NOON + timedelta(days=900),
        )


def test_the_owner_alone_is_told(world, acting_as):
    (message,) = arrive(acting_as, world.inbox, letter())
    refused(acting_as, message)
    with viewing_as(world.owner):
        (errand,) = undone(world.owner, message)
        assert in_words(errand) == "The copy is not in the sent folder on the server. The mailbox is full."
    for somebody in world.everybody[1:]:
        with viewing_as(somebody):
            assert undone(somebody, message) == [], somebody.name


def test_what_only_waits_for_its_turn_is_no_refusal(world, acting_as):
    (message,) = arrive(acting_as, world.inbox, letter())
    refused(acting_as, message, error="")
    with viewing_as(world.owner):
        assert undone(world.owner, message) == []


def test_asking_again_concerns_ones_own_mailboxes_only(world, acting_as):
    (message,) = arrive(acting_as, world.inbox, letter())
    errand = refused(acting_as, message)

    def given_up() -> bool:
        with acting_as("superuser"):
            errand.refresh_from_db()
        return errand.failed_at is not None

    for somebody in world.everybody[1:]:
        with viewing_as(somebody):
            look_now(somebody)
        assert given_up(), somebody.name
    with viewing_as(world.owner):
        look_now(world.owner)
    assert not given_up() and errand.attempts == 0
