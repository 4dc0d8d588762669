"""A batch of letters from the server becomes messages, in one transaction that also moves the cursor.

Denied? Here already? Who wrote it? Which conversation? A crash at any point means a harmless refetch:
a UID that is in the ledger is passed over, and the same bytes are one message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import OperationalError, transaction

from postern.mail.access import at_mailbox
from postern.mail.events import tell, tell_all
from postern.mail.models import Bcc, Errand, Message, Party, Sighting
from postern.mail.storing import (
    Arrival,
    Prepared,
    create_all,
    listed,
    prepare,
    quarantine,
    reason_of,
    senders_of,
)
from postern.mailboxes.denylist import DenyList
from postern.mailboxes.models import DenyEntry, Folder, Mailbox
from postern.mime.addresses import normalise

__all__ = ["Arrival", "record_sent", "take_in"]

log = logging.getLogger(__name__)
Outcome = Sighting.Outcome


def take_in(
    *,
    folder: Folder,
    uidvalidity: int,
    arrivals: Sequence[Arrival],
    skipped: Sequence[tuple[int, str]] = (),
    next_uid: int | None = None,
) -> list[Message]:
    """Store a batch and move the folder's cursor to `next_uid` (None leaves it: history).

    `skipped` are (UID, reason) that the ledger records without a message. Returns the new messages.
    A letter that cannot be stored whole is quarantined, raw bytes kept, and never stops the others.
    Raises OperationalError when the database itself is in trouble: then nothing happened.
    """
    prepared = [prepare(a) for a in arrivals]
    try:
        return _store(folder, uidvalidity, prepared, skipped, next_uid, _Batch.take)
    except OperationalError:
        raise
    except Exception as error:
        log.warning("batch of folder %s is stored one by one: %s", folder.pk, type(error).__name__)
        return _store(folder, uidvalidity, prepared, skipped, next_uid, _Batch.take_each)


def record_sent(
    *, mailbox: Mailbox, raw: bytes, sent_at: datetime, bcc: list[list[str]], customer_id: int | None = None
) -> Message:
    """Make the message of a letter that our SMTP server took. The caller is at the mailbox.

    Its copy that comes back through the sent folder is recognised by Message-ID and only adds a sighting.
    """
    one = prepare(Arrival(0, frozenset({"\\Seen"}), sent_at, raw))
    message = Message.objects.filter(mailbox=mailbox, sha256=one.sha256).first()
    if message is None:
        (message,) = create_all(mailbox, [one], outgoing=True)
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
    next_uid: int | None,
    take: Callable[[_Batch, Sequence[Prepared]], None],
) -> list[Message]:
    with at_mailbox(folder.mailbox_id):
        folder = Folder.objects.select_for_update(of=("self",)).select_related("mailbox").get(pk=folder.pk)
        batch = _Batch(folder, uidvalidity)
        here = batch.in_ledger([p.arrival.uid for p in prepared] + [uid for uid, _ in skipped])
        take(batch, [p for p in prepared if p.arrival.uid not in here])
        for uid, reason in skipped:
            if uid not in here:
                batch.sight(uid, outcome=Outcome.SKIPPED, reason=reason)
        batch.finish()
        if next_uid is not None and next_uid > folder.next_uid:
            Folder.objects.filter(pk=folder.pk).update(next_uid=next_uid)
        return batch.messages


@dataclass
class _Batch:
    """The letters of one folder on their way in; the ledger's lines and errands are written at the end."""

    folder: Folder
    uidvalidity: int
    messages: list[Message] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mailbox = self.folder.mailbox
        self.outgoing = self.folder.role == Folder.Role.SENT
        patterns = DenyEntry.objects.filter(mailbox=self.mailbox).values_list("pattern", flat=True)
        self.deny = DenyList(() if self.outgoing else patterns)  # sent mail is always read

    def in_ledger(self, uids: list[int]) -> set[int]:
        """UIDs that are accounted for already."""
        rows = Sighting.objects.filter(folder=self.folder, uidvalidity=self.uidvalidity, uid__in=uids)
        return set(rows.values_list("uid", flat=True))

    def take(self, many: Sequence[Prepared]) -> None:
        """Take letters in, all with the same few statements. A broken one raises ValueError."""
        wanted = [one for one in many if not self._is_denied(one)]
        known = _Known(self.mailbox, wanted, self.outgoing)
        new: dict[bytes, Prepared] = {}
        for one in wanted:
            if one.broken:
                raise ValueError(one.broken)
            if known.message_of(one) is None:
                new.setdefault(one.sha256, one)
        created = create_all(self.mailbox, list(new.values()), outgoing=self.outgoing)
        by_sha = dict(zip(new, created, strict=True))
        self.messages += created
        for one in wanted:
            self._met(one, by_sha.get(one.sha256) or known.message_of(one), fresh=new.get(one.sha256) is one)

    def take_each(self, many: Sequence[Prepared]) -> None:
        """Take letters in one by one; what cannot be stored whole is kept raw and listed with the reason."""
        for one in many:
            kept = len(self.messages), len(self.sightings), len(self.errands)
            try:
                with transaction.atomic():
                    self.take([one])
            except OperationalError:
                raise
            except Exception as error:
                del self.messages[kept[0] :], self.sightings[kept[1] :], self.errands[kept[2] :]
                reason = one.broken or reason_of(error)
                message = quarantine(self.mailbox, one, reason, outgoing=self.outgoing)
                self.messages.append(message)
                self.sight(one.arrival.uid, message, Outcome.QUARANTINED, reason)

    def sight(
        self, uid: int, message: Message | None = None, outcome: str = Outcome.IMPORTED, reason: str = ""
    ) -> None:
        """Note a line of the ledger."""
        row = Sighting(mailbox=self.mailbox, folder=self.folder, uidvalidity=self.uidvalidity, uid=uid)
        row.message, row.outcome, row.reason = message, outcome, reason[:400]
        self.sightings.append(row)

    def finish(self) -> None:
        """Write what was noted, and tell whoever listens."""
        Sighting.objects.bulk_create(self.sightings)
        Errand.objects.bulk_create(self.errands, ignore_conflicts=True)
        if self.messages:
            tell_all("message", mailbox=self.mailbox.pk, ids=[message.pk for message in self.messages])

    def _is_denied(self, one: Prepared) -> bool:
        denied = self.deny.matches(*senders_of(one.letter))
        if denied:
            self.sight(one.arrival.uid, outcome=Outcome.DENIED, reason=denied)
        return bool(denied)

    def _met(self, one: Prepared, message: Message | None, *, fresh: bool) -> None:
        assert message is not None
        self.sight(one.arrival.uid, message)
        if message.gone_at is not None:
            Message.objects.filter(pk=message.pk).update(gone_at=None)
        if fresh and self.mailbox.mark_as_read and not self.outgoing and not one.arrival.seen:
            now = datetime.now(UTC)
            self.errands.append(
                Errand(mailbox=self.mailbox, kind=Errand.Kind.SEEN, message=message, not_before=now)
            )


