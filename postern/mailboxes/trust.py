"""What is done about certificates is written down: a line for each step, beside the step (S-039)."""

from __future__ import annotations

from django.db import connection
from django.db.models import QuerySet

from postern.mailboxes.connection import unchecked
from postern.mailboxes.models import Mailbox, TrustLine
from postern.mailboxes.person import Person

What = TrustLine.What


def place(mailbox: Mailbox, server: str) -> str:
    """Return host and port of a mailbox's server, imap or smtp."""
    return f"{getattr(mailbox, f'{server}_host')}:{getattr(mailbox, f'{server}_port')}"


def note_changes(*, by: Person, old: Mailbox, new: Mailbox) -> None:
    """Write down which servers of a mailbox are checked no longer, or again, since the settings were saved."""
    before = {server: place(old, server) for server in unchecked(old)}
    now = {server: place(new, server) for server in unchecked(new)}
    for server, where in now.items():
        if before.get(server) != where:
            TrustLine.objects.create(by_id=by.pk, mailbox=new, what=What.UNCHECKED, server=where)
    for server, where in before.items():
        if server not in now:
            TrustLine.objects.create(by_id=by.pk, mailbox=new, what=What.CHECKED, server=where)


def note_trusted(*, by: Person, mailbox: Mailbox, server: str, sha256: str) -> None:
    """Write down that the owner trusts another certificate than the one remembered; before it is forgotten."""
    TrustLine.objects.create(
        by_id=by.pk,
        mailbox=mailbox,
        what=What.TRUSTED,
        server=place(mailbox, server),
        sha256=sha256,
        former_sha256=getattr(mailbox, f"{server}_pinned_sha256"),
    )


def note_policy(*, by: Person, allowed: bool) -> None:
    """Write down what the company allows from now on; where it allows less, tell the owners concerned."""
    TrustLine.objects.create(by_id=by.pk, what=What.ALLOWED if allowed else What.FORBIDDEN)
    if not allowed:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app.tell_unchecked()")


def tell_changed(*, mailbox_id: int, host: str, sha256: str) -> None:
    """Tell the owner that a server shows another certificate than the one remembered; workers only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.tell_changed(%s, %s, %s)", [mailbox_id, host, sha256])


def count_unchecked() -> int:
    """Return how many mailboxes have a server whose certificate is not checked; for a super-administrator, else 0."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.count_unchecked()")
        return int(cursor.fetchone()[0])


def log_of(mailbox: Mailbox | None = None) -> QuerySet[TrustLine]:
    """Return the lines of one mailbox, or all that the person may see, the newest first."""
    rows = TrustLine.objects.select_related("by")
    return rows if mailbox is None else rows.filter(mailbox=mailbox)
