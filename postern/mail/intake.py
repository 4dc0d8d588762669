"""A batch of letters from the server becomes messages, in one transaction that also moves the cursor.

Denied? Here already? Who wrote it? Which conversation? A crash at any point means a harmless refetch:
a UID that is in the ledger is passed over, and the same bytes are one message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import OperationalError, transaction

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mail.bulk import ask, column, pour
from postern.mail.conversations import lock
from postern.mail.digest import is_digest
from postern.mail.events import tell, tell_all
from postern.mail.letterstore import LetterStoreDown
from postern.mail.models import Bcc, Errand, Message, Party, Sighting
from postern.mail.preparing import Arrival, Prepared, prepare, reason_of
from postern.mail.recognising import Here, Known, same_bytes
from postern.mail.storing import create_all, quarantine
from postern.mail.withholding import STRANGER
from postern.mailboxes.denylist import DenyList
from postern.mailboxes.models import DenyEntry, Folder, Mailbox

__all__ = ["Arrival", "Prepared", "prepare_all", "record_sent", "take_in"]

log = logging.getLogger(__name__)
Outcome = Sighting.Outcome
_MET = """
SELECT one FROM unnest(%s) one CROSS JOIN LATERAL (
  SELECT FROM mail_sighting WHERE folder_id = %s AND uidvalidity = %s AND uid = one OFFSET 0) s"""
OUR_DIGEST = "Postern’s own digest of the reader log, for the owner alone."


def take_in(
    *,
    folder: Folder,
    uidvalidity: int,
    arrivals: Sequence[Arrival] | Sequence[Prepared],
    skipped: Sequence[tuple[int, str]] = (),
    lying: Sequence[tuple[int, Here, str]] = (),
    next_uid: int | None = None,
) -> list[int]:
    """Store a batch and move the folder's cursor to `next_uid` (None leaves it: history).

    `arrivals` are letters, or the same letters as `prepare_all` made them ready before.
    `skipped` are (UID, reason) that the ledger records without a message; `lying` (UID, message, flags) are other
    places of messages that are here. Returns the ids of the new messages.
    A letter that cannot be stored whole is quarantined, raw bytes kept, and never stops the others.
    Raises OperationalError or LetterStoreDown when what stores is itself in trouble: then nothing happened.
    """
    prepared = prepare_all(folder, arrivals)
    try:
        return _store(folder, uidvalidity, prepared, skipped, lying, next_uid, _Batch.take)
    except (OperationalError, LetterStoreDown):
        raise
    except Exception as error:
        log.warning("batch of folder %s is stored one by one: %s", folder.pk, type(error).__name__)
        return _store(folder, uidvalidity, prepared, skipped, lying, next_uid, _Batch.take_each)


def prepare_all(folder: Folder, arrivals: Sequence[Arrival] | Sequence[Prepared]) -> list[Prepared]:
    """Read and clean letters, which takes no transaction and no database."""
    outgoing = folder.role == Folder.Role.SENT
    return [one if isinstance(one, Prepared) else prepare(one, outgoing=outgoing) for one in arrivals]


def record_sent(
    *, mailbox: Mailbox, raw: bytes, sent_at: datetime, bcc: list[list[str]], customer_id: int | None = None
) -> Message:
    """Make the message of a letter that our SMTP server took. The caller is at the mailbox.

    Its copy that comes back through the sent folder is recognised by Message-ID and only adds a sighting.
    `customer_id`: under whom it is filed by hand, besides where its addresses say.
    """
    one = prepare(Arrival(0, frozenset({"\\Seen"}), sent_at, raw), outgoing=True)
    lock(mailbox.pk)
    here = same_bytes(mailbox.pk, [one.sha256]).get(one.sha256)
    message = Message.objects.get(pk=here.pk if here else create_all(mailbox, [one], outgoing=True)[0])
    if bcc:
        Bcc.objects.get_or_create(message=message, mailbox=mailbox, defaults={"addresses": bcc})
    if customer_id is not None:
        Party.objects.get_or_create(
            message=message, customer_id=customer_id, defaults={"mailbox": mailbox, "by_hand": True}
        )
        Message.objects.filter(pk=message.pk).update(known=True, owner_party=True)
    tell("message", mailbox=mailbox.pk, id=message.pk)
    return message


def _store(
    folder: Folder,
    uidvalidity: int,
    prepared: Sequence[Prepared],
    skipped: Sequence[tuple[int, str]],
    lying: Sequence[tuple[int, Here, str]],
    next_uid: int | None,
    take: Callable[[_Batch, Sequence[Prepared]], None],
) -> list[int]:
    with at_mailbox(folder.mailbox_id):
        lock(folder.mailbox_id)
        folder = Folder.objects.select_for_update(of=("self",)).select_related("mailbox").get(pk=folder.pk)
        batch = _Batch(folder, uidvalidity)
        uids = [p.uid for p in prepared] + [uid for uid, _ in skipped] + [uid for uid, _, _ in lying]
        here = batch.in_ledger(uids)
        take(batch, [p for p in prepared if p.uid not in here])
        for uid, reason in skipped:
            if uid not in here:
                batch.sight(uid, outcome=Outcome.SKIPPED, reason=reason)
        for uid, message, flags in lying:
            if uid not in here:
                batch.lies_here_too(uid, message, flags)
        batch.finish()
        if next_uid is not None and next_uid > folder.next_uid:
            # Who left meanwhile is looked at afterwards: should that not be reached, no count may seem right by chance.
            Folder.objects.filter(pk=folder.pk).update(next_uid=next_uid, exists=None)
        return batch.messages


@dataclass
class _Batch:
    """The letters of one folder on their way in; the ledger's lines and errands are written at the end."""

    folder: Folder
    uidvalidity: int
    messages: list[int] = field(default_factory=list)
    sightings: list[tuple[int, int | None, str, str, str]] = field(default_factory=list)
    to_mark_seen: list[int] = field(default_factory=list)
    back: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mailbox = self.folder.mailbox
        self.outgoing = self.folder.role == Folder.Role.SENT
        patterns = DenyEntry.objects.filter(mailbox=self.mailbox).values_list("pattern", flat=True)
        self.deny = DenyList(() if self.outgoing else patterns)  # sent mail is always read

    def in_ledger(self, uids: list[int]) -> set[int]:
        """UIDs that are accounted for already."""
        return {uid for (uid,) in ask(_MET, column("bigint", uids), self.folder.pk, self.uidvalidity)}

    def take(self, many: Sequence[Prepared]) -> None:
        """Take letters in, all with the same few statements. A broken one raises ValueError."""
        wanted = [one for one in many if not self._is_denied(one) and not self._is_digest(one)]
        known = Known(self.mailbox.pk, wanted, self.outgoing)
        here = {one.sha256: message for one in wanted if (message := known.message_of(one))}
        new: dict[bytes, Prepared] = {}
        for one in wanted:
            if one.sha256 not in here:
                new.setdefault(one.sha256, one)
        for one in new.values():
            if one.broken:
                raise ValueError(one.broken)
        created = create_all(self.mailbox, list(new.values()), outgoing=self.outgoing)
        self.messages += created
        here |= {sha256: Here(pk, gone=False) for sha256, pk in zip(new, created, strict=True)}
        for one in wanted:
            self._met(one, here[one.sha256], fresh=new.get(one.sha256) is one)

    def take_each(self, many: Sequence[Prepared]) -> None:
        """Take letters in one by one; what cannot be stored whole is kept raw and listed with the reason."""
        for one in many:
            kept = len(self.messages), len(self.sightings), len(self.to_mark_seen)
            try:
                with transaction.atomic():
                    self.take([one])
            except (OperationalError, LetterStoreDown):
                raise
            except Exception as error:
                del self.messages[kept[0] :], self.sightings[kept[1] :], self.to_mark_seen[kept[2] :]
                reason = one.broken or reason_of(error)
                message = quarantine(self.mailbox, one, reason, outgoing=self.outgoing)
                self.messages.append(message)
                self.sight(one.uid, message, Outcome.QUARANTINED, reason, one.flags)

    def sight(
        self,
        uid: int,
        message: int | None = None,
        outcome: str = Outcome.IMPORTED,
        reason: str = "",
        flags: str = "",
    ) -> None:
        """Note a line of the ledger."""
        self.sightings.append((uid, message, str(outcome), reason[:400], flags))

    def lies_here_too(self, uid: int, message: Here, flags: str) -> None:
        """Note another place of a message that is here, whose bytes need not be read again."""
        self.sight(uid, message.pk, flags=flags)
        if message.gone:
            self.back.add(message.pk)

    def finish(self) -> None:
        """Write what was noted, and tell whoever listens."""
        box = self.mailbox.pk
        pour(
            Sighting,
            ("uid", "message_id", "outcome", "reason", "flags"),
            self.sightings,
            mailbox_id=box,
            folder_id=self.folder.pk,
            uidvalidity=self.uidvalidity,
        )
        if self.to_mark_seen:
            self._owe_seen()
        if self.back:
            Message.objects.filter(pk__in=self.back).update(gone_at=None)
        if self.messages:
            tell_all("message", mailbox=box, ids=self.messages)

    def _owe_seen(self) -> None:
        pour(
            Errand,
            ("message_id",),
            [(pk,) for pk in self.to_mark_seen],
            once=True,
            mailbox_id=self.mailbox.pk,
            kind=Errand.Kind.SEEN.value,
            not_before=clock.now(),
            attempts=0,
            error="",
        )

    def _is_denied(self, one: Prepared) -> bool:
        denied = self.deny.matches(*one.senders)
        if denied:
            self.sight(one.uid, outcome=Outcome.DENIED, reason=denied, flags=one.flags)
        return bool(denied)

    def _is_digest(self, one: Prepared) -> bool:
        """The owner's digest of the reader log stays on the server: here those would read it whom it is about."""
        ours = bool(one.automatic) and is_digest(self.mailbox.pk, one.ids)
        if ours:
            self.sight(one.uid, outcome=Outcome.SKIPPED, reason=OUR_DIGEST, flags=one.flags)
        return ours

    def _met(self, one: Prepared, message: Here, *, fresh: bool) -> None:
        self.sight(one.uid, message.pk, reason=one.withheld, flags=one.flags)
        if message.gone:
            self.back.add(message.pk)
        if one.withheld == STRANGER:
            return  # not stored, so not marked as read either
        if fresh and self.mailbox.mark_as_read and not self.outgoing and not one.seen:
            self.to_mark_seen.append(message.pk)
