"""Prepared letters become rows: a whole batch with few statements, however many letters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from postern.mail import rawstore
from postern.mail.bulk import pour
from postern.mail.conversations import place_all
from postern.mail.filing import Filer
from postern.mail.models import Attachment, Bcc, Body, Message, MessageRead, MessageSearch, Party
from postern.mail.preparing import Prepared
from postern.mailboxes.models import Mailbox
from postern.mime.sanitize import SANITIZER_VERSION

_COLUMNS = (
    "conversation_id",
    "sha256",
    "known",
    "owner_party",
    "message_id",
    "subject",
    "from_name",
    "from_address",
    "also_from",
    "to",
    "cc",
    "reply_to",
    "date",
    "received_at",
    "size",
    "preview",
    "has_attachments",
    "automatic",
    "remote_images",
    "defects",
)
_values = attrgetter(*_COLUMNS)
_FILE = ("index", "name", "content_type", "size", "content_id", "inline")
_file = attrgetter(*_FILE)


def create_all(mailbox: Mailbox, many: Sequence[Prepared], *, outgoing: bool) -> list[Message]:
    """Save new messages with everything that belongs to them, in the order given. No two have the same bytes."""
    if not many:
        return []
    messages = [_fields(mailbox, one, outgoing) for one in many]
    filer = Filer(mailbox, messages)
    filings = [filer.filing(message) for message in messages]
    places = place_all(mailbox.pk, [one.ids for one in many])
    for message, filing, conversation in zip(messages, filings, places, strict=True):
        message.known, message.owner_party = bool(filing.customers), filing.owner_party
        message.conversation_id = conversation
    keys = _insert(messages, mailbox, outgoing)
    _save_content(mailbox, messages, many, keys)
    parties = [(m.pk, c) for m, f in zip(messages, filings, strict=True) for c in sorted(f.customers)]
    pour(Party, ("message_id", "customer_id"), parties, mailbox_id=mailbox.pk, by_hand=False)
    blind = [(m.pk, one.bcc) for m, one in zip(messages, many, strict=True) if outgoing and one.bcc]
    pour(Bcc, ("message_id", "addresses"), blind, mailbox_id=mailbox.pk)
    read = [(m.pk,) for m, one in zip(messages, many, strict=True) if outgoing or one.seen]
    pour(
        MessageRead,
        ("message_id",),
        read,
        mailbox_id=mailbox.pk,
        staff_id=mailbox.owner_id,
        at=datetime.now(UTC),
    )
    return messages


def quarantine(mailbox: Mailbox, one: Prepared, reason: str, *, outgoing: bool) -> Message:
    """Keep the raw letter under a message that says only that it could not be read."""
    (conversation,) = place_all(mailbox.pk, [()])
    message = Message.objects.create(
        mailbox=mailbox,
        sha256=one.sha256,
        outgoing=outgoing,
        conversation_id=conversation,
        subject="This message could not be read",
        received_at=one.received_at,
        size=one.size,
        quarantined=reason,
    )
    rawstore.put_many(mailbox.pk, [(message.pk, one.sha256, one.raw)])
    Body(message=message, mailbox=mailbox, sanitizer_version=SANITIZER_VERSION).save(force_insert=True)
    return message


def _fields(mailbox: Mailbox, one: Prepared, outgoing: bool) -> Message:
    return Message(
        mailbox_id=mailbox.pk,
        sha256=one.sha256,
        outgoing=outgoing,
        message_id=one.message_id,
        subject=one.subject,
        from_name=one.from_name,
        from_address=one.from_address,
        also_from=[address for address in one.authors if address != one.from_address],
        to=one.to,
        cc=one.cc,
        reply_to=one.reply_to,
        date=one.date,
        received_at=one.received_at,
        size=one.size,
        preview=one.preview,
        has_attachments=any(not file.inline for file in one.files),
        automatic=one.automatic,
        remote_images=one.remote_images,
        defects=one.defects,
    )


def _insert(messages: Sequence[Message], mailbox: Mailbox, outgoing: bool) -> list[int]:
    """Write the messages' own rows and give them their ids; returns their wall keys."""
    found = pour(
        Message,
        _COLUMNS,
        [_values(message) for message in messages],
        returning="sha256, id, wall_key",
        mailbox_id=mailbox.pk,
        outgoing=outgoing,
        stored_at=datetime.now(UTC),
        quarantined="",
    )
    made = {sha256: (pk, key) for sha256, pk, key in found}
    for message in messages:
        message.pk = made[message.sha256][0]
        message._state.adding = False
    return [made[message.sha256][1] for message in messages]


def _save_content(
    mailbox: Mailbox, messages: Sequence[Message], many: Sequence[Prepared], keys: Sequence[int]
) -> None:
    pairs = list(zip(messages, many, strict=True))
    rawstore.put_many(mailbox.pk, [(m.pk, one.sha256, one.raw) for m, one in pairs])
    pour(
        Body,
        ("message_id", "text", "html"),
        [(m.pk, one.text, one.html) for m, one in pairs],
        mailbox_id=mailbox.pk,
        sanitizer_version=SANITIZER_VERSION,
    )
    pour(
        MessageSearch,
        ("message_id", "wall_key", "received_at", "tsv"),
        [(m.pk, key, m.received_at, one.vector) for (m, one), key in zip(pairs, keys, strict=True)],
    )
    files = [(m.pk, *_file(file)) for m, one in pairs for file in one.files]
    pour(Attachment, ("message_id", *_FILE), files, mailbox_id=mailbox.pk)
