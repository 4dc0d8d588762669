"""Writing: drafts, replies, files, sending with an idempotency key, Undo, and each letter's fate.

One's own, what one writes in the name of an owner who lets one answer, and what readers sent off in one's own name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, File, Form, Header, Query, Router, Schema, Status
from ninja.files import UploadedFile

from postern.api.auth import who
from postern.api.deliveries import DeliveryOut, DeliveryPage, FileOut, delivery_out, file_out
from postern.api.errors import Refusal
from postern.api.files import download
from postern.api.inbox import own, visible
from postern.api.paging import newest_first
from postern.api.readerlog import What, opened
from postern.api.shapes import Body, Cursor, Id, Limit, Line, Text
from postern.mailboxes.models import Mailbox
from postern.outbox import compose
from postern.outbox.behalf import Seen, seen_by
from postern.outbox.models import Delivery
from postern.people.models import Customer

router = Router(tags=["Compose"])

State = Literal["draft", "queued", "sending", "accepted", "failed", "unknown", "held"]


class Recipient(Body):
    """A recipient by name and address."""

    name: Line = ""
    address: Line


Recipients = Text | Annotated[list[Line | Recipient], Field(max_length=500)]


class Written(Body):
    """What was written; recipients as one text, or a list. With `html` the text is made from it."""

    mailbox: Id | None = None
    to: Recipients | None = None
    cc: Recipients | None = None
    bcc: Recipients | None = None
    subject: Text | None = None
    html: Text | None = None
    text: Text | None = None


class DraftNew(Written):
    """A new draft; with `customer` it goes to their main address unless `to` says otherwise."""

    customer: Id | None = None


class ReplyBody(Body):
    """To the author alone, or to all."""

    to_all: bool = False


class SendBody(Body):
    """Seconds in which it can be taken back."""

    undo_seconds: Annotated[int, Field(ge=0, le=120)] = compose.UNDO_SECONDS


class SettleBody(Body):
    """What became of a letter whose fate is unknown."""

    arrived: bool


class DeliveryFilter(Schema):
    """Which to list."""

    state: State | None = None
    customer: Id | None = None
    cursor: Cursor = ""
    limit: Limit = 50


def _seen(request: HttpRequest, pk: int) -> Seen:
    found = seen_by(who(request), Delivery.objects.of(who(request)).filter(pk=pk))
    if not found:
        raise Http404
    return found[0]


def _mine(request: HttpRequest, pk: int) -> Delivery:
    """A letter that this person wrote. Raises Refusal for one that a reader wrote in their name."""
    row = Delivery.objects.of(who(request)).filter(pk=pk).first()
    if row is None:
        raise Http404
    if row.author_id != who(request).pk:
        raise Refusal("not_editable", "Only its author can change it or send it.")
    return row


def _out(request: HttpRequest, row: Delivery) -> DeliveryOut:
    return delivery_out(seen_by(who(request), [row])[0])


def _mailbox(request: HttpRequest, pk: int | None) -> Mailbox | None:
    return get_object_or_404(Mailbox, pk=pk, owner=who(request)) if pk is not None else None


def _typed(recipients: Any) -> Any:
    """Recipients as compose takes them: a text, or a list of texts and (name, address)."""
    if recipients is None or isinstance(recipients, str):
        return recipients
    return [entry if isinstance(entry, str) else (entry.name, entry.address) for entry in recipients]


def _save(request: HttpRequest, row: Delivery, data: Written) -> Delivery:
    """Save what `data` names; the rest stays as it was."""
    html, text = data.html, data.text
    if html is None and text is None:
        html, text = row.html or None, row.text
    return compose.save(
        delivery=row,
        to=row.to if data.to is None else _typed(data.to),
        cc=row.cc if data.cc is None else _typed(data.cc),
        bcc=row.bcc if data.bcc is None else _typed(data.bcc),
        subject=row.subject if data.subject is None else data.subject,
        html=html,
        text=text,
        mailbox=_mailbox(request, None if data.mailbox == row.mailbox_id else data.mailbox),
    )


@router.get("/deliveries", response=DeliveryPage, operation_id="list_deliveries", summary="List letters")
def list_deliveries(request: HttpRequest, wanted: Query[DeliveryFilter]) -> DeliveryPage:
    """Own drafts and letters by state, the newest first; also what readers sent off in this person's name."""
    staff = who(request)
    rows = Delivery.objects.of(staff).prefetch_related("files")
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    if wanted.customer:
        rows = rows.current(staff).filter(customer_id=wanted.customer)
    found, cursor = newest_first(rows, wanted.cursor, wanted.limit)
    return DeliveryPage(deliveries=[delivery_out(one) for one in seen_by(staff, found)], next_cursor=cursor)


@router.post("/deliveries", response={201: DeliveryOut}, operation_id="new_draft", summary="Start a letter")
def new_draft(request: HttpRequest, data: DraftNew) -> Status[DeliveryOut]:
    """Save a draft, from one's first mailbox unless `mailbox` says otherwise."""
    customer = get_object_or_404(Customer, pk=data.customer) if data.customer else None
    mailbox = _mailbox(request, data.mailbox)
    row = compose.new(staff=who(request), mailbox=mailbox, customer=customer, to=_typed(data.to))
    return Status(201, _out(request, _save(request, row, data)))


