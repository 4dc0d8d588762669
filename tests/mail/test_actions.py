"""The five actions and their undo; the refusal of each beside it."""

import pytest

from postern.mail.access import viewing_as
from postern.mail.actions import ActionRefused, actions_for, perform, undo
from postern.mail.models import Errand, Message, Party
from postern.mail.pairing import file_by_hand
from postern.mailboxes.models import DenyEntry
from postern.people.models import Address, Customer
from tests.world import World, arrive, letter, make_world, run_filing


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    for subject in ("first", "second"):
        arrive(acting_as, world.inbox, letter(sender="Daniel <d@tiling.example>", subject=subject))
    return world


def mine(world: World, subject: str = "first") -> Message:
    return Message.objects.visible_to(world.owner).select_related("mailbox").get(subject=subject)


def known(world: World) -> list[bool]:
    return list(Message.objects.visible_to(world.owner).order_by("subject").values_list("known", flat=True))


def act(world: World, key: str, **data):
    return perform(staff=world.owner, key=key, message=mine(world), data=data)


def test_pairing_files_earlier_mail_too_and_undo_takes_it_all_back(world):
    with viewing_as(world.owner):
        action = act(world, "pair", customer=world.customer.pk)
        assert known(world) == [True, True]
        assert Address.objects.filter(customer=world.customer, email="d@tiling.example").exists()
        undo(staff=world.owner, action_id=action.pk)
        assert known(world) == [False, False]
        assert not Address.objects.filter(email="d@tiling.example").exists()
        with pytest.raises(ActionRefused, match="nothing to undo"):
            undo(staff=world.owner, action_id=action.pk)


def test_pairing_an_address_that_another_customer_has_is_refused_by_name(world, acting_as):
    with viewing_as(world.owner):
        other = Customer.objects.create(name="Other")
        message = mine(world)
        Address.objects.create(customer=other, email="d@tiling.example")
        with pytest.raises(ActionRefused, match="Other") as refusal:
            perform(staff=world.owner, key="pair", message=message, data={"customer": world.customer.pk})
        assert refusal.value.code == "address_taken"


@pytest.mark.parametrize("customer", [None, "", "x", 0, 999_999])
def test_pairing_to_nobody_is_refused(world, customer):
    with viewing_as(world.owner), pytest.raises(ActionRefused, match="Choose a customer"):
        act(world, "pair", customer=customer)


def test_a_shared_address_files_only_the_one_message(world):
    with viewing_as(world.owner):
        Address.objects.create(
            customer=Customer.objects.create(name="Notary"), email="d@tiling.example", shared=True
        )
        action = act(world, "pair", customer=world.customer.pk)
        assert known(world) == [True, False]
        undo(staff=world.owner, action_id=action.pk)
        assert known(world) == [False, False]


@pytest.mark.parametrize("kind", ["customer", "lead"])
def test_adding_makes_the_customer_and_pairs_and_undo_removes_both(world, acting_as, kind):
    with viewing_as(world.owner):
        action = act(world, "add", kind=kind, name="Hoffmann Tiling")
        made = Customer.objects.get(name="Hoffmann Tiling")
        assert (made.kind, known(world)) == (kind, [True, True])
        undo(staff=world.owner, action_id=action.pk)
        assert known(world) == [False, False]
    run_filing(acting_as)
    assert not Customer.objects.filter(name="Hoffmann Tiling").exists()


def test_a_customer_with_whom_somebody_did_something_outlives_the_undoing(world, acting_as):
    for what in ("an address", "a letter filed by hand"):
        with viewing_as(world.owner):
            action = act(world, "add", name=what)
            made = Customer.objects.get(name=what)
            if what == "an address":
                Address.objects.create(customer=made, email="more@tiling.example")
            else:
                file_by_hand(message=mine(world, "second"), customer=made)
            undo(staff=world.owner, action_id=action.pk)
        run_filing(acting_as)
        assert Customer.objects.filter(pk=made.pk).exists(), what


def test_adding_with_nonsense_is_refused(world):
    with viewing_as(world.owner), pytest.raises(ActionRefused):
        act(world, "add", kind="friend", name="X")


@pytest.mark.parametrize(("what", "pattern"), [("address", "d@tiling.example"), ("domain", "tiling.example")])
def test_blocking_adds_to_the_deny_list_and_stops_new_mail(world, acting_as, what, pattern):
    with viewing_as(world.owner):
        action = act(world, "block", what=what)
        assert [e.pattern for e in DenyEntry.objects.all()] == [pattern]
        assert len(known(world)) == 2, "mail already here stays"
    assert arrive(acting_as, world.inbox, letter(sender="d@tiling.example", subject="new")) == []
    with viewing_as(world.owner):
        undo(staff=world.owner, action_id=action.pk)
        assert not DenyEntry.objects.exists()


def test_blocking_with_remove_hides_what_is_here(world):
    with viewing_as(world.owner):
        action = act(world, "block", what="address", remove=True)
        assert known(world) == []
        undo(staff=world.owner, action_id=action.pk)
        assert len(known(world)) == 2


def test_a_deleted_message_never_comes_back_at_the_next_sync(world, acting_as):
    raw = letter(subject="gone", mid="gone@x.example")
    arrive(acting_as, world.inbox, raw)
    with viewing_as(world.owner):
        perform(staff=world.owner, key="delete", message=mine(world, "gone"), data={})
    arrive(acting_as, world.inbox, raw)
    with viewing_as(world.owner):
        assert not Message.objects.visible_to(world.owner).filter(subject="gone").exists()
        assert not Errand.objects.exists(), "the server's copy is untouched"


