"""Write a letter: start, save, attach, send, take back. Every function works on the author's own drafts."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from postern.mail.events import tell
from postern.mail.models import Message, Party, Raw
from postern.mailboxes.connection import sender
from postern.mailboxes.models import Mailbox
from postern.mime.body import Part
from postern.mime.read import part_bytes, read
from postern.mime.sanitize import sanitize, text_from_html
from postern.outbox import quoting
from postern.outbox.letter import (
    MOST_BYTES,
    ComposeError,
    build,
    check_ready,
    check_subject,
    check_way_out,
    digest,
    people,
    too_large,
)
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Address, Customer, Staff

__all__ = [
    "ComposeError",
    "attach",
    "detach",
    "discard",
    "forward",
    "new",
    "reply",
    "save",
    "send",
    "settle",
    "undo_send",
]

GIVE_UP_AFTER = timedelta(hours=24)
UNDO_SECONDS = 10
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp")
State = Delivery.State


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
    """Return a saved draft that answers a message of the person's own mailbox, quoting it.

    Raises Message.DoesNotExist for any other message.
    """
    original = _own_message(staff, message)
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


def save(
    *,
    delivery: Delivery,
    to: str | Sequence[Any],
    cc: str | Sequence[Any] = (),
    bcc: str | Sequence[Any] = (),
    subject: str = "",
    html: str | None = None,
    text: str | None = None,
    mailbox: Mailbox | None = None,
) -> Delivery:
    """Save what was written, whole or not at all; addresses need not be right before it is sent.

    With `html` the text is made from it. `mailbox` changes from whom it goes. Raises ComposeError.
    """
    fields = {"to": people(to, "to"), "cc": people(cc, "cc"), "bcc": people(bcc, "bcc")}
    subject = check_subject(subject)
    html, text = _clean(html, text)
    with transaction.atomic():
        row = _editable(delivery)
        row.to, row.cc, row.bcc = fields["to"], fields["cc"], fields["bcc"]
        row.subject, row.html, row.text = subject, html, text
        if mailbox is not None and mailbox.pk != row.mailbox_id:
            row.mailbox = Mailbox.objects.get(pk=mailbox.pk, owner=row.mailbox.owner_id)
            row.files.update(mailbox=row.mailbox)
        row.save()
    return row


def attach(
    *, delivery: Delivery, name: str, content_type: str, data: bytes, inline: bool = False
) -> OutgoingFile:
    """Attach a file; inline gives it a content id for `<img src="cid:…">`. Raises ComposeError."""
    if _CONTROL.search(name) or _CONTROL.search(content_type):
        raise ComposeError({"files": "The file’s name or type contains a control character."})
    if inline and content_type.partition(";")[0].strip().lower() not in _INLINE:
        raise ComposeError({"files": f"“{name}” is not a picture that can stand in the text."})
    with transaction.atomic():
        row = _editable(delivery)
        sizes = row.files.values_list("size", flat=True)
        total = (sum(sizes) + len(data)) * 4 // 3  # as it will be sent, in base64
        if total > MOST_BYTES:
            raise ComposeError({"files": too_large(total)})
        return OutgoingFile.objects.create(
            delivery=row,
            mailbox_id=row.mailbox_id,
            name=name.strip()[:255] or "attachment",
            content_type=content_type.strip()[:200] or "application/octet-stream",
            size=len(data),
            content_id=secrets.token_hex(16) if inline else "",
            data=data,
        )


def detach(*, delivery: Delivery, file_id: int) -> None:
    """Take a file off a draft. Raises ComposeError, OutgoingFile.DoesNotExist."""
    with transaction.atomic():
        _editable(delivery).files.get(pk=file_id).delete()


def send(*, delivery: Delivery, key: str = "", undo_seconds: int = UNDO_SECONDS) -> Delivery:
    """Fix the letter's Message-ID, Date and bytes and hand it to the worker, `undo_seconds` from now.

    `key` makes it safe to ask twice: the same author, key and content give the first delivery again (the
    draft asked about is then dropped, if it is another one), other content is refused. Raises ComposeError;
    the draft stays as it was.
    """
    with transaction.atomic():
        if key:
            _one_at_a_time(f"send {delivery.author_id} {key}")
        row = _locked(delivery)
        told = digest(row)
        if first := _asked_before(row, key, told):
            return first
        _require_editable(row)
        check_way_out(row.mailbox)
        check_ready(row)
        now = timezone.now()
        letter = build(row, date=now)
        row.state, row.date = State.QUEUED, now
        row.message_id, row.envelope_sender, row.raw = letter.message_id, letter.envelope_sender, letter.raw
        row.key, row.key_digest = key[:80], told if key else ""
        row.send_at = now + timedelta(seconds=max(0, undo_seconds))
        row.give_up_at = row.send_at + GIVE_UP_AFTER
        row.attempts, row.refused, row.accepted = 0, [], []
        row.code = row.problem = row.advice = row.server_text = ""
        row.save()
        defer_send(row, row.send_at if undo_seconds > 0 else None)
        tell("delivery", mailbox=row.mailbox_id, id=row.pk)
    return row


def undo_send(*, delivery: Delivery) -> Delivery:
    """Take a letter back while no attempt to send it is under way: it is a draft again. Raises ComposeError."""
    with transaction.atomic():
        row = _locked(delivery)
        if row.state != State.QUEUED:
            raise ComposeError({"state": "It is too late: the message is on its way."}, "too_late")
        _back_to_draft(row)
    return row


def settle(*, delivery: Delivery, arrived: bool) -> Delivery:
    """The author says what became of a letter whose fate is unknown; it is never sent again by itself (I3).

    Arrived: it counts as sent. Not arrived: it is a draft again. Raises ComposeError.
    """
    with transaction.atomic():
        row = _locked(delivery)
        if row.state != State.UNKNOWN:
            raise ComposeError({"state": "The fate of this message is known by now."}, "not_editable")
        if not arrived:
            _back_to_draft(row)
            return row
        row.code = "confirmed"
        row.save()
        defer_send(row, None)
    return row


def discard(*, delivery: Delivery) -> None:
    """Delete a draft, or a letter that was not sent. Raises ComposeError."""
    with transaction.atomic():
        _editable(delivery).delete()


def defer_send(delivery: Delivery, at: datetime | None) -> None:
    """Ask the worker to look at this delivery at `at` (None: now). One job of the same letter runs at a time."""
    args = {"mailbox_id": delivery.mailbox_id, "delivery_id": delivery.pk}
    lock = f"delivery {delivery.pk} {delivery.message_id[:16]}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.defer('send', %s::jsonb, %s, %s)", [json.dumps(args), lock, at])


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
    html, text = _clean(quote, None)
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
    if row is None:
        return
    raw = row.letter()
    for part in read(raw).parts:
        shown = bool(part.content_id) and f"cid:{part.content_id}" in draft.html
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


def _clean(html: str | None, text: str | None) -> tuple[str, str]:
    """Return (clean html, text); an html too complex to be cleaned is refused, never passed on."""
    if not html:
        return "", (text or "").replace("\0", "")
    clean = sanitize(html)
    if clean.too_complex:
        raise ComposeError(
            {"html": "The text is formatted in too complicated a way. Paste it without format."}
        )
    return clean.html, text_from_html(clean.html, links=True)


def _locked(delivery: Delivery) -> Delivery:
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("mailbox__owner")
    return rows.get(pk=delivery.pk)


def _editable(delivery: Delivery) -> Delivery:
    row = _locked(delivery)
    _require_editable(row)
    return row


def _require_editable(row: Delivery) -> None:
    if not row.editable:
        raise ComposeError({"state": "The message was sent already and cannot be changed."}, "already_sent")


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _asked_before(row: Delivery, key: str, told: str) -> Delivery | None:
    """The delivery that this key sent before. Raises ComposeError when that was another letter."""
    if not key:
        return None
    first = Delivery.objects.filter(author=row.author_id, key=key[:80]).first()
    if first is None or (first.pk == row.pk and row.editable):
        return None
    if first.key_digest != told:
        raise ComposeError({"key": "This key was used for another message."}, "conflict")
    if first.pk != row.pk and row.editable:
        row.delete()
    return first


def _back_to_draft(row: Delivery) -> None:
    row.state, row.raw, row.message_id, row.key, row.key_digest = State.DRAFT, None, "", "", ""
    row.send_at = row.give_up_at = row.date = None
    row.code = row.problem = row.advice = row.server_text = ""
    row.save()
    tell("delivery", mailbox=row.mailbox_id, id=row.pk)
