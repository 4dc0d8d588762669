"""Those who answer in another's name, and what they do."""

from __future__ import annotations

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox, Reader
from postern.mailboxes.readers import grant
from postern.outbox import behalf, compose, deliver
from postern.outbox.models import Delivery
from postern.people.models import Staff
from tests.roles import hire

MINE = "<p>We come on Tuesday.</p>"


def person(name: str, *, own_mailbox: bool = True) -> Staff:
    """Somebody of the staff, with a mailbox that counts as set up unless told otherwise."""
    staff = hire(email=f"{name}@northlink.example", name=name.title(), password=None)
    if own_mailbox:
        with viewing_as(staff):
            Mailbox.objects.create(
                owner=staff,
                address=staff.email,
                imap_host="imap.example",
                imap_username=name,
                has_imap_secret=True,
            )
    return staff


def reader(name: str, owner: Staff, mailbox: Mailbox, **rights: bool) -> Staff:
    """A person to whom the owner gave access."""
    found = person(name)
    with viewing_as(owner):
        grant(staff=owner, mailbox=mailbox, reader=found, **rights)
    return found


def answer(staff: Staff, message: Message) -> Delivery:
    """An answer to a letter, written and not sent."""
    with viewing_as(staff):
        row = compose.reply(staff=staff, message=message)
        return compose.save(delivery=row, to=row.to, subject=row.subject, html=MINE + row.html)


def change(staff, **fields):
    """Change a grant behind everybody's back."""

    def now(acting_as):
        with acting_as("superuser"):
            Reader.objects.filter(staff=staff).update(**fields)

    return now


def seen(staff, row):
    """What they are shown of a delivery; None when nothing."""
    with viewing_as(staff):
        rows = Delivery.objects.of(staff).filter(pk=row.pk).prefetch_related("files")
        found = behalf.seen_by(staff, rows)
    return found[0] if found else None


def send(staff, row, **options):
    """Press Send, without the seconds of Undo."""
    with viewing_as(staff):
        return compose.send(delivery=row, **({"undo_seconds": 0} | options))


def work(acting_as, row):
    """Let the worker send it; the row afterwards."""
    with acting_as("send"):
        deliver.deliver(mailbox_id=row.mailbox_id, delivery_id=row.pk)
    with acting_as("superuser"):
        return Delivery.objects.get(pk=row.pk)
