"""Prepared letters become rows: a whole batch with few statements, however many letters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from postern.mail import rawstore
from postern.mail.apart import Joining
from postern.mail.bulk import ask, column, pour
from postern.mail.conversations import Places, place_all
from postern.mail.filing import Filer
from postern.mail.models import Aside, Attachment, Bcc, Body, Message, MessageRead, Party
from postern.mail.preparing import Prepared
from postern.mail.references import id_hash
from postern.mailboxes.models import Mailbox
from postern.mime.sanitize import SANITIZER_VERSION

DESCRIBED = (
    "message_id",
    "subject",
    "from_name",
    "from_address",
    "also_from",
    "to",
    "cc",
    "reply_to",
    "date",
    "preview",
    "has_attachments",
    "automatic",
    "remote_images",
    "defects",
)
"""The columns of a message that its raw letter says."""
_COLUMNS = (
    "conversation_id",
    "sha256",
    "known",
    "owner_party",
    "received_at",
    "size",
    "withheld",
    *DESCRIBED,
)
_values = attrgetter(*_COLUMNS)
_FILE = ("index", "name", "content_type", "size", "content_id", "inline")
_file = attrgetter(*_FILE)
# The key of the wall is the message's own, computed by the database.
_WORDS = """
INSERT INTO mail_messagesearch (message_id, wall_key, received_at, tsv)
SELECT m.id, m.wall_key, m.received_at, u.tsv FROM unnest(%s, %s) u (id, tsv) JOIN mail_message m ON m.id = u.id"""


def create_all(mailbox: Mailbox, many: Sequence[Prepared], *, outgoing: bool) -> list[Message]:
    """Save new messages with everything that belongs to them, in the order given. No two have the same bytes."""
    if not many:
        return []
    messages = [_fields(mailbox, one, outgoing) for one in many]
    filer = Filer(mailbox, messages)
    filings = [filer.filing(message) for message in messages]
    places = place_all(mailbox.pk, [one.ids for one in many], lambda n: joining(many[n], outgoing))
    for message, filing, conversation in zip(messages, filings, places.conversations, strict=True):
        message.known, message.owner_party = bool(filing.customers), filing.owner_party
        message.conversation_id = conversation
    _insert(messages, mailbox, outgoing)
    note_places(mailbox, messages, places)
    rawstore.put_many(
        mailbox.pk, [(m.pk, one.sha256, one.raw) for m, one in zip(messages, many, strict=True)]
    )
    save_content(mailbox, list(zip(messages, many, strict=True)))
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
    (conversation,) = place_all(mailbox.pk, [()]).conversations
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


def joining(one: Prepared, outgoing: bool) -> Joining:
    """Return what decides whether a letter may join a shared conversation."""
    sent_to = frozenset(address for _, address in (*one.to, *one.cc))
    author = frozenset([one.from_address])
    own = id_hash(one.message_id) if one.message_id else None
    return Joining(own if own in one.ids else None, sent_to if outgoing else author, author | sent_to)


def note_places(mailbox: Mailbox, messages: Sequence[Message], places: Places) -> None:
    """Mark the messages that joined a shared conversation, and note those that stand aside of one."""
    if places.shared:
        ids = [messages[number].pk for number in places.shared]
        Message.objects.filter(mailbox=mailbox, pk__in=ids).update(shared=True)
    aside = [(messages[number].pk, conversation) for number, conversation in places.aside.items()]
    pour(Aside, ("message_id", "conversation_id"), aside, once=True, mailbox_id=mailbox.pk)


def describe(message: Message, one: Prepared) -> None:
    """Let a message say what its letter says: the columns DESCRIBED."""
    message.message_id = one.message_id
    message.subject = one.subject
    message.from_name = one.from_name
    message.from_address = one.from_address
    message.also_from = [address for address in one.authors if address != one.from_address]
    message.to = one.to
    message.cc = one.cc
    message.reply_to = one.reply_to
    message.date = one.date
    message.preview = one.preview
    message.has_attachments = any(not file.inline for file in one.files)
    message.automatic = one.automatic
    message.remote_images = one.remote_images
    message.defects = one.defects


def save_content(mailbox: Mailbox, pairs: Sequence[tuple[Message, Prepared]]) -> None:
    """Write the rows made from letters beside their messages' own, which are there: body, words, attachments."""
    pour(
        Body,
        ("message_id", "text", "html"),
        [(m.pk, one.text, one.html) for m, one in pairs],
        mailbox_id=mailbox.pk,
        sanitizer_version=SANITIZER_VERSION,
    )
    ask(
        _WORDS,
        column("bigint", [m.pk for m, _ in pairs]),
        column("tsvector", [one.vector for _, one in pairs]),
    )
    files = [(m.pk, *_file(file)) for m, one in pairs for file in one.files]
    pour(Attachment, ("message_id", *_FILE), files, mailbox_id=mailbox.pk)


def _fields(mailbox: Mailbox, one: Prepared, outgoing: bool) -> Message:
    message = Message(
        mailbox_id=mailbox.pk,
        sha256=one.sha256,
        outgoing=outgoing,
        received_at=one.received_at,
        size=one.size,
        withheld=one.withheld,
    )
    describe(message, one)
    return message


def _insert(messages: Sequence[Message], mailbox: Mailbox, outgoing: bool) -> None:
    """Write the messages' own rows and give them their ids."""
    found = pour(
        Message,
        _COLUMNS,
        [_values(message) for message in messages],
        returning="sha256, id",
        mailbox_id=mailbox.pk,
        outgoing=outgoing,
        stored_at=datetime.now(UTC),
        quarantined="",
    )
    made = dict(found)
    for message in messages:
        message.pk = made[message.sha256]
        message._state.adding = False
