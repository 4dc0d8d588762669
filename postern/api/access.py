"""Access settings: who may read a mailbox. Only its owner gives and takes."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import AwareDatetime

from postern.api.auth import who
from postern.api.mailboxes import own_mailbox
from postern.api.shapes import Body
from postern.mailboxes.models import Reader
from postern.mailboxes.readers import grant, in_words, revoke
from postern.people.models import Staff

router = Router(tags=["My Profile"])


class Grant(Body):
    """What a reader sees: everything, or narrowed; until when. `may_reply`: they may answer it in the owner's name."""

    incoming_only: bool = False
    customers_only: bool = False
    may_reply: bool = False
    ends_at: AwareDatetime | None = None


class ReaderOut(Schema):
    """One reader of a mailbox."""

    staff_id: int
    name: str
    incoming_only: bool
    customers_only: bool
    may_reply: bool
    ends_at: datetime | None
    in_words: str


@router.get(
    "/mailboxes/{int:pk}/readers",
    response=list[ReaderOut],
    operation_id="list_readers",
    summary="Who may read a mailbox",
)
def list_readers(request: HttpRequest, pk: int) -> list[ReaderOut]:
    """Told to the owner only."""
    rows = Reader.objects.filter(mailbox=own_mailbox(request, pk)).select_related("staff")
    return [_out(row) for row in rows.order_by("staff__name", "pk")]


@router.put(
    "/mailboxes/{int:pk}/readers/{int:staff}",
    response=ReaderOut,
    operation_id="grant_access",
    summary="Give access, or change it",
)
def grant_access(request: HttpRequest, pk: int, staff: int, data: Grant) -> ReaderOut:
    """Drafts and blind copies stay the owner's alone."""
    mailbox = own_mailbox(request, pk)
    reader = get_object_or_404(Staff, pk=staff)
    return _out(grant(staff=who(request), mailbox=mailbox, reader=reader, **data.dict()))


@router.delete(
    "/mailboxes/{int:pk}/readers/{int:staff}",
    response={204: None},
    operation_id="revoke_access",
    summary="Take access back",
)
def revoke_access(request: HttpRequest, pk: int, staff: int) -> Status[None]:
    """It ends with the next request, in open pages too."""
    row = get_object_or_404(
        Reader.objects.select_related("staff"), mailbox=own_mailbox(request, pk), staff_id=staff
    )
    revoke(staff=who(request), mailbox=row.mailbox, reader=row.staff)
    return Status(204, None)


def _out(row: Reader) -> ReaderOut:
    return ReaderOut(
        staff_id=row.staff_id,
        name=row.staff.name,
        incoming_only=row.incoming_only,
        customers_only=row.customers_only,
        may_reply=row.may_reply,
        ends_at=row.ends_at,
        in_words=in_words(row),
    )
