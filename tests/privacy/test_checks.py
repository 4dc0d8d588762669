"""The checks in the code, each where the row policies cannot help it; and that none goes without a test noticing."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from postern.mail.access import ViewerMiddleware, viewing_as
from postern.mail.actions import ActionRefused, perform, undo
from postern.mail.models import Message
from postern.mail.pairing import add_address, remove_address
from postern.people.models import Address
from tests.privacy.mutations import MUTANTS, ROOT, Mutant, killer, scratch
from tests.world import World, arrive, letter, make_world


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(sender="a@b.example", subject="one"))
    return world


def test_only_the_owner_owns_a_message(world, acting_as):
    with acting_as("superuser"):
        assert Message.objects.owned_by(world.owner).count() == 1
        assert not Message.objects.owned_by(world.reader).exists()


def test_a_reader_does_nothing_to_a_message_but_leave_it_unread(world, acting_as):
    with acting_as("superuser"), viewing_as(world.reader):
        message = Message.objects.visible_to(world.reader).get()
        with pytest.raises(ActionRefused) as refusal:
            perform(staff=world.reader, key="delete", message=message, data={})
        assert refusal.value.code == "not_owner"
        perform(staff=world.reader, key="unread", message=message, data={})


def test_undoing_a_pairing_leaves_what_somebody_else_has_put_there_since(world):
    with viewing_as(world.owner):
        message = Message.objects.get()
        step = perform(staff=world.owner, key="pair", message=message, data={"customer": world.customer.pk})
        address = Address.objects.get(email="a@b.example")
        Address.objects.filter(pk=address.pk).update(added_by=world.colleague)
    with viewing_as(world.owner):
        undo(staff=world.owner, action_id=step.pk)
        assert Address.objects.filter(pk=address.pk).exists()
        remove_address(staff=world.owner, address=address)
        add_address(staff=world.owner, customer=world.customer, email="a@b.example")


def test_nobody_signed_in_is_nobody_to_the_policies(world):
    request = HttpRequest()
    request.user = AnonymousUser()
    assert ViewerMiddleware(lambda _: HttpResponse("fine"))(request).content == b"fine"


@pytest.mark.rule("S-077")
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_each_listed_check_stands_in_the_code(mutant):
    """So that the list does not outlive what it lists."""
    text = (ROOT / "postern" / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


@pytest.fixture(scope="module")
def copy():
    place = scratch()
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.soak
@pytest.mark.rule("S-077")
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_s077_without_any_one_check_a_test_turns_red(copy, mutant, record_property):
    red = killer(copy, mutant)
    record_property("checks taken away", f"{mutant}: {red or 'SURVIVED'}")
    assert red


@pytest.mark.soak
def test_a_change_that_changes_nothing_survives(copy):
    """The test of these tests: they are not red for some other reason."""
    mutant: Mutant = MUTANTS[0]
    assert killer(copy, replace(mutant, new=mutant.old)) == ""
