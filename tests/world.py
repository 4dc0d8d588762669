"""The people every test about mail has at hand: an owner, readers, a colleague, a super-administrator, a stranger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from django.db import connection

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.intake import Arrival, Prepared, take_in
from postern.mail.models import Message
from postern.mail.pairing import add_address, file_mail
from postern.mailboxes.models import Folder, Mailbox, Reader
from postern.people.models import Address, Customer, Staff

_uids = count(1)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class World:
    """Everybody, the owner's mailbox with its two folders, and one customer."""

    owner: Staff
    reader: Staff
    reader_without_imap: Staff
    colleague: Staff
    boss: Staff
    mailbox: Mailbox
    reader_mailbox: Mailbox
    colleague_mailbox: Mailbox
    inbox: Folder
    sent: Folder
    customer: Customer

    @property
    def everybody(self) -> list[Staff]:
        """All who can sign in."""
        return [self.owner, self.reader, self.reader_without_imap, self.colleague, self.boss]


def make_world(acting_as) -> World:
    """Save the people, their mailboxes and grants."""
    with acting_as("superuser"):
        people = {
            name: Staff.objects.create_staff(
                email=f"{name}@isp.example",
                name=name.title(),
                password=None,
                role="super" if name == "boss" else "admin",
            )
            for name in ("owner", "reader", "noimap", "colleague", "boss")
        }
        boxes = {name: make_mailbox(people[name]) for name in ("owner", "reader", "colleague")}
        for name in ("reader", "noimap"):
            Reader.objects.create(mailbox=boxes["owner"], staff=people[name])
        customer = Customer.objects.create(name="Brandt Bakery", phone="0555 010 288")
        row = Address.objects.create(customer=customer, email="greta@brandt-bakery.example", kind="main")
        Address.objects.filter(pk=row.pk).update(created_at=NOON - timedelta(days=30))
        return World(
            owner=people["owner"],
            reader=people["reader"],
            reader_without_imap=people["noimap"],
            colleague=people["colleague"],
            boss=people["boss"],
            mailbox=boxes["owner"],
            reader_mailbox=boxes["reader"],
            colleague_mailbox=boxes["colleague"],
            inbox=make_folder(boxes["owner"]),
            sent=make_folder(boxes["owner"], Folder.Role.SENT),
            customer=customer,
        )


def make_mailbox(owner: Staff) -> Mailbox:
    """A mailbox that counts as set up."""
    box = Mailbox.objects.create(
        owner=owner,
        address=owner.email,
        imap_host="127.0.0.1",
        imap_username=owner.email,
        has_imap_secret=True,
        sent_folder="Sent",
    )
    box.refresh_from_db()
    return box


def make_folder(mailbox: Mailbox, role: str = Folder.Role.INBOX) -> Folder:
    """A folder that has been visited once."""
    name = "INBOX" if role == Folder.Role.INBOX else "Sent"
    return Folder.objects.create(mailbox=mailbox, name=name, role=role, uidvalidity=7)


def letter(
    *,
    sender: str = "Greta Brandt <greta@brandt-bakery.example>",
    to: str = "owner@isp.example",
    subject: str = "Packet loss",
    body: str = "Hello,\r\nit started again.\r\n",
    headers: str = "",
    mid: str | None = None,
) -> bytes:
    """Raw bytes of a small letter."""
    mid = mid or f"{next(_uids)}.test@brandt-bakery.example"
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{mid}>\r\n{headers}"
    return f"{head}Date: Mon, 23 Nov 2026 10:31:00 +0000\r\n\r\n{body}".encode()


def arrive(
    acting_as,
    folder: Folder,
    *raws: bytes,
    at: datetime = NOON,
    flags: frozenset[str] = frozenset(),
    **options: object,
) -> list[Message]:
    """Let letters arrive in a folder, as the worker would store them."""
    arrivals = [Arrival(next(_uids), flags, at, raw) for raw in raws]
    with acting_as("sync"):
        return stored(folder, arrivals, **options)


def stored(
    folder: Folder, arrivals: Sequence[Arrival] | Sequence[Prepared], **options: object
) -> list[Message]:
    """Take letters in and return the new messages, as the worker, in whose role this is called."""
    ids = take_in(folder=folder, **{"uidvalidity": 7, "arrivals": arrivals, **options})  # type: ignore[arg-type]
    with at_mailbox(folder.mailbox_id):
        found = Message.objects.in_bulk(ids)
    return [found[pk] for pk in ids]


def run_filing(acting_as) -> None:
    """Do the jobs about filing that wait, in their order, as the worker would."""
    from postern.outbox import tasks

    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM procrastinate_jobs WHERE task_name = 'file_mail' RETURNING id, args)"
            " SELECT args::text FROM gone ORDER BY id"
        )
        jobs = [json.loads(args) for (args,) in cursor.fetchall()]
    with acting_as("send"):
        for args in jobs:
            tasks.file_mail(**args)


def subjects(viewer: Staff) -> set[str]:
    """What a person sees, by both locks."""
    with viewing_as(viewer):
        return set(Message.objects.visible_to(viewer).values_list("subject", flat=True))


def widen(world: World, acting_as) -> Customer:
    """Let the reader, who sees customers' mail only, put the owner's private correspondent a@b.example on a customer."""
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
        customer = Customer.objects.create(name="Trick")
    with viewing_as(world.reader):
        add_address(staff=world.reader, customer=customer, email="a@b.example")
    with acting_as("send"):
        file_mail([customer.pk])
    return customer
