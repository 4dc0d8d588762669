"""A folder's row: where reading stands, and what a new UIDVALIDITY does to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import CharField, F, Min, Value
from django.db.models.functions import Cast, Concat

from postern.mail.access import at_mailbox
from postern.mail.models import Message, Sighting
from postern.mailboxes.models import Folder, Mailbox, MailboxHealth
from postern.sync.plan import Remembered
from postern.sync.store.letters import mark_messages
from postern.sync.store.mailboxes import note_health


@dataclass(frozen=True)
class Place:
    """A folder's row with what is remembered of it."""

    row: Folder
    remembered: Remembered


def places(mailbox: Mailbox) -> list[Place]:
    """Return INBOX and, where one is set, the folder of sent letters."""
    with at_mailbox(mailbox.pk):
        rows = [_row(mailbox, "INBOX", Folder.Role.INBOX)]
        name = mailbox.sent_folder.strip()
        if name and name.upper() != "INBOX":
            rows.append(_row(mailbox, name, Folder.Role.SENT))
        return [Place(row, _remembered(row)) for row in rows]


def _row(mailbox: Mailbox, name: str, role: str) -> Folder:
    row, _ = Folder.objects.get_or_create(mailbox=mailbox, name=name, defaults={"role": role})
    if row.role != role:
        row.role = role
        row.save(update_fields=["role"])
    return row


def _remembered(row: Folder) -> Remembered:
    # Two looks into the index; "not equal" would walk through every line of the ledger.
    old = Sighting.objects.filter(folder=row)
    number = row.uidvalidity
    rematching = number is not None and (
        old.filter(uidvalidity__lt=number).exists() or old.filter(uidvalidity__gt=number).exists()
    )
    return Remembered(
        row.uidvalidity,
        row.next_uid,
        row.first_uid,
        row.history_since,
        row.history_done,
        row.exists,
        rematching,
        row.highestmodseq or 0,
    )


def remember(folder: Folder, state: Remembered) -> None:
    """Write a folder's state; a new UIDVALIDITY frees its sightings' messages to be met again."""
    with at_mailbox(folder.mailbox_id):
        before = Folder.objects.values_list("uidvalidity", flat=True).get(pk=folder.pk)
        Folder.objects.filter(pk=folder.pk).update(
            uidvalidity=state.uidvalidity,
            next_uid=state.next_uid,
            first_uid=state.first_uid,
            history_since=state.history_since,
            history_done=state.history_done,
            exists=state.exists,
            highestmodseq=state.modseq or None,
        )
        if before == state.uidvalidity:
            return
        # The freed rows stay until every letter was met again: they say that it is still to be done, and
        # in the end which letters are not there any more.
        was = Concat(Value("was "), Cast("message_id", CharField()))
        old = Sighting.objects.filter(folder=folder).exclude(uidvalidity=state.uidvalidity or 0)
        old.filter(message__isnull=False).update(reason=was, message=None)


def remember_anew(folder: Folder, state: Remembered) -> None:
    """Write the state of a folder that was numbered anew without a new UIDVALIDITY: its sightings are freed."""
    with at_mailbox(folder.mailbox_id):
        # No server gives a UIDVALIDITY below 1, and no two rows have the same key.
        rows = Sighting.objects.filter(folder=folder, uidvalidity=state.uidvalidity or 0)
        rows.update(uidvalidity=-F("pk"))
        Folder.objects.filter(pk=folder.pk).update(uidvalidity=None)
        remember(folder, state)


def finish_rematch(folder: Folder, uidvalidity: int) -> None:
    """Drop what the old UIDVALIDITY left; letters that were not met again are no longer in the mailbox."""
    with at_mailbox(folder.mailbox_id):
        old = Sighting.objects.filter(folder=folder).exclude(uidvalidity=uidvalidity)
        words = old.filter(reason__startswith="was ").values_list("reason", flat=True)
        before = [int(word[4:]) for word in words if word[4:].isdigit()]
        old.delete()
        mark_messages(before)


def rewind(folder: Folder, uidvalidity: int, next_uid: int) -> None:
    """Forget sightings at UIDs that the server says it has not yet given out."""
    with at_mailbox(folder.mailbox_id):
        impossible = Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity, uid__gte=next_uid)
        before = list(impossible.filter(message__isnull=False).values_list("message_id", flat=True))
        impossible.delete()
        mark_messages([pk for pk in before if pk is not None])


def arrivals(folder: Folder, uidvalidity: int, uids: Collection[int]) -> dict[int, datetime | None]:
    """Return which of some UIDs are in the ledger, with the arrival of their letters.

    None where that proves nothing: what was not kept, and a message with several sightings has one arrival only.
    """
    with at_mailbox(folder.mailbox_id):
        rows = Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity, uid__in=uids)
        facts = list(rows.values_list("uid", "message_id", "message__received_at"))
        found = Sighting.objects.filter(message__in=[pk for _, pk, _ in facts if pk is not None])
        often = Counter(found.values_list("message_id", flat=True))
    return {uid: arrived if often[pk] == 1 else None for uid, pk, arrived in facts}


def window_start(folder: Folder) -> datetime:
    """Return when the first letter of this folder's kind arrived that is here; else when the mailbox was made."""
    with at_mailbox(folder.mailbox_id):
        rows = Message.objects.filter(mailbox=folder.mailbox_id, outgoing=folder.role == Folder.Role.SENT)
        first: datetime | None = rows.aggregate(first=Min("received_at"))["first"]
        if first is None:
            first = Mailbox.objects.values_list("created_at", flat=True).get(pk=folder.mailbox_id)
    return first


# Processing is off and nobody is at the mailbox: the moment it is switched on again will be a new beginning.
# That a password was refused must not be forgotten: it is not to be tried again.
_OFF = """
SELECT b.id FROM mailboxes_mailbox b LEFT JOIN mailboxes_mailboxhealth h ON h.mailbox_id = b.id
 WHERE NOT b.tracking AND b.imap_ready
   AND NOT EXISTS (SELECT FROM mailboxes_lease l WHERE l.mailbox_id = b.id AND l.expires_at > clock_timestamp())
   AND (EXISTS (SELECT FROM mailboxes_folder f WHERE f.mailbox_id = b.id AND f.uidvalidity IS NOT NULL)
        OR h.state IS NULL OR NOT (h.state = 'paused' OR (h.state = 'password_rejected'
                                                          AND h.settings_version = b.settings_version)))"""


def forget_starts() -> None:
    """Forget where reading began in mailboxes whose processing was switched off, and say that they rest (row 3)."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_OFF)
            off = [number for (number,) in cursor.fetchall()]
        for number in off:
            with at_mailbox(number):
                Folder.objects.filter(mailbox=number, uidvalidity__isnull=False).update(
                    uidvalidity=None, highestmodseq=None, history_since=None, history_done=True
                )
        health = MailboxHealth.objects.filter(mailbox__in=off)
        refused = health.filter(
            state=MailboxHealth.State.PASSWORD_REJECTED, settings_version=F("mailbox__settings_version")
        )
        paused = health.filter(state=MailboxHealth.State.PAUSED)
        settled = {*refused.values_list("pk", flat=True), *paused.values_list("pk", flat=True)}
        for number in off:
            if number not in settled:
                note_health(
                    number, state=MailboxHealth.State.PAUSED, code="", message="", advice="", server_text=""
                )
