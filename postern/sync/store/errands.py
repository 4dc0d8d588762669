"""The errands of a mailbox: which are due, what they need, what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mail.completing import complete
from postern.mail.models import Errand, Sighting
from postern.mail.preparing import Arrival
from postern.mailboxes.models import Folder
from postern.sync.store.letters import mark_messages


@dataclass(frozen=True)
class Spot:
    """Where a letter was seen; whether the UIDVALIDITY still holds, only the server can tell."""

    folder_id: int
    folder: str
    incoming: bool
    uidvalidity: int
    uid: int


@dataclass(frozen=True)
class Task:
    """An errand with what it takes to do it. `attempts`: how often it was begun and not brought to its end."""

    id: int
    kind: str
    attempts: int
    message_id: str
    received_at: datetime
    spots: tuple[Spot, ...]


MAX_ATTEMPTS = 8


def errands_among(mailboxes: Sequence[int]) -> list[int]:
    """Return those of the mailboxes for which something is to be done on the server."""
    found = []
    for number in mailboxes:
        with at_mailbox(number):
            if _due(number).exists():
                found.append(number)
    return found


def _due(mailbox_id: int) -> QuerySet[Errand]:
    return Errand.objects.filter(mailbox=mailbox_id, failed_at=None, not_before__lte=Now())


def seconds_to_errand(mailbox_id: int) -> float | None:
    """Return in how many seconds the next errand falls due (0 when one is), None when none waits."""
    with at_mailbox(mailbox_id):
        waiting = Errand.objects.filter(mailbox=mailbox_id, failed_at=None)
        first: datetime | None = waiting.aggregate(first=Min("not_before"))["first"]
    return None if first is None else max(0.0, (first - clock.now()).total_seconds())


def due_errands(mailbox_id: int, limit: int) -> list[Task]:
    """Return errands whose time has come, oldest first; appends come one at a time because of their size."""
    with at_mailbox(mailbox_id):
        rows = list(_due(mailbox_id).select_related("message").order_by("pk")[:limit])
        wanted = [row.message_id for row in rows]
        spots: dict[int, list[Spot]] = {}
        sightings = Sighting.objects.filter(message__in=wanted, gone_at=None).select_related("folder")
        for s in sightings:
            if s.message_id is not None:
                incoming = s.folder.role == Folder.Role.INBOX
                spot = Spot(s.folder_id, s.folder.name, incoming, s.uidvalidity, s.uid)
                spots.setdefault(s.message_id, []).append(spot)
        return [_task(row, tuple(spots.get(row.message_id, ()))) for row in rows]


def _task(row: Errand, spots: tuple[Spot, ...]) -> Task:
    message = row.message
    return Task(row.pk, row.kind, row.attempts, message.message_id, message.received_at, spots)


def letter_of(mailbox_id: int, errand_id: int) -> bytes | None:
    """Return the raw letter an errand is about; None when the errand is no longer wanted."""
    with at_mailbox(mailbox_id):
        row = Errand.objects.filter(pk=errand_id).select_related("message__raw").first()
        return row.message.raw.letter() if row else None


def whole_letter(mailbox_id: int, errand_id: int, arrival: Arrival) -> None:
    """Put a whole letter in the place of its header; nothing when that is no longer wanted."""
    with at_mailbox(mailbox_id):
        row = Errand.objects.filter(pk=errand_id).select_related("message__mailbox").first()
        if row is not None:
            complete(row.message, arrival)


def errand_done(mailbox_id: int, ids: Sequence[int], gone: Sequence[Spot] = ()) -> None:
    """Delete errands that were carried out; `gone` are places that letters were moved away from."""
    with at_mailbox(mailbox_id):
        Errand.objects.filter(pk__in=ids).delete()
        for spot in gone:
            rows = Sighting.objects.filter(folder=spot.folder_id, uidvalidity=spot.uidvalidity, uid=spot.uid)
            rows.update(gone_at=datetime.now(UTC))
            mark_messages([pk for pk in rows.values_list("message_id", flat=True) if pk is not None])


def errand_waits(mailbox_id: int, ids: Sequence[int], reason: str, until: datetime) -> None:
    """Leave errands until then, and say why; that is no attempt."""
    with at_mailbox(mailbox_id):
        Errand.objects.filter(pk__in=ids).update(error=reason[:2000], not_before=until)


def errand_begun(mailbox_id: int, errand_id: int) -> bool:
    """Note that the first attempt changes something on the server now; False when the errand is no longer wanted.

    A process that dies in the middle is known by it: whoever goes on looks for what was done (`Task.attempts`).
    """
    with at_mailbox(mailbox_id):
        return Errand.objects.filter(pk=errand_id).update(attempts=1) > 0


def errand_failed(mailbox_id: int, tasks: Sequence[Task], reason: str, *, final: bool) -> None:
    """Try again later with growing delay, or give up and keep the reason for the owner to see."""
    before = {task.id: task.attempts for task in tasks}
    with at_mailbox(mailbox_id):
        for row in Errand.objects.filter(pk__in=before):
            row.attempts = before[row.pk] + 1
            row.error = reason[:2000]
            row.not_before = clock.now() + timedelta(seconds=min(3600, 15 * 2**row.attempts))
            if final or row.attempts >= MAX_ATTEMPTS:
                row.failed_at = datetime.now(UTC)
            row.save()
