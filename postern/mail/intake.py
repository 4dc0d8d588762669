"""A batch of letters from the server becomes messages, in one transaction that also moves the cursor.

Denied? Here already? Who wrote it? Which conversation? A crash at any point means a harmless refetch:
a UID that is in the ledger is passed over, and the same bytes are one message.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import DatabaseError, transaction

from postern.mail.access import at_mailbox
from postern.mail.conversations import ids_of, place
from postern.mail.events import tell
from postern.mail.filing import Filer
from postern.mail.models import (
    Attachment,
    Bcc,
    Body,
    Errand,
    Message,
    MessageRead,
    Party,
    Raw,
    Sighting,
)
from postern.mailboxes.denylist import DenyList
from postern.mailboxes.models import DenyEntry, Folder, Mailbox
from postern.mime.addresses import Mailaddr, normalise
from postern.mime.read import Letter, read
from postern.mime.sanitize import SANITIZER_VERSION, Clean, preview, sanitize, text_from_html

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """One letter as the server gave it."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    raw: bytes


@dataclass(frozen=True)
class _Prepared:
    """A letter read and cleaned, before the transaction opens."""

    arrival: Arrival
    sha256: bytes
    letter: Letter
    clean: Clean
    text: str


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
    """
    prepared = [_prepare(a) for a in arrivals]
    try:
        return _store(folder, uidvalidity, prepared, skipped, next_uid, _take_one)
    except (DatabaseError, ValueError) as error:
        log.warning("batch of folder %s is stored one by one: %s", folder.pk, type(error).__name__)
        return _store(folder, uidvalidity, prepared, skipped, next_uid, _take_or_quarantine)


def record_sent(
    *, mailbox: Mailbox, raw: bytes, sent_at: datetime, bcc: list[list[str]], customer_id: int | None = None
) -> Message:
    """Make the message of a letter that our SMTP server took. The caller is at the mailbox.

    Its copy that comes back through the sent folder is recognised by Message-ID and only adds a sighting.
    """
    prepared = _prepare(Arrival(0, frozenset({"\\Seen"}), sent_at, raw))
    known = Message.objects.filter(mailbox=mailbox, sha256=prepared.sha256).first()
    message = known or _create(mailbox, prepared, outgoing=True)
    if bcc:
        Bcc.objects.get_or_create(message=message, mailbox=mailbox, defaults={"addresses": bcc})
    if customer_id is not None:
        Party.objects.get_or_create(
            message=message, customer_id=customer_id, defaults={"mailbox": mailbox, "by_hand": True}
        )
        Message.objects.filter(pk=message.pk).update(known=True, owner_party=True)
    tell("message", mailbox=mailbox.pk, id=message.pk)
    return message


def _prepare(arrival: Arrival) -> _Prepared:
    letter = read(arrival.raw)
    clean = sanitize(letter.html)
    text = letter.text or text_from_html(clean.html)
    return _Prepared(arrival, hashlib.sha256(arrival.raw).digest(), letter, clean, text)


_TakeOne = Callable[["_Batch", _Prepared], Message | None]


@dataclass
class _Batch:
    """What every letter of a batch needs to know."""

    folder: Folder
    mailbox: Mailbox
    uidvalidity: int
    deny: DenyList
    outgoing: bool


def _store(
    folder: Folder,
    uidvalidity: int,
    prepared: Sequence[_Prepared],
    skipped: Sequence[tuple[int, str]],
    next_uid: int | None,
    take: _TakeOne,
) -> list[Message]:
    with at_mailbox(folder.mailbox_id):
        folder = Folder.objects.select_for_update().select_related("mailbox").get(pk=folder.pk)
        batch = _Batch(
            folder, folder.mailbox, uidvalidity, _deny_list(folder), folder.role == Folder.Role.SENT
        )
        here = _in_ledger(batch, [p.arrival.uid for p in prepared] + [uid for uid, _ in skipped])
        fresh = [take(batch, p) for p in prepared if p.arrival.uid not in here]
        for uid, reason in skipped:
            if uid not in here:
                _sight(batch, uid, outcome=Sighting.Outcome.SKIPPED, reason=reason)
        if next_uid is not None and next_uid > folder.next_uid:
            Folder.objects.filter(pk=folder.pk).update(next_uid=next_uid)
        messages = [m for m in fresh if m is not None]
        for message in messages:
            tell("message", mailbox=folder.mailbox_id, id=message.pk)
        return messages


def _deny_list(folder: Folder) -> DenyList:
    """Denied senders of an incoming folder; sent mail is always read."""
    if folder.role == Folder.Role.SENT:
        return DenyList(())
    return DenyList(DenyEntry.objects.filter(mailbox=folder.mailbox_id).values_list("pattern", flat=True))


def _in_ledger(batch: _Batch, uids: list[int]) -> set[int]:
    rows = Sighting.objects.filter(folder=batch.folder, uidvalidity=batch.uidvalidity, uid__in=uids)
    return set(rows.values_list("uid", flat=True))


def _sight(
    batch: _Batch, uid: int, message: Message | None = None, outcome: str = "imported", reason: str = ""
) -> None:
    Sighting.objects.create(
        mailbox=batch.mailbox,
        folder=batch.folder,
        uidvalidity=batch.uidvalidity,
        uid=uid,
        message=message,
        outcome=outcome,
        reason=reason[:400],
    )


def _take_or_quarantine(batch: _Batch, prepared: _Prepared) -> Message | None:
    """One letter behind a savepoint: what cannot be stored whole is kept raw and listed with the reason."""
    try:
        with transaction.atomic():
            return _take_one(batch, prepared)
    except (DatabaseError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"[:400]
        message = _quarantine(batch, prepared, reason)
        _sight(batch, prepared.arrival.uid, message, Sighting.Outcome.QUARANTINED, reason)
        return message


def _take_one(batch: _Batch, prepared: _Prepared) -> Message | None:
    denied = _denied(batch, prepared.letter)
    if denied:
        _sight(batch, prepared.arrival.uid, outcome=Sighting.Outcome.DENIED, reason=denied)
        return None
    known = _known(batch, prepared)
    if known is not None:
        if known.gone_at is not None:
            Message.objects.filter(pk=known.pk).update(gone_at=None)
        _sight(batch, prepared.arrival.uid, known)
        return None
    message = _create(batch.mailbox, prepared, outgoing=batch.outgoing)
    _sight(batch, prepared.arrival.uid, message)
    if batch.mailbox.mark_as_read and not batch.outgoing and "\\Seen" not in prepared.arrival.flags:
        Errand.objects.create(
            mailbox=batch.mailbox, kind=Errand.Kind.SEEN, message=message, not_before=datetime.now(UTC)
        )
    return message


def _denied(batch: _Batch, letter: Letter) -> str:
    senders = [a.address for a in letter.from_]
    if letter.sender is not None:
        senders.append(letter.sender.address)
    return batch.deny.matches(*senders)


def _known(batch: _Batch, prepared: _Prepared) -> Message | None:
    """The same bytes, or our own delivery coming back through the sent folder (servers may rewrite its bytes)."""
    rows = Message.objects.filter(mailbox=batch.mailbox)
    same = rows.filter(sha256=prepared.sha256).first()
    if same is not None or not batch.outgoing or not prepared.letter.message_id:
        return same
    ours = rows.filter(outgoing=True, message_id=prepared.letter.message_id[:998], sightings=None)
    recipients = _addresses(prepared.letter.to) + _addresses(prepared.letter.cc)
    return next((m for m in ours if m.to + m.cc == recipients), None)


def _addresses(many: Sequence[Mailaddr]) -> list[list[str]]:
    """Name and normalised address of each; one that is no address keeps its text for the eye."""
    return [[a.name, normalise(a.address) or a.address] for a in many]


def _create(mailbox: Mailbox, prepared: _Prepared, *, outgoing: bool) -> Message:
    letter, arrival = prepared.letter, prepared.arrival
    message = _fields(mailbox, prepared, outgoing)
    filing = Filer(mailbox, [message]).filing(message)
    message.known, message.owner_party = bool(filing.customers), filing.owner_party
    message.conversation_id = place(mailbox.pk, ids_of(letter))
    message.save(force_insert=True)
    _save_content(mailbox, message, prepared)
    Party.objects.bulk_create(
        [Party(message=message, mailbox=mailbox, customer_id=c) for c in filing.customers]
    )
    if outgoing or "\\Seen" in arrival.flags:
        MessageRead.objects.create(message=message, staff_id=mailbox.owner_id, mailbox=mailbox)
    return message


def _fields(mailbox: Mailbox, prepared: _Prepared, outgoing: bool) -> Message:
    letter = prepared.letter
    author = letter.from_[0] if letter.from_ else letter.sender or Mailaddr("", "")
    return Message(
        mailbox=mailbox,
        sha256=prepared.sha256,
        outgoing=outgoing,
        message_id=letter.message_id[:998],
        subject=letter.subject[:2000],
        from_name=author.name[:500],
        from_address=(normalise(author.address) or author.address)[:320],
        to=_addresses(letter.to),
        cc=_addresses(letter.cc),
        reply_to=_addresses(letter.reply_to),
        date=letter.date,
        received_at=prepared.arrival.internaldate,
        size=len(prepared.arrival.raw),
        preview=preview(prepared.text)[:300],
        has_attachments=any(not p.inline for p in letter.parts),
        automatic=letter.automatic[:60],
        remote_images=prepared.clean.remote_images,
        defects=list(letter.defects)[:50],
    )


def _save_content(mailbox: Mailbox, message: Message, prepared: _Prepared) -> None:
    Raw.packed(prepared.arrival.raw, message=message, mailbox=mailbox).save(force_insert=True)
    Body(
        message=message,
        mailbox=mailbox,
        text=prepared.text,
        html=prepared.clean.html,
        sanitizer_version=SANITIZER_VERSION,
    ).save(force_insert=True)
    Attachment.objects.bulk_create(
        [
            Attachment(
                message=message,
                mailbox=mailbox,
                index=p.index,
                name=p.filename,
                content_type=p.content_type[:200],
                size=p.size,
                content_id=p.content_id[:500],
                inline=p.inline,
            )
            for p in prepared.letter.parts
        ]
    )


def _quarantine(batch: _Batch, prepared: _Prepared, reason: str) -> Message:
    """Keep the raw letter under a message that says only that it could not be read."""
    message = Message.objects.create(
        mailbox=batch.mailbox,
        sha256=prepared.sha256,
        outgoing=batch.outgoing,
        conversation_id=place(batch.mailbox.pk, ()),
        subject="This message could not be read",
        received_at=prepared.arrival.internaldate,
        size=len(prepared.arrival.raw),
        quarantined=reason,
    )
    Raw.packed(prepared.arrival.raw, message=message, mailbox=batch.mailbox).save(force_insert=True)
    Body(message=message, mailbox=batch.mailbox, sanitizer_version=SANITIZER_VERSION).save(force_insert=True)
    return message