@router.post(
    "/messages/{int:pk}/reply", response={201: DeliveryOut}, operation_id="reply", summary="Start a reply"
)
def reply(request: HttpRequest, pk: int, data: ReplyBody) -> Status[DeliveryOut]:
    """A draft that answers and quotes a message: one's own, or one that lists the action `reply`.

    In another's name it goes out from their mailbox, to somebody who takes part in the message.
    """
    staff = who(request)
    message = visible(staff, pk)
    draft = compose.reply(staff=staff, message=message, to_all=data.to_all)
    opened(staff, [message], What.REPLY)
    return Status(201, _out(request, draft))


@router.post(
    "/messages/{int:pk}/forward", response={201: DeliveryOut}, operation_id="forward", summary="Forward"
)
def forward(request: HttpRequest, pk: int) -> Status[DeliveryOut]:
    """A draft that passes a message of one's own mailbox on, its files included."""
    return Status(201, _out(request, compose.forward(staff=who(request), message=own(who(request), pk))))


@router.get(
    "/deliveries/{int:pk}",
    response=DeliveryOut,
    operation_id="get_delivery",
    summary="One letter and its fate",
)
def get_delivery(request: HttpRequest, pk: int) -> DeliveryOut:
    """A draft, or how far a letter has come."""
    return delivery_out(_seen(request, pk))


@router.patch(
    "/deliveries/{int:pk}", response=DeliveryOut, operation_id="save_draft", summary="Change a draft"
)
def save_draft(request: HttpRequest, pk: int, data: Written) -> DeliveryOut:
    """What is left out stays as it is. Addresses need not be right before the letter is sent."""
    return _out(request, _save(request, _mine(request, pk), data))


@router.delete(
    "/deliveries/{int:pk}", response={204: None}, operation_id="discard_draft", summary="Throw a draft away"
)
def discard_draft(request: HttpRequest, pk: int) -> Status[None]:
    """Only drafts and letters that were not sent."""
    compose.discard(delivery=_mine(request, pk))
    return Status(204, None)


@router.post(
    "/deliveries/{int:pk}/files", response={201: FileOut}, operation_id="attach_file", summary="Attach a file"
)
def attach_file(
    request: HttpRequest,
    pk: int,
    file: UploadedFile = File(...),  # type: ignore[type-arg]  # noqa: B008
    inline: bool = Form(False),  # type: ignore[type-arg]
) -> Status[FileOut]:
    """`inline` is for a picture in the text: put the answer's content_id into <img src="cid:…">."""
    row = compose.attach(
        delivery=_mine(request, pk),
        name=file.name or "",
        content_type=file.content_type or "application/octet-stream",
        data=file.read(),
        inline=inline,
    )
    return Status(201, file_out(row))


@router.get(
    "/deliveries/{int:pk}/files/{int:file}",
    operation_id="get_outgoing_file",
    summary="Download a draft's file",
)
def get_outgoing_file(request: HttpRequest, pk: int, file: int) -> HttpResponse:
    """The bytes of one attached file."""
    row = next((row for row in _seen(request, pk).files if row.pk == file), None)
    if row is None:
        raise Http404
    return download(bytes(row.data), row.name)


@router.delete(
    "/deliveries/{int:pk}/files/{int:file}",
    response={204: None},
    operation_id="detach_file",
    summary="Take a file off a draft",
)
def detach_file(request: HttpRequest, pk: int, file: int) -> Status[None]:
    """Drafts only."""
    compose.detach(delivery=_mine(request, pk), file_id=file)
    return Status(204, None)


@router.post("/deliveries/{int:pk}/send", response=DeliveryOut, operation_id="send", summary="Send a letter")
def send(
    request: HttpRequest,
    pk: int,
    data: SendBody,
    key: Annotated[str, Header(alias="Idempotency-Key", max_length=80)] = "",
) -> DeliveryOut:
    """Check everything, fix the letter's bytes and queue it. It can be taken back for `undo_seconds`.

    The same `Idempotency-Key` with the same letter gives the first delivery again and never sends twice;
    with another letter it is refused (409, conflict).
    """
    row = compose.send(delivery=_mine(request, pk), key=key, undo_seconds=data.undo_seconds)
    return _out(request, row)


@router.post("/deliveries/{int:pk}/undo", response=DeliveryOut, operation_id="undo_send", summary="Undo send")
def undo_send(request: HttpRequest, pk: int) -> DeliveryOut:
    """The letter is a draft again, if no attempt to send it is under way (else 409, too_late).

    One that some have got stays as it was sent, and is soon `accepted`: the others are not tried again.
    What a reader wrote in this person's name is stopped and waits, held, for its author.
    """
    return _out(request, compose.undo_send(delivery=_seen(request, pk).row, staff=who(request)))


@router.post(
    "/deliveries/{int:pk}/settle",
    response=DeliveryOut,
    operation_id="settle_delivery",
    summary="Say what became of a letter of unknown fate",
)
def settle_delivery(request: HttpRequest, pk: int, data: SettleBody) -> DeliveryOut:
    """Arrived: it counts as sent. Not arrived: it is a draft again. It is never sent again by itself.

    Where others have it already, this is about the rest alone; not arrived sends it to them once more.
    """
    row = compose.settle(delivery=_seen(request, pk).row, arrived=data.arrived, staff=who(request))
    return _out(request, row)
