"""Prepared letters become rows: a whole batch with few statements, however many letters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from postern.mail import rawstore
from postern.mail.apart import Joining
from postern.mail.bulk import ask, column, pour
from postern.mail.conversations import Places, place_all
from postern.mail.filing import Filer, Filing
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
"""The columns of a message that its raw letter says, named alike in what was made ready of it."""
_described = attrgetter(*DESCRIBED)
_COLUMNS = (
    "conversation_id",
    "known",
    "owner_party",
    "sha256",
    "received_at",
    "size",
    "withheld",
    "emailid",
    *DESCRIBED,
)
_told = attrgetter("sha256", "received_at", "size", "withheld", "emailid", *DESCRIBED)
_FILE = ("index", "name", "content_type", "size", "content_id", "inline")
_file = attrgetter(*_FILE)
# The key of the wall is the message's own, computed by the database.
_WORDS = """
INSERT INTO mail_messagesearch (message_id, wall_key, received_at, tsv)
SELECT u.id, m.wall_key, m.received_at, u.tsv FROM unnest(%s, %s) u (id, tsv) CROSS JOIN LATERAL (
  SELECT wall_key, received_at FROM mail_message WHERE id = u.id OFFSET 0) m"""


def create_all(mailbox: Mailbox, many: Sequence[Prepared], *, outgoing: bool) -> list[int]:
    """Save new messages with everything that belongs to them; their ids, in the order given. No two have the same bytes."""
    if not many:
        return []
    deciding = [one.deciding(outgoing) for one in many]
    filer = Filer(mailbox, {address for some in deciding for address in some})
    filings = [
        filer.filing(some, received_at=one.received_at) for some, one in zip(deciding, many, strict=True)
    ]
    places = place_all(mailbox.pk, [one.ids for one in many], lambda n: joining(many[n], outgoing))
    rows = [
        (conversation, bool(filing.customers), filing.owner_party, *_told(one))
        for conversation, filing, one in zip(places.conversations, filings, many, strict=True)
    ]
    pk_of = _insert(rows, mailbox, outgoing)
    ids = [pk_of[one.sha256] for one in many]
    pairs = list(zip(ids, many, strict=True))
    note_places(mailbox, ids, places)
    rawstore.put_many(mailbox.pk, [(pk, one.sha256, one.raw) for pk, one in pairs])
    save_content(mailbox, pairs)
    _save_around(mailbox, pairs, filings, outgoing)
    return ids


def _save_around(
    mailbox: Mailbox, pairs: Sequence[tuple[int, Prepared]], filings: Sequence[Filing], outgoing: bool
) -> None:
    """Write whose the messages are, who has read them already, and blind copies."""
    parties = [
        (pk, c) for (pk, _), filing in zip(pairs, filings, strict=True) for c in sorted(filing.customers)
    ]
    pour(Party, ("message_id", "customer_id"), parties, mailbox_id=mailbox.pk, by_hand=False)
    blind = [(pk, one.bcc) for pk, one in pairs if outgoing and one.bcc]
    pour(Bcc, ("message_id", "addresses"), blind, mailbox_id=mailbox.pk)
    pour(
        MessageRead,
        ("message_id",),
        [(pk,) for pk, one in pairs if outgoing or one.seen],
        mailbox_id=mailbox.pk,
        staff_id=mailbox.owner_id,
        at=datetime.now(UTC),
    )


def quarantine(mailbox: Mailbox, one: Prepared, reason: str, *, outgoing: bool) -> int:
    """Keep the raw letter under a message that says only that it could not be read; return its id."""
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
    return message.pk


def joining(one: Prepared, outgoing: bool) -> Joining:
    """Return what decides whether a letter may join a shared conversation."""
    sent_to = frozenset(address for _, address in (*one.to, *one.cc))
    author = frozenset([one.from_address])
    own = id_hash(one.message_id) if one.message_id else None
    return Joining(own if own in one.ids else None, sent_to if outgoing else author, author | sent_to)


def note_places(mailbox: Mailbox, messages: Sequence[int], places: Places) -> None:
    """Mark the messages (ids) that joined a shared conversation, and note those that stand aside of one."""
    if places.shared:
        ids = [messages[number] for number in places.shared]
        Message.objects.filter(mailbox=mailbox, pk__in=ids).update(shared=True)
    aside = [(messages[number], conversation) for number, conversation in places.aside.items()]
    pour(Aside, ("message_id", "conversation_id"), aside, once=True, mailbox_id=mailbox.pk)


def describe(message: Message, one: Prepared) -> None:
    """Let a message say what its letter says: the columns DESCRIBED."""
    for name, value in zip(DESCRIBED, _described(one), strict=True):
        setattr(message, name, value)


def save_content(mailbox: Mailbox, pairs: Sequence[tuple[int, Prepared]]) -> None:
    """Write the rows made from letters beside their messages' own (ids), which are there: body, words, attachments."""
    pour(
        Body,
        ("message_id", "text", "html"),
        [(pk, one.text, one.html) for pk, one in pairs],
        mailbox_id=mailbox.pk,
        sanitizer_version=SANITIZER_VERSION,
    )
    ask(
        _WORDS,
        column("bigint", [pk for pk, _ in pairs]),
        column("tsvector", [one.vector for _, one in pairs]),
    )
    files = [(pk, *_file(file)) for pk, one in pairs for file in one.files]
    pour(Attachment, ("message_id", *_FILE), files, mailbox_id=mailbox.pk)


def _insert(rows: Sequence[tuple[object, ...]], mailbox: Mailbox, outgoing: bool) -> dict[bytes, int]:
    """Write the messages' own rows; return their ids by SHA-256."""
    made = pour(
        Message,
        _COLUMNS,
        rows,
        returning="sha256, id",
        mailbox_id=mailbox.pk,
        outgoing=outgoing,
        stored_at=datetime.now(UTC),
        quarantined="",
    )
    return {bytes(sha256): pk for sha256, pk in made}
