"""Who wrote a letter in another's name, and what went out, stays as it was: also for SQL in the web process (S-064)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from postern.mail.access import viewing_as
from postern.mailboxes.models import Mailbox
from postern.outbox.models import Delivery

from .answering import send, work

pytestmark = pytest.mark.rule("S-064")
OTHER = {
    "to": [["", "else@x.example"]],
    "cc": [["", "else@x.example"]],
    "bcc": [["", "else@x.example"]],
    "subject": "Other",
    "html": "<p>Other words.</p>",
    "text": "Other words.",
    "forward": True,
    "answers": None,
    "raw": b"other",
    "message_id": "other@x.example",
    "envelope_sender": "other@x.example",
    "accepted": [["", "else@x.example"]],
    "deferred": [["a@x.example", "450", "no"]],
    "accepted_at": datetime(2020, 1, 1, tzinfo=UTC),
    "created_at": datetime(2020, 1, 1, tzinfo=UTC),
    "refused": [["a@x.example", "550", "no"]],
}
FATE = {
    "state",
    "code",
    "problem",
    "advice",
    "server_text",
    "send_at",
    "give_up_at",
    "date",
    "attempts",
    "updated_at",
}
"""What says how a letter fares, not what it is."""


def refused(viewer, row, **change) -> bool:
    """True when the database refuses, or finds no such row for, this change by that person."""
    try:
        with viewing_as(viewer), transaction.atomic():
            return Delivery.objects.filter(pk=row.pk).update(**change) == 0
    except DatabaseError as error:
        assert error.__cause__.sqlstate == "42501", error
        return True


@pytest.fixture(params=["queued", "unknown", "failed", "held", "sending", "accepted"])
def answered(request, draft, petra, server, acting_as):
    """Petra's answer in Marta's name, however far it has come."""
    row = send(petra, draft, undo_seconds=0 if request.param == "accepted" else 60)
    if request.param == "accepted":
        return work(acting_as, row)
    with acting_as("superuser"):
        Delivery.objects.filter(pk=row.pk).update(state=request.param)
        return Delivery.objects.get(pk=row.pk)


def test_s064_the_owner_changes_neither_who_wrote_it_nor_what_it_says(
    answered, petra, rosa, marta, message, acting_as
):
    everything = {field.name for field in Delivery._meta.fields}
    assert everything == {*OTHER, *FATE, "id", "mailbox", "author", "customer", "key", "key_digest", "sent"}
    with viewing_as(marta):
        second = Mailbox.objects.create(
            owner=marta, address="second@northlink.example", imap_host="x.example"
        )
    for change in (
        {"author": marta},
        {"author": rosa},
        {"mailbox": second},
        {"sent": message},
        *({k: v} for k, v in OTHER.items()),
    ):
        assert refused(marta, answered, **change), change
    for state in ("draft", "queued", "sending", "accepted", "failed", "unknown"):
        assert state == answered.state or refused(marta, answered, state=state), state
    with viewing_as(marta), transaction.atomic():
        assert Delivery.objects.filter(pk=answered.pk).delete()[0] == 0
    with acting_as("superuser"):
        row = Delivery.objects.get(pk=answered.pk)
    assert (row.author, row.subject, row.html) == (petra, answered.subject, answered.html)


def test_s064_nor_does_its_author_once_it_is_on_its_way(answered, petra, marta):
    assert refused(petra, answered, author=marta)
    if answered.state in ("sending", "accepted"):
        for change in ({"state": "draft"}, {"state": "held"}, *({k: v} for k, v in OTHER.items())):
            assert refused(petra, answered, **change), change


def test_s064_nor_is_a_letter_of_the_owners_own_given_to_a_colleague(answered, petra, marta, acting_as):
    """Nobody is made the author of what they did not write, not even by who did."""
    with acting_as("superuser"):
        Delivery.objects.filter(pk=answered.pk).update(author=marta)
    assert refused(marta, answered, author=petra)
    with acting_as("superuser"):
        assert Delivery.objects.get(pk=answered.pk).author == marta


@pytest.mark.parametrize("role", ["sync", "send"])
def test_s064_nor_do_the_workers_make_it_anothers(answered, marta, mailbox, acting_as, role):
    from postern.mail.access import at_mailbox

    with acting_as(role), pytest.raises(DatabaseError, match="permission denied"), at_mailbox(mailbox.pk):
        Delivery.objects.filter(pk=answered.pk).update(author=marta)


def test_a_letter_of_ones_own_is_ones_own_until_it_goes(draft, petra, marta, mailbox, acting_as):
    with viewing_as(petra):
        assert Delivery.objects.filter(pk=draft.pk).update(subject=Concat(F("subject"), Value("!"))) == 1
    with acting_as("superuser"):
        assert Delivery.objects.get(pk=draft.pk).subject.endswith("!")


def test_a_customer_may_be_deleted_although_somebody_wrote_to_them(draft, petra, marta, server, acting_as):
    from postern.people.models import Customer

    with viewing_as(petra):
        customer = Customer.objects.create(name="Gone tomorrow")
        Delivery.objects.filter(pk=draft.pk).update(customer=customer)
    row = work(acting_as, send(petra, draft))
    assert (row.state, row.customer_id) == ("accepted", customer.pk)
    with viewing_as(marta):
        customer.delete()
    with acting_as("superuser"):
        assert Delivery.objects.get(pk=row.pk).customer_id is None
