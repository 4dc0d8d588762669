"""Pairing changes what its owner's narrowed grants show, and tells nobody else anything."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mail.pairing import add_address, file_by_hand, file_mail, remove_address, unfile
from postern.outbox.models import Delivery
from postern.people.models import Address, Customer
from tests.api.caller import Caller, ok, refused
from tests.privacy.watching import digests, words_of
from tests.world import World, arrive, letter, make_folder, make_world, run_filing, subjects


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(), letter(sender="Mole <a@b.example>", subject="private"))
    return world


@pytest.mark.rule("S-132")
def test_s132_what_the_owner_does_to_that_customer_shows_the_reader_nothing_more(world, trick, acting_as):
    with viewing_as(world.owner):
        other = add_address(staff=world.owner, customer=trick, email="other@b.example")
    with viewing_as(world.owner):
        remove_address(staff=world.owner, address=other)
    assert subjects(world.reader) == {"Packet loss"}


@pytest.mark.rule("S-132")
def test_s132_nor_does_the_owner_marking_the_address(world, trick):
    with viewing_as(world.owner):
        address = Address.objects.get(email="a@b.example")
    ok(Caller(world.owner).patch(f"/customers/{trick.pk}/addresses/{address.pk}", {"kind": "billing"}))
    assert subjects(world.reader) == {"Packet loss"}


@pytest.mark.rule("S-132")
def test_what_the_owner_pairs_the_reader_sees(world, trick):
    with viewing_as(world.owner):
        add_address(staff=world.owner, customer=trick, email="a@b.example")
    assert subjects(world.reader) == {"Packet loss", "private"}


@pytest.mark.rule("S-132")
def test_s132_nor_does_a_letter_that_the_owner_filed_by_hand_and_takes_back(world, trick):
    with viewing_as(world.owner):
        message = Message.objects.select_related("mailbox").get(subject="private")
        file_by_hand(message=message, customer=world.customer)
        unfile(message=message, customer_id=world.customer.pk)
    assert subjects(world.reader) == {"Packet loss"}


def test_a_letter_no_longer_filed_by_hand_stays_where_its_address_is(world):
    with viewing_as(world.owner):
        message = Message.objects.select_related("mailbox").get(subject="Packet loss")
        file_by_hand(message=message, customer=world.customer)
        unfile(message=message, customer_id=world.customer.pk)
        message = Message.objects.get(subject="Packet loss")
        assert message.known and message.owner_party
        assert not message.parties.get(customer=world.customer).by_hand


@pytest.mark.rule("S-135")
@pytest.mark.parametrize("route", ["pair", "address"])
def test_s135_whoever_pairs_learns_nothing_of_others_mail_from_that_address(world, acting_as, route):
    """The same answer and the same page, whether a colleague has letters from the address or not; undo likewise."""
    mine = make_inbox(acting_as, world.colleague_mailbox)
    told = []
    for sender in ("a@b.example", "x@nobody-else.example"):
        [message] = arrive(acting_as, mine, letter(sender=f"Mole <{sender}>", to="colleague@isp.example"))
        with acting_as("superuser"):
            customer = Customer.objects.create(name="Same")
        caller = Caller(world.colleague)
        if route == "pair":
            said = ok(caller.post(f"/messages/{message.pk}/actions/pair", {"customer": customer.pk}))
        else:
            said = ok(caller.post(f"/customers/{customer.pk}/addresses", {"email": sender}), 201)
        run_job(acting_as, customer)
        pages = [caller.get(f"/customers/{customer.pk}{p}").content.decode() for p in ("", "/communication")]
        undone = ""
        if route == "pair":
            undone = words_of(caller.post(f"/actions/{said['id']}/undo").content.decode())
            run_job(acting_as, customer)
            pages.append(caller.get(f"/customers/{customer.pk}/communication").content.decode())
        told.append([words_of(text).replace(sender, "S") for text in (str(said), *pages)] + [undone])
    assert told[0] == told[1]


@pytest.mark.rule("S-135")
@pytest.mark.parametrize("when", ["at once", "after the job", "after the owner wrote"])
def test_s135_whoever_adds_a_customer_and_undoes_it_learns_nothing_of_others_mail(world, acting_as, when):
    """The same answers, and the customer is gone, whether a colleague has mail from that address or not."""
    mine = make_inbox(acting_as, world.colleague_mailbox)
    caller, told = Caller(world.colleague), []
    for sender in ("a@b.example", "x@nobody-else.example"):
        [message] = arrive(acting_as, mine, letter(sender=f"Mole <{sender}>", to="colleague@isp.example"))
        said = ok(caller.post(f"/messages/{message.pk}/actions/add", {"name": "New", "kind": "lead"}))
        made = Customer.objects.get(name="New").pk
        if when != "at once":
            run_filing(acting_as)
        if when == "after the owner wrote" and not told:
            with viewing_as(world.owner):
                Delivery.objects.create(mailbox=world.mailbox, author=world.owner, customer_id=made)
        undone = caller.post(f"/actions/{said['id']}/undo")
        still = caller.get(f"/customers/{made}").status_code
        run_filing(acting_as)
        gone = caller.get(f"/customers/{made}")
        told.append((still, *(words_of(one.content.decode()) for one in (undone, gone))))
        assert (undone.status_code, gone.status_code) == (200, 404)
    assert told[0] == told[1]
    with acting_as("superuser"):
        assert not Message.objects.get(subject="private").known


@pytest.mark.rule("S-135")
def test_s135_others_letters_follow_by_the_job_alone(world, acting_as):
    with acting_as("superuser"):
        customer = Customer.objects.create(name="Later")
        before = digests("mail_message", "mail_party")
    with viewing_as(world.colleague):
        address = add_address(staff=world.colleague, customer=customer, email="a@b.example")
    with acting_as("superuser"):
        assert digests("mail_message", "mail_party") == before
    run_job(acting_as, customer)
    with viewing_as(world.owner):
        assert Message.objects.get(subject="private").known
    with viewing_as(world.colleague):
        remove_address(staff=world.colleague, address=address)
    run_job(acting_as, customer)
    with acting_as("superuser"):
        assert digests("mail_message", "mail_party") == before


@pytest.mark.rule("S-135")
def test_s135_nothing_tells_who_added_an_address_or_when(world, acting_as):
    with viewing_as(world.colleague):
        add_address(staff=world.colleague, customer=world.customer, email="a@b.example")
    caller = Caller(world.owner)
    told = caller.get(f"/customers/{world.customer.pk}").content.decode()
    row = next(
        one
        for one in ok(caller.get(f"/customers/{world.customer.pk}"))["addresses"]
        if one["email"] == "a@b.example"
    )
    assert set(row) == {"id", "email", "kind", "shared"}
    assert "colleague" not in told.lower()


@pytest.mark.rule("S-058")
def test_s058_a_pairing_conflict_names_the_customer_and_nobody_of_us(world, acting_as):
    """Customers belong to everybody; whose mail made one does not. The same words for the owner's and a stranger's."""
    with acting_as("superuser"):
        other = Customer.objects.create(name="Other")
    told = []
    for email, staff in (("a@b.example", world.owner), ("x@y.example", world.boss)):
        with acting_as("superuser"):
            Address.objects.create(customer=other, email=email, added_by=staff)
        answer = Caller(world.colleague).post(f"/customers/{world.customer.pk}/addresses", {"email": email})
        detail = refused(answer, 409, "address_taken")["detail"]
        told.append(detail.replace(email, "E"))
    assert told[0] == told[1]
    assert "Other" in told[0]


def make_inbox(acting_as, mailbox):
    with acting_as("superuser"):
        return make_folder(mailbox)


def run_job(acting_as, customer: Customer) -> None:
    with acting_as("send"):
        file_mail([customer.pk])


@pytest.mark.rule("S-071")
def test_s071_the_job_of_a_pairing_names_numbers_only(world, acting_as):
    with viewing_as(world.owner):
        add_address(staff=world.owner, customer=world.customer, email="a@b.example")
    with acting_as("send"), connection.cursor() as cursor:
        cursor.execute("SELECT args FROM procrastinate_jobs WHERE task_name = 'file_mail'")
        assert [json.loads(row[0]) for row in cursor.fetchall()] == [{"customer_ids": [world.customer.pk]}]
