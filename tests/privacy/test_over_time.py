"""Honest steps, one after another: what they add up to shows a narrowed reader nothing more, and nobody else anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.actions import perform, undo
from postern.mail.models import Message, Party
from postern.mail.pairing import add_address, remove_address
from postern.mail.sharing import share
from postern.mailboxes.models import Mailbox, Reader
from postern.outbox import compose, fate
from postern.outbox.letter import recipients
from postern.outbox.models import Delivery
from postern.people.models import Customer
from postern.wire.smtp import SendResult
from tests.api.caller import Caller, ok
from tests.privacy.scene import content_of
from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_mailbox, make_world, run_filing, subjects


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=world.mailbox.pk).update(
            sending=True, smtp_host="127.0.0.1", has_smtp_secret=True
        )
    arrive(acting_as, world.inbox, letter(), letter(sender="Mole <a@b.example>", subject="private"))
    return world


def goes_out(acting_as, row: Delivery) -> None:
    """The letter is sent off, and its server takes it for everybody."""
    author = row.author
    with viewing_as(author):
        compose.send(delivery=row, undo_seconds=0)
    with acting_as("send"), at_mailbox(row.mailbox_id):
        queued = Delivery.objects.select_related("mailbox").get(pk=row.pk)
        fate.accepted(queued, SendResult(tuple(recipients(queued)), (), "250 taken"))


def the_private(world: World) -> Message:
    return Message.objects.select_related("mailbox").get(subject="private")


@pytest.mark.rule("S-132")
def test_s132_the_owners_answer_to_a_letter_that_does_not_count_does_not_count(world, trick, acting_as):
    """It is filed where that letter is, by an address that the reader put there; and it quotes that letter."""
    with viewing_as(world.owner):
        row = compose.reply(staff=world.owner, message=the_private(world))
    goes_out(acting_as, row)
    assert subjects(world.owner) >= {"Re: private"}
    assert subjects(world.reader) == {"Packet loss"}
    with viewing_as(world.reader):  # and all of that customer's mail is filed anew
        add_address(staff=world.reader, customer=trick, email="more@b.example")
    run_filing(acting_as)
    assert subjects(world.reader) == {"Packet loss"}
    with viewing_as(world.owner):
        assert Party.objects.get(message__subject="Re: private").customer == trick


@pytest.mark.rule("S-132")
def test_s132_an_answer_from_the_owners_other_mailbox_goes_out_and_counts_by_its_addresses(world, acting_as):
    """Its worker sees nothing of the letter that it answers."""
    with acting_as("superuser"):
        other = make_mailbox(world.owner)
        rights = {"sending": True, "smtp_host": "127.0.0.1", "has_smtp_secret": True}
        Mailbox.objects.filter(pk=other.pk).update(address="also@isp.example", **rights)
    with viewing_as(world.owner):
        message = Message.objects.select_related("mailbox").get(subject="Packet loss")
        row = compose.reply(staff=world.owner, message=message)
        row = compose.save(
            delivery=row,
            to=row.to,
            subject=row.subject,
            html=row.html,
            mailbox=Mailbox.objects.get(pk=other.pk),
        )
    goes_out(acting_as, row)
    with viewing_as(world.owner):
        sent = Message.objects.get(mailbox=other)
        assert sent.known and sent.owner_party and not sent.parties.get().by_hand


@pytest.mark.rule("S-132")
def test_s132_undoing_the_unpairing_of_the_readers_address_makes_it_nobody_elses(world, trick, acting_as):
    with viewing_as(world.owner):
        step = perform(staff=world.owner, key="unpair", message=the_private(world), data={})
    with viewing_as(world.owner):
        undo(staff=world.owner, action_id=step.pk)
    run_filing(acting_as)
    assert subjects(world.reader) == {"Packet loss"}
    arrive(acting_as, world.inbox, letter(sender="Mole <a@b.example>", subject="private two"))
    assert subjects(world.reader) == {"Packet loss"}


@pytest.mark.rule("S-132")
def test_s132_a_letter_to_two_counts_no_longer_when_only_the_readers_address_is_left(world, trick, acting_as):
    with viewing_as(world.owner):
        own = add_address(staff=world.owner, customer=world.customer, email="kim@x.example")
    arrive(
        acting_as,
        world.sent,
        letter(sender="owner@isp.example", to="kim@x.example, a@b.example", subject="both"),
    )
    assert "both" in subjects(world.reader)
    with viewing_as(world.owner):
        remove_address(staff=world.owner, address=own)
    assert "both" not in subjects(world.reader)


@pytest.mark.rule("S-132")
def test_s132_undoing_a_pairing_that_the_reader_made_too_shows_nothing_more(world, acting_as):
    """The job of the reader's pairing has not come to the owner's mailbox yet when the owner pairs and undoes it."""
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
        customer = Customer.objects.create(name="Trick")
    with viewing_as(world.reader):
        add_address(staff=world.reader, customer=customer, email="a@b.example")
    with viewing_as(world.owner):
        step = perform(
            staff=world.owner, key="pair", message=the_private(world), data={"customer": customer.pk}
        )
    assert "private" in subjects(world.reader)
    with viewing_as(world.owner):
        undo(staff=world.owner, action_id=step.pk)
    run_filing(acting_as)
    assert subjects(world.reader) == {"Packet loss"}


@pytest.mark.rule("S-132")
@pytest.mark.parametrize("door", ["page", "api"])
def test_s132_a_reader_who_says_that_an_address_is_one_customers_alone_sees_no_more(world, acting_as, door):
    """So far the owner decided of each letter from it by hand."""
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
    with viewing_as(world.owner):
        row = add_address(staff=world.owner, customer=world.customer, email="a@b.example", shared=True)
    place = f"/customers/{world.customer.pk}/addresses/{row.pk}"
    if door == "api":
        assert ok(Caller(world.reader).patch(place, {"shared": False}))["shared"] is False
    else:
        browser = Browser()
        browser.force_login(world.reader)
        assert browser.post(f"{place}/", {"kind": "other"}).status_code == 302
    run_filing(acting_as)
    later = datetime.now(UTC) + timedelta(minutes=1)
    arrive(acting_as, world.inbox, letter(sender="Mole <a@b.example>", subject="private two"), at=later)
    assert subjects(world.reader) == {"Packet loss"}
    with viewing_as(world.owner):
        assert Message.objects.get(subject="private two").known


@pytest.mark.rule("S-132")
def test_s132_the_owner_who_takes_it_off_another_customer_has_not_put_the_readers_there(
    world, trick, acting_as
):
    """The reader had put it on a customer; what is left to that one is filed by hand, until somebody says otherwise."""
    with acting_as("superuser"):
        other = Customer.objects.create(name="Other")
    with viewing_as(world.owner):
        row = add_address(staff=world.owner, customer=other, email="a@b.example", shared=True)
        remove_address(staff=world.owner, address=row)
    run_filing(acting_as)
    later = datetime.now(UTC) + timedelta(minutes=1)
    arrive(acting_as, world.inbox, letter(sender="Mole <a@b.example>", subject="private two"), at=later)
    assert subjects(world.reader) == {"Packet loss"}


@pytest.mark.rule("S-132")
def test_s132_nor_who_takes_it_off_the_other_customer(world, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
        other = Customer.objects.create(name="Other")
    with viewing_as(world.owner):
        add_address(staff=world.owner, customer=world.customer, email="a@b.example")
        row = add_address(staff=world.owner, customer=other, email="a@b.example", shared=True)
    assert subjects(world.reader) == {"Packet loss"}
    with viewing_as(world.reader):
        remove_address(staff=world.reader, address=row)
    run_filing(acting_as)
    later = datetime.now(UTC) + timedelta(minutes=1)
    arrive(acting_as, world.inbox, letter(sender="Mole <a@b.example>", subject="private two"), at=later)
    assert subjects(world.reader) == {"Packet loss"}
    with viewing_as(world.owner):
        assert Message.objects.filter(known=True, parties__customer=world.customer).count() == 3


@pytest.mark.rule("S-136")
def test_s136_a_letter_that_a_customer_got_blind_is_not_filed_there(world, acting_as):
    with viewing_as(world.owner):
        row = compose.new(staff=world.owner, customer=world.customer)
        row = compose.save(
            delivery=row, to="else@where.example", bcc="greta@brandt-bakery.example", subject="Hush", text="x"
        )
    goes_out(acting_as, row)
    told = ok(Caller(world.reader).get("/sent"))["messages"]
    assert [one["customers"] for one in told] == [[]]


@pytest.mark.rule("S-105")
def test_s105_what_was_to_be_said_of_a_letter_goes_with_who_signs_out(world):
    """Its page never came: the browser was closed, or the line was cut."""
    browser = Browser()
    browser.force_login(world.owner)
    with viewing_as(world.owner):
        pk = the_private(world).pk
    assert browser.post(f"/messages/{pk}/do/delete/").status_code == 302
    assert browser.post("/sign-out/").status_code == 302
    assert "“private”" not in browser.get("/sign-in/").content.decode()
    browser.force_login(world.colleague)
    assert "“private”" not in browser.get("/messages/inbox/").content.decode()


@pytest.mark.rule("S-056")
def test_s056_a_reader_of_the_mailbox_finds_nowhere_that_a_conversation_is_shared_by_name(world):
    """Nor with whom: who else reads is told to the owner alone."""
    with viewing_as(world.owner):
        known = Message.objects.get(subject="Packet loss")
    program, browser = Caller(world.reader), Browser()
    browser.force_login(world.reader)

    def told() -> list[bytes]:
        pages = [f"/customers/{world.customer.pk}/communication/", f"/messages/inbox/{known.pk}/"]
        paths = [f"/messages/{known.pk}", f"/conversations/{known.conversation_id}", "/inbox", "/me"]
        return [content_of(browser.get(page)) for page in pages] + [
            program.get(path).content for path in paths
        ]

    told()  # it is read from now on
    before = told()
    with viewing_as(world.owner):
        share(staff=world.owner, conversation=known.conversation_id, colleague=world.colleague)
    assert told() == before
    assert all(b"Packet loss" in one for one in before[:2])
