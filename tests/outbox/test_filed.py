"""Where a letter that went out is filed, and what that shows readers of customers' conversations (S-132)."""

from __future__ import annotations

import pytest

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mail.pairing import add_address, file_by_hand, file_mail
from postern.mailboxes.models import Reader
from postern.outbox import compose
from postern.people.models import Address, Customer
from tests.world import subjects

from .answering import send, work
from .conftest import arrive
from .test_behalf import STRANGER


@pytest.fixture
def trick(mailbox, customer, message, petra, rosa, acting_as) -> Customer:
    """Rosa, who sees customers' conversations only, has put Marta's private correspondent on a customer."""
    arrive(mailbox, acting_as, STRANGER, uid=2)
    with acting_as("superuser"):
        Reader.objects.filter(staff=rosa).update(customers_only=True)
        made = Customer.objects.create(name="Trick")
    with viewing_as(rosa):
        add_address(staff=rosa, customer=made, email="nobody@elsewhere.example")
    with acting_as("send"):
        file_mail([made.pk])
    assert subjects(rosa) == {"RE: Re: New office"}
    return made


def answered(author, acting_as, subject: str) -> Message:
    """The author answers that letter, and the worker sends it."""
    with viewing_as(author):
        original = Message.objects.select_related("mailbox").get(subject=subject)
        draft = compose.reply(staff=author, message=original)
        draft = send(author, draft)
    work(acting_as, draft)
    with acting_as("superuser"):
        return Message.objects.get(outgoing=True)


@pytest.mark.rule("S-132")
@pytest.mark.parametrize("author", ["marta", "petra"])
def test_s132_an_answer_to_a_private_letter_is_as_private(trick, rosa, author, acting_as, request):
    """It quotes the letter, and it is filed under that customer like the letter."""
    sent = answered(request.getfixturevalue(author), acting_as, "Who are you")
    assert sent.known and not sent.owner_party
    assert subjects(rosa) == {"RE: Re: New office"}


@pytest.mark.parametrize("author", ["marta", "petra"])
def test_an_answer_to_a_customer_is_the_customers(trick, rosa, author, acting_as, request):
    sent = answered(request.getfixturevalue(author), acting_as, "RE: Re: New office")
    assert sent.known and sent.subject in subjects(rosa)


def test_so_is_one_to_a_letter_filed_by_hand(mailbox, message, customer, petra, rosa, marta, acting_as):
    """Several people use that address: by itself the answer would be filed nowhere."""
    with acting_as("superuser"):
        Reader.objects.filter(staff=rosa).update(customers_only=True)
        Address.objects.update(shared=True)
    arrive(mailbox, acting_as, STRANGER, uid=2)
    with acting_as("superuser"):
        Address.objects.create(customer=customer, email="nobody@elsewhere.example", shared=True)
    with viewing_as(marta):
        letter = Message.objects.select_related("mailbox").get(subject="Who are you")
        file_by_hand(message=letter, customer=customer)
    sent = answered(marta, acting_as, "Who are you")
    assert sent.known and sent.subject in subjects(rosa)


def test_what_the_owner_writes_to_a_customer_is_the_customers(trick, rosa, outbox, server):
    """Whoever put the address there: the owner chose that customer."""
    row = outbox.work(outbox.queue(customer=trick, to="nobody@elsewhere.example", subject="To you"))
    assert row.state == "accepted"
    assert "To you" in subjects(rosa)
