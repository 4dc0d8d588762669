"""A message as a row of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Q
from django.urls import reverse

from postern.mail.actions import ACTIONS, MessageAction, actions_for
from postern.mail.models import Message
from postern.mail.models.message import MessageQuerySet
from postern.outbox.behalf import authors_of
from postern.people.models import Customer, Staff


@dataclass(frozen=True)
class RowAction:
    """One of the buttons at the foot of a row; `post`: done at once, else it opens `url`."""

    label: str
    icon: str
    key: str
    do: str
    url: str
    post: bool = False


@dataclass(frozen=True)
class Row:
    """What inbox/_row.html draws."""

    pk: int
    url: str
    unread: bool
    current: bool
    unknown: bool
    name: str
    org: str
    moment: object
    subject: str
    preview: str
    files: bool
    badge: str = ""
    badge_tone: str = ""
    badge_icon: str = ""
    actions: list[RowAction] = field(default_factory=list)


def customer_of(message: Message) -> Customer | None:
    """The first customer or lead that the message is filed under."""
    party = next(iter(message.parties.all()), None)
    return party.customer if party else None


def inbox_rows(messages: Iterable[Message], staff: Staff, current: int | None, query: str) -> list[Row]:
    """Rows of incoming messages; the five actions stand on those whose author is not found."""
    return [_incoming(m, staff, m.pk == current, query) for m in messages]


def _incoming(message: Message, staff: Staff, current: bool, query: str) -> Row:
    customer = customer_of(message)
    badge = ("", "", "")
    actions: list[RowAction] = []
    if message.quarantined:
        badge = ("Could not be read", "red", "file-exclamation-point")
    elif not message.known:
        badge = ("Author not found", "amber", "user-round-search")
        actions = row_actions(staff, message)
    elif message.withheld:
        badge = ("Only the header", "line", "file-exclamation-point")
    return Row(
        pk=message.pk,
        url=reverse("message", args=[message.pk]) + query,
        unread=bool(getattr(message, "unread", False)),
        current=current,
        unknown=not message.known,
        name=message.who,
        org=_org(message, customer, staff),
        moment=message.received_at,
        subject=message.subject,
        preview=message.preview,
        files=message.has_attachments,
        badge=badge[0],
        badge_tone=badge[1],
        badge_icon=badge[2],
        actions=actions,
    )


def _org(message: Message, customer: Customer | None, staff: Staff) -> str:
    words = []
    if customer is not None:
        words.append("Lead" if customer.kind == Customer.Kind.LEAD else customer.name)
    if message.mailbox.owner_id != staff.pk:
        words.append(f"in {message.mailbox.address}")
    return " · ".join(words)


def _by(author: str | None, org: str) -> str:
    return " · ".join(filter(None, [org, f"by {author}" if author else ""]))


def row_actions(staff: Staff, message: Message) -> list[RowAction]:
    """The buttons of a row: those of the five actions that this person may use."""
    if message.mailbox.owner_id != staff.pk:
        return [button(ACTIONS["view"], message)]
    return [
        button(a, message)
        for a in actions_for(staff, message)
        if a.key in ("view", "pair", "add", "block", "delete")
    ]


def button(action: MessageAction, message: Message) -> RowAction:
    """An action as a button or link."""
    if action.key == "view":
        return RowAction(
            action.label, action.icon, action.shortcut, "open", reverse("message", args=[message.pk])
        )
    return RowAction(
        label=action.label,
        icon=action.icon,
        key=action.shortcut,
        do=action.key,
        url=reverse("act", args=[message.pk, action.key]),
        post=action.key in ("delete", "unread", "unpair"),
    )


@dataclass(frozen=True)
class Beside:
    """Where an open message stands in its list, and the ones next to it (None at an end)."""

    place: int
    newer: int | None
    older: int | None


def beside(rows: MessageQuerySet, message: Message) -> Beside:
    """The place of a message among `rows`, newest first."""
    at, pk = message.received_at, message.pk
    newer = rows.filter(Q(received_at__gt=at) | Q(received_at=at, pk__gt=pk))
    older = rows.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=pk))
    return Beside(
        place=newer.count() + 1,
        newer=newer.order_by("received_at", "pk").values_list("pk", flat=True).first(),
        older=older.order_by("-received_at", "-pk").values_list("pk", flat=True).first(),
    )


def sent_rows(messages: Sequence[Message], staff: Staff, current: int | None) -> list[Row]:
    """Rows of outgoing messages, named by whom they went to, and by whom written if not by the owner."""
    authors = authors_of(staff, messages)
    return [
        Row(
            pk=m.pk,
            url=reverse("sent-message", args=[m.pk]),
            unread=False,
            current=m.pk == current,
            unknown=False,
            name=", ".join(name or address for name, address in (*m.to, *m.cc)) or "(no recipient)",
            org=_by(authors.get(m.pk), _org(m, customer_of(m), staff)),
            moment=m.received_at,
            subject=m.subject,
            preview=m.preview,
            files=m.has_attachments,
        )
        for m in messages
    ]
