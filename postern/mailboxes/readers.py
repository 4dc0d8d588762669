"""Give and take back the right to read a mailbox. Only its owner does (row 6)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Mailbox, Reader
from postern.mailboxes.person import Person
from postern.mailboxes.save import notify, own_mailbox


def grant(
    *,
    staff: Person,
    mailbox: Mailbox,
    reader: Person,
    incoming_only: bool = False,
    customers_only: bool = False,
    may_reply: bool = False,
    ends_at: datetime | None = None,
) -> Reader:
    """Let `reader` read the mailbox, or change what an earlier grant lets them do.

    `may_reply`: they may answer, in the owner's name, the mail that the grant shows them. `ends_at` is an aware moment, None for no end. Raises SettingsError; Mailbox.DoesNotExist unless
    `staff` owns the mailbox.
    """
    with transaction.atomic():
        own = own_mailbox(staff, mailbox)
        if reader.pk == staff.pk:
            raise SettingsError({"reader": ["The mailbox is yours; you read it already."]})
        if not reader.is_active:
            raise SettingsError({"reader": [f"{reader.name} can no longer sign in."]})
        if ends_at is not None and ends_at <= timezone.now():
            raise SettingsError({"ends_at": ["The end lies in the past: choose a later day."]})
        scope = {
            "incoming_only": incoming_only,
            "customers_only": customers_only,
            "may_reply": may_reply,
            "ends_at": ends_at,
            "handover": None,
        }
        row, _ = Reader.objects.update_or_create(mailbox=own, staff_id=reader.pk, defaults=scope)
        _ask_anew(reader)
    return row


def revoke(*, staff: Person, mailbox: Mailbox, reader: Person) -> None:
    """Take the right back; from the next statement on nothing is shown. Raises Mailbox.DoesNotExist."""
    own = own_mailbox(staff, mailbox)
    Reader.objects.filter(mailbox=own, staff_id=reader.pk).delete()
    _ask_anew(reader)


def _ask_anew(reader: Person) -> None:
    """Let the reader's open pages ask anew: what they show may be more than the grant does by now."""
    notify("postern_events", kind="access", mailbox=0, id=reader.pk)


def in_words(grant: Reader) -> str:
    """Say what a reader sees and may do, as the form and the page of the reader put it."""
    what = "Incoming mail only" if grant.incoming_only else "Incoming and sent mail"
    whose = "in customers’ conversations" if grant.customers_only else "of the whole mailbox"
    until = f", until {timezone.localtime(grant.ends_at):%-d %B %Y}" if grant.ends_at else ""
    answers = " May answer it in your name, from your address." if grant.may_reply else ""
    return f"{what} {whose}{until}.{answers} Drafts and blind copies stay yours alone."
