"""Begin a letter: a new one, a reply, a forward. Each returns a saved draft of its author."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from postern.mail.access import may_answer
from postern.mail.models import Message, Party, Raw
from postern.mailboxes.connection import sender
from postern.mailboxes.models import Mailbox
from postern.mime.parts import Part
from postern.mime.read import part_bytes, read
from postern.mime.sanitize import sanitize, text_from_html
from postern.mime.words import hides_controls
from postern.outbox import quoting
from postern.outbox.letter import ComposeError, people
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Address, Customer, Staff

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def new(
    *,
    staff: Staff,
    mailbox: Mailbox | None = None,
    customer: Customer | None = None,
    to: str | Sequence[Any] | None = None,
) -> Delivery:
    """Return a new, saved draft, to the customer's main address unless `to` says otherwise.

    Without `mailbox` it is the person's first. Raises ComposeError; Mailbox.DoesNotExist for another's.
    """
    box = _own_mailbox(staff, mailbox)
    if to is None and customer is not None:
        to = _main_address(customer)
    draft = Delivery(mailbox=box, author=staff, customer=customer, to=people(to or [], "to"))
    draft.save()
    return draft


def reply(*, staff: Staff, message: Message, to_all: bool = False) -> Delivery:
    """Return a saved draft that answers a message, quoting it: from the person's own mailbox, or in the
    name of the owner who lets them answer.

    Raises Message.DoesNotExist for any other message.
    """
    original = _answerable_message(staff, message)
    to, cc = quoting.answer_to(
        outgoing=original.outgoing,
        author=[original.from_name, original.from_address],
        reply_to=original.reply_to,
        to=original.to,
        cc=original.cc,
        own=[original.mailbox.address, original.mailbox.reply_to, sender(original.mailbox).envelope],
        to_all=to_all,
    )
    html, text = _body(original)
    quote = quoting.quoted_reply(author=_author(original), when=_when(original), html=html, text=text)
    draft = _draft_about(staff, original, quote, quoting.reply_subject(original.subject), to=to, cc=cc)
    _carry_files(draft, original, only_inline=True)
    return draft


def forward(*, staff: Staff, message: Message) -> Delivery:
    """Return a saved draft that passes a message of the person's own mailbox on, attachments included.

    Raises Message.DoesNotExist for any other message.
    """
    original = _own_message(staff, message)
    html, text = _body(original)
    if original.withheld:
        text = f"[The content of this message was not brought into Postern. {original.withheld}]"
    quote = quoting.quoted_forward(
        author=_author(original),
        when=_when(original),
        subject=original.subject,
        to=original.to,
        cc=original.cc,
        html=html,
        text=text,
    )
    subject = quoting.forward_subject(original.subject)
    draft = _draft_about(staff, original, quote, subject, forward=True)
    _carry_files(draft, original, only_inline=False)
    return draft


def clean(html: str | None, text: str | None) -> tuple[str, str]:
    """Return (clean html, text); an html too complex to be cleaned is refused, never passed on."""
    if not html:
        return "", (text or "").replace("\0", "")
    clean = sanitize(html)
    if clean.too_complex:
        raise ComposeError(
            {"html": "The text is formatted in too complicated a way. Paste it without format."}
        )
    return clean.html, text_from_html(clean.html, links=True)


def _own_mailbox(staff: Staff, mailbox: Mailbox | None) -> Mailbox:
    own = Mailbox.objects.filter(owner=staff)
    if mailbox is not None:
        return own.get(pk=mailbox.pk)
    first = own.order_by("-sending", "pk").first()
    if first is None:
        raise ComposeError(
            {"mailbox": "You have no mailbox yet. Set one up in My Profile → Email."}, "no_mailbox"
        )
    return first


def _own_message(staff: Staff, message: Message) -> Message:
    rows = Message.objects.visible_to(staff).filter(mailbox__owner=staff)
    return rows.select_related("mailbox", "body").get(pk=message.pk)


def _answerable_message(staff: Staff, message: Message) -> Message:
    rows = Message.objects.visible_to(staff).select_related("mailbox__owner", "body")
    found = rows.get(pk=message.pk)
    if not may_answer(staff, found):
        raise Message.DoesNotExist
    return found


def _main_address(customer: Customer) -> list[Any]:
    rows = list(customer.addresses.all())
    rows.sort(key=lambda row: row.kind != Address.Kind.MAIN)
    return [[_CONTROL.sub(" ", customer.name), rows[0].email]] if rows else []


def _author(message: Message) -> list[str]:
    return [message.from_name, message.from_address]


def _when(message: Message) -> datetime:
    return timezone.localtime(message.date or message.received_at)


def _body(message: Message) -> tuple[str, str]:
    body = getattr(message, "body", None)
    return (body.html, body.text) if body else ("", "")


def _draft_about(
    staff: Staff,
    original: Message,
    quote: str,
    subject: str,
    *,
    to: list[list[str]] | None = None,
    cc: list[list[str]] | None = None,
    forward: bool = False,
) -> Delivery:
    """A draft that quotes `original`, filed where that is filed when that is one place."""
    html, text = clean(quote, None)
    filed = list(Party.objects.filter(message=original).values_list("customer_id", flat=True)[:2])
    return Delivery.objects.create(
        mailbox=original.mailbox,
        author=staff,
        customer_id=filed[0] if len(filed) == 1 and not forward else None,
        to=to or [],
        cc=cc or [],
        subject=subject,
        html=html,
        text=text,
        answers=original,
        forward=forward,
    )


def _carry_files(draft: Delivery, original: Message, *, only_inline: bool) -> None:
    """Copy the original's files: all of them to a forward, to a reply only the pictures its quote shows."""
    row = Raw.objects.filter(message=original).first()
    if row is None or original.withheld:  # a header alone announces files that are not here
        return
    raw = row.letter()
    for part in read(raw).parts:
        harmless = bool(part.content_id) and not hides_controls(part.content_id)  # S-043
        shown = harmless and f"cid:{part.content_id}" in draft.html
        if shown or not only_inline:
            data = part_bytes(raw, part)
            OutgoingFile.objects.create(
                delivery=draft,
                mailbox_id=draft.mailbox_id,
                name=_file_name(part),
                content_type=_CONTROL.sub("", part.content_type)[:200] or "application/octet-stream",
                size=len(data),
                content_id=part.content_id[:120] if shown else "",
                data=data,
            )


def _file_name(part: Part) -> str:
    return _CONTROL.sub(" ", part.filename).strip()[:255] or f"part-{part.index}"