def test_delete_with_trash_waits_for_the_undo_window(world):
    with viewing_as(world.owner):
        action = act(world, "delete", trash=True)
        assert Errand.objects.get().kind == "trash"
        undo(staff=world.owner, action_id=action.pk)
        assert not Errand.objects.exists()
        assert len(known(world)) == 2


def test_what_was_tried_before_is_not_the_first_attempt_again(world):
    """It may have left a copy in Trash: who tries anew looks for it."""
    with viewing_as(world.owner):
        act(world, "delete", trash=True)
        errand = Errand.objects.get()
        assert errand.attempts == 0
        Errand.objects.update(attempts=8, failed_at=errand.not_before)
        Message.objects.filter(pk=errand.message_id).update(deleted_at=None)
        act(world, "delete", trash=True)
        errand.refresh_from_db()
        assert (errand.attempts, errand.failed_at) == (1, None)


def test_unpair_and_its_undo(world, acting_as):
    arrive(acting_as, world.inbox, letter(subject="from greta"))
    with viewing_as(world.owner):
        action = perform(staff=world.owner, key="unpair", message=mine(world, "from greta"), data={})
        assert not mine(world, "from greta").known
        undo(staff=world.owner, action_id=action.pk)
        assert mine(world, "from greta").known
        seen_before = mine(world, "from greta")
        perform(staff=world.owner, key="unpair", message=mine(world, "from greta"), data={})
        with pytest.raises(ActionRefused, match="not paired"):
            perform(staff=world.owner, key="unpair", message=seen_before, data={})
        with pytest.raises(ActionRefused, match="not possible on this message"):
            act(world, "unpair")


def test_a_reader_can_only_view(world):
    with viewing_as(world.reader):
        message = Message.objects.visible_to(world.reader).select_related("mailbox").get(subject="first")
        assert [a.key for a in actions_for(world.reader, message)] == ["view"]
        for key in ("pair", "add", "block", "delete", "unpair"):
            with pytest.raises(ActionRefused, match="Only the owner"):
                perform(staff=world.reader, key=key, message=message, data={"customer": world.customer.pk})


def test_nobody_undoes_anothers_action(world):
    with viewing_as(world.owner):
        action = act(world, "delete")
    with viewing_as(world.reader), pytest.raises(ActionRefused, match="nothing to undo"):
        undo(staff=world.reader, action_id=action.pk)


def test_the_five_actions_of_an_unknown_sender_and_of_a_known_one(world, acting_as):
    arrive(acting_as, world.inbox, letter(subject="known"))
    with viewing_as(world.owner):
        unknown = [a.key for a in actions_for(world.owner, mine(world))]
        assert unknown == ["view", "pair", "add", "block", "delete", "unread"]
        assert [a.key for a in actions_for(world.owner, mine(world, "known"))] == [
            "view", "reply", "forward", "block", "delete", "unread", "unpair",
        ]  # fmt: skip


def test_what_went_out_is_neither_paired_nor_blocked_by_its_author(world, acting_as):
    """That is the mailbox itself. What was filed by hand can be taken off its customer."""
    own = letter(sender="owner@isp.example", to="greta@brandt-bakery.example", subject="answer")
    arrive(acting_as, world.sent, own)
    offered = ["view", "reply", "forward", "delete", "unread"]
    with viewing_as(world.owner):
        assert [a.key for a in actions_for(world.owner, mine(world, "answer"))] == offered
        file_by_hand(message=mine(world, "answer"), customer=world.customer)
        assert [a.key for a in actions_for(world.owner, mine(world, "answer"))] == [*offered, "unpair"]
        for key in ("pair", "add", "block"):
            with pytest.raises(ActionRefused, match="not possible on this message"):
                perform(staff=world.owner, key=key, message=mine(world, "answer"), data={})


def test_other_mailboxes_follow_by_the_job_and_undo_likewise(world, acting_as):
    from postern.mail.pairing import file_mail
    from tests.world import make_folder, subjects

    with acting_as("superuser"):
        folder = make_folder(world.colleague_mailbox)
    arrive(acting_as, folder, letter(sender="d@tiling.example", subject="to the colleague"))
    with viewing_as(world.owner):
        action = act(world, "pair", customer=world.customer.pk)
        assert not Message.objects.filter(subject="to the colleague").exists()
    with acting_as("superuser"):
        assert not Message.objects.get(subject="to the colleague").known
    with acting_as("send"):
        file_mail([world.customer.pk])
    with acting_as("superuser"):
        assert Message.objects.get(subject="to the colleague").known
    with viewing_as(world.owner):
        undo(staff=world.owner, action_id=action.pk)
    with acting_as("send"):
        file_mail([world.customer.pk])
    with acting_as("superuser"):
        assert not Party.objects.exists()
    assert subjects(world.owner) == {"first", "second"}


def test_a_deny_preview_counts_what_new_lines_would_have_hidden(world, acting_as):
    from postern.mail.lists import hidden_by

    arrive(acting_as, world.inbox, letter(subject="known"))
    with viewing_as(world.owner):
        assert hidden_by(world.mailbox.pk, ["tiling.example"]) == 2
        assert hidden_by(world.mailbox.pk, ["nobody.example"]) == 0
    arrive(
        acting_as,
        world.inbox,
        letter(subject="for somebody", headers="Sender: Desk <desk@Service.example>\r\n"),
    )
    arrive(acting_as, world.inbox, letter(subject="two authors", sender="a@one.example, b@two.example"))
    with viewing_as(world.owner):
        assert hidden_by(world.mailbox.pk, ["service.example"]) == 1  # the deny list looks at Sender too
        assert hidden_by(world.mailbox.pk, ["two.example", "one.example"]) == 1
    with viewing_as(world.colleague):
        assert hidden_by(world.mailbox.pk, ["tiling.example"]) == 0
