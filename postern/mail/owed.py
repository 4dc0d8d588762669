"""What the server refused to do for us: for the mailbox's owner to see, and to have tried again."""

from __future__ import annotations

from django.db.models.functions import Now

from postern.mail.events import notify
from postern.mail.models import Errand, Message
from postern.mailboxes.models import Mailbox
from postern.people.models import Staff

_WORDS = {
    Errand.Kind.SEEN: "It could not be marked as read in the mailbox.",
    Errand.Kind.APPEND: "The copy is not in the sent folder on the server.",
    Errand.Kind.TRASH: "It could not be moved to Trash on the server.",
    Errand.Kind.FETCH: "The whole message could not be brought in.",
}


def undone(staff: Staff, message: Message) -> list[Errand]:
    """Return the errands of a message that were refused so far; nobody but the mailbox's owner has any."""
    rows = Errand.objects.filter(message=message, mailbox__owner=staff)
    return list(rows.exclude(error="").order_by("pk"))


def in_words(errand: Errand) -> str:
    """Say what was not done and why; the server's own words come last."""
    return f"{_WORDS[Errand.Kind(errand.kind)]} {errand.error}"


def look_now(staff: Staff) -> None:
    """Ask the worker to visit the person's mailboxes now, and to try again what was refused."""
    mailboxes = list(Mailbox.objects.filter(owner=staff, imap_ready=True).values_list("pk", flat=True))
    refused = Errand.objects.filter(mailbox__in=mailboxes).exclude(error="")
    refused.update(failed_at=None, attempts=0, not_before=Now())
    for pk in mailboxes:
        notify("postern_errands", {"mailbox": pk})