class _Known:
    """Messages that some letters of a batch are already.

    The same bytes; our own delivery coming back through the sent folder (servers may rewrite its bytes);
    or a letter that its server renders anew after its UIDVALIDITY changed, when no UID points at it any more.
    """

    def __init__(self, mailbox: Mailbox, many: Sequence[Prepared], outgoing: bool) -> None:
        rows = Message.objects.filter(mailbox=mailbox)
        self._same = {bytes(m.sha256): m for m in rows.filter(sha256__in=[one.sha256 for one in many])}
        ids = [one.letter.message_id[:998] for one in many if one.letter.message_id]
        self._unseen: dict[str, list[Message]] = {}
        for message in rows.filter(message_id__in=ids, outgoing=outgoing, sightings=None):
            self._unseen.setdefault(message.message_id, []).append(message)

    def message_of(self, one: Prepared) -> Message | None:
        """The message that this letter is, None for a new one."""
        if one.sha256 in self._same:
            return self._same[one.sha256]
        candidates = self._unseen.get(one.letter.message_id[:998], [])
        return next((m for m in candidates if _comes_back(m, one)), None)


def _comes_back(message: Message, one: Prepared) -> bool:
    if message.outgoing:
        return bool(message.to + message.cc == listed(one.letter.to) + listed(one.letter.cc))
    same_author = message.from_address in [normalise(a) or a for a in senders_of(one.letter)]
    return same_author and message.received_at == one.arrival.internaldate
