"""A message as the API tells it: a line of a list, or whole. What only its owner may know is left out for others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema

from postern.api.shapes import CustomerName, Person, name_of, people_of
from postern.mail.actions import actions_for
from postern.mail.models import Attachment, Errand, Message
from postern.mail.owed import in_words as owed_in_words
from postern.mail.owed import undone
from postern.mail.sharing import stand_aside
from postern.mail.visibility import Given, Seer, Watch, watch
from postern.mime.sanitize import SANITIZER_VERSION
from postern.outbox.behalf import authors_of
from postern.people.models import Staff


class MailboxName(Schema):
    """The mailbox that a message lies in; `own` is false where another administrator shares it."""

    id: int
    address: str
    own: bool


class MessageLine(Schema):
    """A message as a list shows it."""

    id: int
    conversation_id: int
    mailbox: MailboxName
    outgoing: bool
    unread: bool
    author_found: bool
    author: Person
    to: list[Person]
    cc: list[Person]
    subject: str
    preview: str
    received_at: datetime
    has_attachments: bool
    customers: list[CustomerName]
    gone_from_server: bool
    quarantined: str
    withheld: str
    """Why only the header is here, as for a letter that is too large; empty for a whole letter."""


class MessagePage(Schema):
    """Some messages, newest first; `next_cursor` is empty on the last page."""

    messages: list[MessageLine]
    next_cursor: str


class AttachmentLine(Schema):
    """A file of a message; `index` is its number in the letter."""

    index: int
    name: str
    content_type: str
    size: int
    content_id: str
    inline: bool


class ActionOffered(Schema):
    """Something that this person can do with the message."""

    key: str
    label: str


class Undone(Schema):
    """Something that the server refused so far: seen, append (to the sent folder) or trash, and why."""

    kind: str
    reason: str
    given_up: bool


class Seeing(Schema):
    """A reader of the mailbox; `sees` is false where the grant does not reach this message or not now: `reason`."""

    staff_id: int
    name: str
    sees: bool
    reason: str
    through: str
    ends_at: datetime | None


class Shared(Schema):
    """By whom a message is shared with this person, through which grant, until when."""

    by: str
    through: str
    ends_at: datetime | None


class AnswersShared(Schema):
    """A conversation that is or was shared by name, now with `names`; a message that answers it stands apart.

    `added`: its owner added it, and it is of that conversation (see take_out_of_conversation).
    """

    conversation_id: int
    names: list[str]
    added: bool


class MessageWhole(MessageLine):
    """One message. `html` is cleaned and loads nothing from the network; inline images stay as cid: addresses."""

    reply_to: list[Person]
    date: datetime | None
    message_id: str
    size: int
    text: str
    html: str
    attachments: list[AttachmentLine]
    automatic: str
    remote_images: int
    defects: list[str]
    actions: list[ActionOffered]
    bcc: list[Person] | None
    """The owner's alone; null for everybody else."""
    sent_by: str | None
    """Who wrote it in the owner's name ("you": oneself); told to the owner and to its author."""
    undone: list[Undone]
    """What could not be done on the server so far; the owner's alone, empty for everybody else."""
    answers_shared: AnswersShared | None
    """Where it answers a shared conversation without being of it, or was added since (see add_to_conversation);
    the owner's alone."""
    readers: list[Seeing] | None
    """Who may read the mailbox, and who sees this message now; told to the owner only."""
    shared: Shared | None
    """By whom it is shared with this person; null for the owner."""


class Conversation(Schema):
    """The visible messages of one conversation, oldest first."""

    id: int
    subject: str
    messages: list[MessageWhole]


def line_of(message: Message, staff: Staff) -> MessageLine:
    """A message that lists.dressed() has prepared, as a line."""
    return MessageLine(**_line(message, staff))


def whole_of(message: Message, staff: Staff, sight: Watch | None = None) -> MessageWhole:
    """The whole message; `sight`: who sees it, where that was asked for several at once."""
    visibility = (sight or watch(staff, [message])).over([message])
    body = getattr(message, "body", None)
    current = body is not None and body.sanitizer_version == SANITIZER_VERSION
    own = message.mailbox.owner_id == staff.pk
    blind = getattr(message, "blind", None) if own else None
    return MessageWhole(
        **_line(message, staff),
        reply_to=people_of(message.reply_to),
        date=message.date,
        message_id=message.message_id,
        size=message.size,
        text=body.text if body else "",
        html=body.html if body and current else "",
        attachments=[_file(a) for a in message.attachments.all()],
        automatic=message.automatic,
        remote_images=message.remote_images,
        defects=[str(defect) for defect in message.defects],
        actions=[ActionOffered(key=a.key, label=a.label) for a in actions_for(staff, message)],
        sent_by=authors_of(staff, [message]).get(message.pk),
        bcc=people_of(blind.addresses if blind else []) if own else None,
        undone=[_undone(errand) for errand in undone(staff, message)] if own else [],
        answers_shared=_aside(staff, message) if own else None,
        readers=[_seeing(s) for s in (*visibility.seeing, *visibility.not_seeing)] if own else None,
        shared=_shared(visibility.grant) if visibility.grant else None,
    )


def _line(message: Message, staff: Staff) -> dict[str, Any]:
    mailbox = message.mailbox
    return {
        "id": message.pk,
        "conversation_id": message.conversation_id,
        "mailbox": MailboxName(id=mailbox.pk, address=mailbox.address, own=mailbox.owner_id == staff.pk),
        "outgoing": message.outgoing,
        "unread": bool(getattr(message, "unread", False)),
        "author_found": message.known,
        "author": Person(name=message.from_name, address=message.from_address),
        "to": people_of(message.to),
        "cc": people_of(message.cc),
        "subject": message.subject,
        "preview": message.preview,
        "received_at": message.received_at,
        "has_attachments": message.has_attachments,
        "customers": [name_of(party.customer) for party in message.parties.all()],
        "gone_from_server": message.gone_at is not None,
        "quarantined": message.quarantined,
        "withheld": message.withheld,
    }


def _undone(errand: Errand) -> Undone:
    return Undone(kind=errand.kind, reason=owed_in_words(errand), given_up=errand.failed_at is not None)


def _file(row: Attachment) -> AttachmentLine:
    return AttachmentLine(
        index=row.index,
        name=row.name,
        content_type=row.content_type,
        size=row.size,
        content_id=row.content_id,
        inline=row.inline,
    )


def _aside(staff: Staff, message: Message) -> AnswersShared | None:
    found = stand_aside(staff, [message]).get(message.pk)
    if found is None:
        return None
    return AnswersShared(conversation_id=found.conversation, names=list(found.names), added=found.added)


def _seeing(seer: Seer) -> Seeing:
    return Seeing(
        staff_id=seer.grant.staff.pk,
        name=seer.name,
        sees=bool(seer.sees),
        reason=seer.reason,
        through=seer.grant.through,
        ends_at=seer.grant.ends_at,
    )


def _shared(grant: Given) -> Shared:
    return Shared(by=grant.mailbox.owner.name, through=grant.through, ends_at=grant.ends_at)
