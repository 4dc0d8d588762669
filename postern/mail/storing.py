"""Prepared letters become rows: a whole batch with few statements."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from postern.mail.conversations import ids_of, place, place_all
from postern.mail.filing import Filer
from postern.mail.models import Attachment, Bcc, Body, Message, MessageRead, Party, Raw
from postern.mailboxes.models import Mailbox
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

    @property
    def seen(self) -> bool:
        """True when it was read on the server already."""
        return "\\seen" in {flag.lower() for flag in self.flags}


@dataclass(frozen=True)
class Prepared:
    """A letter read and cleaned, before a transaction opens. `broken`: why it could not be, else ''."""

    arrival: Arrival
    sha256: bytes
    letter: Letter
    clean: Clean
    text: str
    broken: str = ""


def prepare(arrival: Arrival) -> Prepared:
    """Read and clean a letter. Never raises: what fails is told in `broken`, and the raw letter is kept."""
    sha256 = hashlib.sha256(arrival.raw).digest()
    try:
        letter = read(arrival.raw)
        clean = sanitize(letter.html)
        return Prepared(arrival, sha256, letter, clean, letter.text or text_from_html(clean.html))
    except Exception as error:
        log.exception("a letter of %s bytes cannot be read", len(arrival.raw))
        return Prepared(arrival, sha256, Letter(), Clean("", 0, True), "", broken=reason_of(error))


def reason_of(error: Exception) -> str:
    """Return an error as the ledger names it; never the letter's own content."""
    return f"{type(error).__name__}: {error}"[:400]


def create_all(mailbox: Mailbox, many: Sequence[Prepared], *, outgoing: bool) -> list[Message]:
    """Save new messages with everything that belongs to them, in the order given."""
    if not many:
        return []
    messages = [_fields(mailbox, one, outgoing) for one in many]
    filer = Filer(mailbox, messages)
    filings = [filer.filing(message) for message in messages]
    places = place_all(mailbox.pk, [ids_of(one.letter) for one in many])
    for message, filing, conversation in zip(messages, filings, places, strict=True):
        message.known, message.owner_party = bool(filing.customers), filing.owner_party
        message.conversation_id = conversation
    Message.objects.bulk_create(messages)
    _save_content(mailbox, messages, many)
    Party.objects.bulk_create(
        Party(message=message, mailbox=mailbox, customer_id=customer)
        for message, filing in zip(messages, filings, strict=True)
        for customer in filing.customers
    )
    Bcc.objects.bulk_create(
        Bcc(message=message, mailbox=mailbox, addresses=listed(one.letter.bcc))
        for message, one in zip(messages, many, strict=True)
        if outgoing and one.letter.bcc
    )
    MessageRead.objects.bulk_create(
        MessageRead(message=message, staff_id=mailbox.owner_id, mailbox=mailbox)
        for message, one in zip(messages, many, strict=True)
        if outgoing or one.arrival.seen
    )
    return messages


def quarantine(mailbox: Mailbox, one: Prepared, reason: str, *, outgoing: bool) -> Message:
    """Keep the raw letter under a message that says only that it could not be read."""
    message = Message.objects.create(
        mailbox=mailbox,
        sha256=one.sha256,
        outgoing=outgoing,
        conversation_id=place(mailbox.pk, ()),
        subject="This message could not be read",
        received_at=one.arrival.internaldate,
        size=len(one.arrival.raw),
        quarantined=reason,
    )
    Raw.packed(one.arrival.raw, message=message, mailbox=mailbox).save(force_insert=True)
    Body(message=message, mailbox=mailbox, sanitizer_version=SANITIZER_VERSION).save(force_insert=True)
    return message


def listed(many: Sequence[Mailaddr]) -> list[list[str]]:
    """Name and normalised address of each; one that is no address keeps its text for the eye."""
    return [[a.name, normalise(a.address) or a.address] for a in many]


def senders_of(letter: Letter) -> list[str]:
    """The addresses of From and Sender, as written: what a deny list looks at (row 5)."""
    senders = [a.address for a in letter.from_]
    return [*senders, letter.sender.address] if letter.sender else senders


def _senders(letter: Letter) -> list[str]:
    found = (normalise(address) for address in senders_of(letter))
    return list(dict.fromkeys(address for address in found if address))[:50]


def _fields(mailbox: Mailbox, one: Prepared, outgoing: bool) -> Message:
    letter = one.letter
    author = letter.from_[0] if letter.from_ else letter.sender or Mailaddr("", "")
    from_address = (normalise(author.address) or author.address)[:320]
    return Message(
        mailbox=mailbox,
        sha256=one.sha256,
        outgoing=outgoing,
        message_id=letter.message_id[:998],
        subject=letter.subject[:2000],
        from_name=author.name[:500],
        from_address=from_address,
        also_from=[address for address in _senders(letter) if address != from_address],
        to=listed(letter.to),
        cc=listed(letter.cc),
        reply_to=listed(letter.reply_to),
        date=letter.date,
        received_at=one.arrival.internaldate,
        size=len(one.arrival.raw),
        preview=preview(one.text)[:300],
        has_attachments=any(not p.inline for p in letter.parts),
        automatic=letter.automatic[:60],
        remote_images=one.clean.remote_images,
        defects=list(letter.defects)[:50],
    )


def _save_content(mailbox: Mailbox, messages: Sequence[Message], many: Sequence[Prepared]) -> None:
    pairs = list(zip(messages, many, strict=True))
    Raw.objects.bulk_create(Raw.packed(one.arrival.raw, message=m, mailbox=mailbox) for m, one in pairs)
    Body.objects.bulk_create(
        Body(
            message=m,
            mailbox=mailbox,
            text=one.text,
            html=one.clean.html,
            sanitizer_version=SANITIZER_VERSION,
        )
        for m, one in pairs
    )
    Attachment.objects.bulk_create(
        Attachment(
            message=m,
            mailbox=mailbox,
            index=p.index,
            name=p.filename,
            content_type=p.content_type[:200],
            size=p.size,
            content_id=p.content_id[:500],
            inline=p.inline,
        )
        for m, one in pairs
        for p in one.letter.parts
    )
