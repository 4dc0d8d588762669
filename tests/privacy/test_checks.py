"""The checks in the code, each where the row policies cannot help it; and that none goes without a test noticing."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse

from postern.mail.access import WallMiddleware, viewing_as
from postern.mail.actions import ActionRefused, perform, undo
from postern.mail.models import Message
from postern.mail.pairing import add_address, remove_address
from postern.mailboxes.models import Mailbox
from postern.mailboxes.save import own_mailbox
from postern.outbox.models import Delivery
from postern.people.models import Address
from tests.privacy.mutations import MUTANTS, ROOT, Mutant, killer, scratch
from tests.reliability.scale import turn
from tests.world import World, arrive, letter, make_world, subjects


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


def test_what_the_owner_deleted_is_gone_for_readers_too(world):
    with viewing_as(world.owner):
        perform(staff=world.owner, key="delete", message=Message.objects.get(), data={})
    assert subjects(world.owner) == subjects(world.reader) == set()


def test_a_request_forgets_whom_its_connection_may_still_name(world):
    """Nothing of ours names a person for a whole session; a pool before the database might bring one along."""
    name = "SELECT set_config('app.staff_id', %s, false)"
    with connection.cursor() as cursor:
        cursor.execute(name, [str(world.owner.pk)])
    assert Message.objects.exists()
    answer = WallMiddleware(lambda _: HttpResponse(str(Message.objects.count())))(HttpRequest())
    with connection.cursor() as cursor:
        cursor.execute(name, [""])
    assert answer.content == b"0"


def test_drafts_and_mailboxes_are_their_owners(world, acting_as):
    with acting_as("superuser"):
        Delivery.objects.create(mailbox=world.mailbox, author=world.owner, subject="x")
        assert Delivery.objects.written_by(world.owner).count() == 1
        assert not Delivery.objects.written_by(world.colleague).exists()
        assert own_mailbox(world.owner, world.mailbox) == world.mailbox
        with pytest.raises(Mailbox.DoesNotExist):
            own_mailbox(world.colleague, world.mailbox)


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


# In `.ci/run` a twelfth of them, another each time; here each is a new process with a database of its own. Once is
# enough: not again on the external server.
_ROTATING = bool(os.environ.get("POSTERN_SHARE")) and not os.environ.get("POSTERN_TEST_DATABASE_URL")


@pytest.mark.rule("S-077")
@pytest.mark.parametrize(
    "mutant",
    [pytest.param(m, marks=() if _ROTATING and turn(n) else pytest.mark.soak) for n, m in enumerate(MUTANTS)],
    ids=str,
)
def test_s077_without_any_one_check_a_test_turns_red(copy, mutant, record_property):
    red = killer(copy, mutant)
    record_property("checks taken away", f"{mutant}: {red or 'SURVIVED'}")
    assert red


@pytest.mark.soak
def test_a_change_that_changes_nothing_survives(copy):
    """The test of these tests: they are not red for some other reason."""
    mutant: Mutant = MUTANTS[0]
    assert killer(copy, replace(mutant, new=mutant.old)) == ""
