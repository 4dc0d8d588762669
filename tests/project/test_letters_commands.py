"""`postern letters scan` and `postern rebuild`: what the operator reads, and the exit status."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest

from postern.mail.models import Body, Raw
from postern.project.commands.letters import letters, rebuild
from tests.world import World, arrive, letter, make_world


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(), letter())
    return world


def test_a_sound_installation(world: World, acting_as: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with acting_as("sync"):
        assert letters(Namespace(remove=False)) == 0
    assert capsys.readouterr().out == "2 letters, all there, byte for byte.\n"


def test_a_lost_letter_is_named_and_what_to_do(
    world: World, acting_as: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with acting_as("superuser"):
        lost = Raw.objects.earliest("pk").pk
        Raw.objects.filter(pk=lost).delete()
    with acting_as("sync"):
        assert letters(Namespace(remove=False)) == 1
        said = capsys.readouterr().out
        assert f"mailbox {world.mailbox.pk}, message {lost}: no raw letter" in said
        assert "2 letters, 1 missing or damaged." in said
        assert "postern mailbox reconcile" in said
        assert rebuild(Namespace(id=world.mailbox.pk)) == 1
    assert "1 without their raw letter were left as they are" in capsys.readouterr().out


def test_rebuild_takes_all_mailboxes_or_one(
    world: World, acting_as: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with acting_as("superuser"):
        Body.objects.all().delete()
    with acting_as("sync"):
        assert rebuild(Namespace(id=None)) == 0
        assert f"Mailbox {world.mailbox.pk}: 2 letters read anew." in capsys.readouterr().out
        assert rebuild(Namespace(id=world.reader_mailbox.pk)) == 0
        assert rebuild(Namespace(id=10**6)) == 1
    assert "which mailbox?" in capsys.readouterr().err
    with acting_as("superuser"):
        assert Body.objects.count() == 2
