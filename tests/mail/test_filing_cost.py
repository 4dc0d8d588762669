"""What concerns a customer is found by indexes: the work of filing is the letters concerned, whoever has how many others."""

import pytest
from django.db import connection, transaction

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.filing import concerning, mailboxes_concerning
from postern.mail.filingwall import FEW
from postern.mail.models import Message, Party
from postern.mail.pairing import add_address, file_mail
from postern.people.models import Address, Customer
from tests.world import World, arrive, letter, make_folder, make_world

ADDRESS = "greta@tiling.example"


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    sent = [
        letter(sender="owner@isp.example", to=ADDRESS, subject="to her"),
        letter(
            sender="owner@isp.example", to=f"Greta <{ADDRESS.upper()}>, x@y.example", subject="to her and him"
        ),
        letter(sender="owner@isp.example", to=f'"{ADDRESS}" <other@y.example>', subject="to her name"),
        letter(
            sender="owner@isp.example", to="x@y.example", headers=f"Cc: {ADDRESS}\r\n", subject="copy to her"
        ),
    ]
    arrive(acting_as, world.sent, *sent)
    arrive(acting_as, world.inbox, letter(sender=ADDRESS, subject="from her"))
    arrive(acting_as, world.inbox, letter(sender="x@y.example", to=ADDRESS, subject="to her, from elsewhere"))
    return world


def copies(acting_as, mailbox_id: int, outgoing: bool, count: int) -> None:
    """Store that many other messages, as one that is there but for recipients, time and bytes."""
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
            " WHERE table_name = 'mail_message' AND is_generated = 'NEVER'"
            " AND column_name NOT IN ('id', 'sha256', 'mailbox_id', 'outgoing', 'to', 'from_address')"
        )
        (same,) = cursor.fetchone()
        cursor.execute(
            f'INSERT INTO mail_message ({same}, sha256, mailbox_id, outgoing, "to", from_address)'
            f" SELECT {same}, sha256((n || 'of' || %s)::bytea), %s, %s,"
            " jsonb_build_array(jsonb_build_array('', 'p' || n || '@x.example')), 'p' || n || '@x.example'"
            " FROM (SELECT * FROM mail_message LIMIT 1) m, generate_series(1, %s) n",
            [mailbox_id, mailbox_id, outgoing, count],
        )


def named(pks: list[int]) -> set[str]:
    return set(Message.objects.filter(pk__in=pks).values_list("subject", flat=True))


CONCERNED = {"to her", "to her and him", "copy to her", "from her"}


@pytest.mark.parametrize("more", [0, FEW], ids=["few addresses", "many"])
def test_a_customer_concerns_what_came_from_them_and_what_went_to_them(world, acting_as, more):
    with acting_as("superuser"):
        world.customer.addresses.all().delete()
        Address.objects.bulk_create(
            Address(customer=world.customer, email=f"n{n}@nobody.example") for n in range(more)
        )
    with viewing_as(world.owner):
        add_address(staff=world.owner, customer=world.customer, email=ADDRESS)
        assert named(concerning([world.customer.pk], world.mailbox)) == CONCERNED
    with acting_as("send"), at_mailbox(world.mailbox.pk):
        assert named(concerning([world.customer.pk], world.mailbox)) == CONCERNED
        other = [world.customer.pk + 1000]
        assert concerning(other, world.mailbox) == [] == mailboxes_concerning(other)
        every = [world.mailbox, world.reader_mailbox, world.colleague_mailbox] if more else [world.mailbox]
        assert mailboxes_concerning([world.customer.pk]) == every


def test_nobody_is_told_what_concerns_a_customer_in_anothers_mailbox(world, acting_as):
    with viewing_as(world.owner):
        add_address(staff=world.owner, customer=world.customer, email=ADDRESS)
    for person in (world.reader, world.colleague, world.boss):
        with viewing_as(person):
            assert concerning([world.customer.pk], world.mailbox) == []
    assert concerning([world.customer.pk], world.mailbox) == [], "nobody is looking"
    with acting_as("send"), at_mailbox(world.colleague_mailbox.pk):
        assert concerning([world.customer.pk], world.mailbox) == []


def test_the_job_goes_to_the_mailboxes_concerned_and_to_no_other(world, acting_as):
    with acting_as("superuser"):
        theirs = make_folder(world.colleague_mailbox)
        customer = Customer.objects.create(name="Tiling")
    with viewing_as(world.colleague):
        add_address(staff=world.colleague, customer=customer, email=ADDRESS)
    with acting_as("send"):
        assert mailboxes_concerning([customer.pk]) == [world.mailbox]
    arrive(acting_as, theirs, letter(sender="somebody@x.example", subject="not hers"))
    with acting_as("send"):
        assert mailboxes_concerning([customer.pk]) == [world.mailbox]
        file_mail([customer.pk])
    with acting_as("superuser"):
        filed = Party.objects.filter(customer=customer).values_list("message__subject", flat=True)
        assert set(filed) == CONCERNED
    with viewing_as(world.colleague):
        customer.addresses.get().delete()
    with acting_as("send"):
        assert mailboxes_concerning([customer.pk]) == [world.mailbox], "what is filed there must go"


@pytest.mark.parametrize("whose", ["own", "a colleague's"])
@pytest.mark.parametrize("outgoing", [True, False], ids=["sent", "received"])
def test_pairing_reads_no_more_rows_the_more_other_letters_there_are(world, acting_as, whose, outgoing):
    def read() -> int:
        cursor.execute(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('mail_message', 'mail_party')"
        )
        return int(cursor.fetchone()[0])

    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("ANALYZE mail_message, mail_party")  # as app.take_stock has it done once
    counted = []
    for number in range(2):
        with acting_as("superuser"):
            customer = Customer.objects.create(name=f"Customer {number}")
            customer.addresses.all().delete()
        with viewing_as(world.owner), transaction.atomic(), connection.cursor() as cursor:
            before = read()
            add_address(staff=world.owner, customer=customer, email=ADDRESS, shared=True)
            counted.append(read() - before)
        with acting_as("superuser"):
            Party.objects.all().delete()
            customer.delete()
        box = world.mailbox if whose == "own" else world.colleague_mailbox
        if not number:
            copies(acting_as, box.pk, outgoing, 2000)
    assert counted[1] <= counted[0] + 5, counted
