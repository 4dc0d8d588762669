"""Letters handed to intake, and the ledger of what became of every UID."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from django.db import connection
from django.db.models import Exists, OuterRef

from postern.mail.access import at_mailbox
from postern.mail.flags import flag_letters
from postern.mail.intake import Arrival, Prepared, prepare_all, take_in
from postern.mail.models import Message, Sighting
from postern.mail.preparers import MANY, Preparers
from postern.mail.preparing import prepare as prepare_one
from postern.mail.recognising import Here, same_bytes, same_content
from postern.mailboxes.models import DenyEntry, Folder
from postern.people.matching import match
from postern.sync.plan import Listed

FEW = 2000  # UIDs named in one statement
PREPARERS = Preparers()
"""Shared by all mailboxes of this process, so that no number of first syncs fills the machine."""


@dataclass(frozen=True)
class Ledger:
    """The UIDs of a folder that are explained: present, gone again, and what became of each."""

    here: frozenset[int]
    gone: frozenset[int]
    outcomes: dict[int, tuple[str, str]] = field(default_factory=dict, repr=False)


def ledger(folder: Folder, uidvalidity: int) -> Ledger:
    """Return what is known of every UID met in a folder: outcome and reason."""
    with at_mailbox(folder.mailbox_id):
        rows = Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity)
        facts = list(rows.values_list("uid", "outcome", "reason", "gone_at"))
    return Ledger(
        frozenset(uid for uid, _, _, gone in facts if gone is None),
        frozenset(uid for uid, _, _, gone in facts if gone is not None),
        {uid: (outcome, reason) for uid, outcome, reason, _ in facts},
    )


def met(folder: Folder, uidvalidity: int, first: int) -> set[int]:
    """Return the UIDs from `first` on that have a line in the ledger."""
    with at_mailbox(folder.mailbox_id):
        rows = Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity, uid__gte=first)
        return set(rows.values_list("uid", flat=True))


def prepare(folder: Folder, arrivals: Sequence[Arrival]) -> list[Prepared]:
    """Read and clean letters, many in a process of its own; no transaction is open meanwhile."""
    return PREPARERS.prepare_many(arrivals, outgoing=folder.role == Folder.Role.SENT)


def strangers(folder: Folder, headers: Mapping[int, bytes]) -> set[int]:
    """Return those UIDs whose header (bytes by UID) names no address of a customer or lead where it counts.

    A header that cannot be read is nobody's: its letter comes in whole, and into quarantine.
    """
    outgoing = folder.role == Folder.Role.SENT
    epoch = datetime.fromtimestamp(0, UTC)
    letters = [
        prepare_one(Arrival(uid, frozenset(), epoch, raw), outgoing=outgoing) for uid, raw in headers.items()
    ]
    deciding = {one.uid: one.deciding(outgoing) for one in letters if not one.broken}
    with at_mailbox(folder.mailbox_id):
        known = match(address for some in deciding.values() for address in some)
    return {uid for uid, some in deciding.items() if not any(address in known for address in some)}


def lying_elsewhere(folder: Folder, listed: Sequence[Listed]) -> list[tuple[int, Here, str]]:
    """Return those letters whose content is here already, by the server's own name of it: UID, message, flags.

    Where a deny list decides whether a letter in INBOX is kept at all, each is read and judged.
    """
    with at_mailbox(folder.mailbox_id):
        if folder.role != Folder.Role.SENT and DenyEntry.objects.filter(mailbox=folder.mailbox_id).exists():
            return []
        told = {(one.emailid, one.internaldate, one.size) for one in listed if one.emailid}
        here = same_content(folder.mailbox_id, told)
    return [(one.uid, here[one.emailid], flag_letters(one.flags)) for one in listed if one.emailid in here]


def keep(
    folder: Folder,
    uidvalidity: int,
    arrivals: Sequence[Arrival] | Sequence[Prepared],
    *,
    skipped: Sequence[tuple[int, str]] = (),
    lying: Sequence[tuple[int, Here, str]] = (),
    next_uid: int | None = None,
    only_known: str = "",
) -> int:
    """Hand a batch to intake; returns how many letters are new here.

    `only_known` is the reason with which letters that are not here already are skipped instead of kept.
    """
    letters = prepare_all(folder, arrivals)
    if only_known and letters:
        here = _known(folder.mailbox_id, [one.sha256 for one in letters])
        skipped = [*skipped, *((one.uid, only_known) for one in letters if one.sha256 not in here)]
        letters = [one for one in letters if one.sha256 in here]
    new = take_in(
        folder=folder,
        uidvalidity=uidvalidity,
        arrivals=letters,
        skipped=skipped,
        lying=lying,
        next_uid=next_uid,
    )
    if len(new) >= MANY:
        _take_stock()
    return len(new)


@cache
def _take_stock() -> None:
    """Once a process: many letters at once may be the first ever, of which the database has no idea yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.take_stock()")


def _known(mailbox_id: int, hashes: Collection[bytes]) -> Collection[bytes]:
    with at_mailbox(mailbox_id):
        return same_bytes(mailbox_id, hashes).keys()


def mark_messages(ids: Sequence[int]) -> None:
    """A message is gone when it lies nowhere any more, and back when it lies somewhere."""
    live = Exists(Sighting.objects.filter(message=OuterRef("pk"), gone_at=None))
    for start in range(0, len(ids), FEW):
        rows = Message.objects.filter(pk__in=ids[start : start + FEW])
        rows.filter(~live, gone_at=None).update(gone_at=datetime.now(UTC))
        rows.filter(live, gone_at__isnull=False).update(gone_at=None)
