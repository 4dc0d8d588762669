"""Letters handed to intake, and the ledger of what became of every UID."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db.models import Exists, OuterRef

from postern.mail.access import at_mailbox
from postern.mail.intake import Arrival, take_in
from postern.mail.models import Message, Sighting
from postern.mailboxes.models import Folder

FEW = 2000  # UIDs named in one statement


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


def keep(
    folder: Folder,
    uidvalidity: int,
    arrivals: Sequence[Arrival],
    *,
    skipped: Sequence[tuple[int, str]] = (),
    next_uid: int | None = None,
    only_known: str = "",
) -> int:
    """Hand a batch to intake; returns how many letters are new here.

    `only_known` is the reason with which letters that are not here already are skipped instead of kept.
    """
    if only_known and arrivals:
        here = _known(folder.mailbox_id, [hashlib.sha256(a.raw).digest() for a in arrivals])
        strangers = [a.uid for a in arrivals if hashlib.sha256(a.raw).digest() not in here]
        skipped = [*skipped, *((uid, only_known) for uid in strangers)]
        arrivals = [a for a in arrivals if a.uid not in strangers]
    return len(
        take_in(folder=folder, uidvalidity=uidvalidity, arrivals=arrivals, skipped=skipped, next_uid=next_uid)
    )


def _known(mailbox_id: int, hashes: Collection[bytes]) -> set[bytes]:
    with at_mailbox(mailbox_id):
        rows = Message.objects.filter(mailbox=mailbox_id, sha256__in=list(hashes))
        return {bytes(found) for found in rows.values_list("sha256", flat=True)}


def mark_messages(ids: Sequence[int]) -> None:
    """A message is gone when it lies nowhere any more, and back when it lies somewhere."""
    live = Exists(Sighting.objects.filter(message=OuterRef("pk"), gone_at=None))
    for start in range(0, len(ids), FEW):
        rows = Message.objects.filter(pk__in=ids[start : start + FEW])
        rows.filter(~live, gone_at=None).update(gone_at=datetime.now(UTC))
        rows.filter(live, gone_at__isnull=False).update(gone_at=None)
