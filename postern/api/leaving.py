"""When somebody leaves: one's own choice beforehand, what one was told, and the handover with its log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from pydantic import AwareDatetime

from postern.api.auth import who
from postern.api.config import must_be_super
from postern.api.shapes import Body, Text
from postern.people import handover
from postern.people.models import Handover, Notice, Staff
from postern.people.staff import StaffRefused

mine = Router(tags=["My Profile"])
config = Router(tags=["Config"])

Reason = Annotated[Text, Field(max_length=2000)]


class Choice(Schema):
    """Whether one's mail may be read by a successor; `successor` null: whoever a super-administrator names."""

    agreed: bool
    successor: int | None
    customers_only: bool


class ChoiceNew(Body):
    """The same, to be set."""

    agreed: bool
    successor: int | None = None
    customers_only: bool = True


class NoticeOut(Schema):
    """Something one must be told."""

    id: int
    text: str
    created_at: datetime
    mailed_at: datetime | None


class Read(Body):
    """Notices up to this id were read."""

    upto: Annotated[int, Field(ge=0, lt=2**63)]


class HandoverNew(Body):
    """To whom, until when (within a year), why."""

    successor: int
    ends_at: AwareDatetime
    reason: Reason = ""


class HandoverLine(Schema):
    """One line of the log. `ground`: consent, break_glass, or ended; password or token for what was made at the
    server's shell for `owner_id` (then `by_id` is null)."""

    id: int
    owner_id: int
    successor_id: int | None
    by_id: int | None
    ground: str
    reason: str
    customers_only: bool
    ends_at: datetime | None
    created_at: datetime


@mine.get("/me/consent", response=Choice, operation_id="get_consent", summary="If I leave")
def get_consent(request: HttpRequest) -> Choice:
    """Nobody gets one's mail unless one agreed."""
    found = handover.consent_of(who(request))
    if found is None:
        return Choice(agreed=False, successor=None, customers_only=True)
    return Choice(agreed=True, successor=found.successor_id, customers_only=found.customers_only)


@mine.put(
    "/me/consent", response=Choice, operation_id="set_consent", summary="Choose what becomes of my mail"
)
def set_consent(request: HttpRequest, data: ChoiceNew) -> Choice:
    """It can be taken back at any time before one's account is disabled."""
    successor = None
    if data.successor is not None:
        successor = Staff.objects.filter(pk=data.successor).first()
        if successor is None:
            raise StaffRefused("bad_successor", "successor", "Choose somebody else who can sign in.")
    handover.choose(
        staff=who(request), agreed=data.agreed, successor=successor, customers_only=data.customers_only
    )
    return get_consent(request)


@mine.get("/me/notices", response=list[NoticeOut], operation_id="list_notices", summary="What I must be told")
def list_notices(request: HttpRequest) -> list[Notice]:
    """Those not yet read; the pages open no other page before."""
    return handover.notices_of(who(request))


@mine.post(
    "/me/notices/read", response={204: None}, operation_id="read_notices", summary="Say that they were read"
)
def read_notices(request: HttpRequest, data: Read) -> Status[None]:
    """One that came since stays."""
    handover.read_notices(staff=who(request), upto=data.upto)
    return Status(204, None)


@config.get(
    "/handovers", response=list[HandoverLine], operation_id="list_handovers", summary="The log of handovers"
)
def list_handovers(request: HttpRequest) -> Any:
    """Newest first. Lines are added and never changed."""
    must_be_super(request)
    return Handover.objects.all()


@config.post(
    "/administrators/{int:pk}/handover",
    response={201: HandoverLine},
    operation_id="hand_over",
    summary="Hand a disabled person's mail to a successor",
)
def hand_over(request: HttpRequest, pk: int, data: HandoverNew) -> Status[Handover]:
    """To read, until a day; never to oneself. Without the owner's consent `reason` is needed, and the owner is told."""
    by = must_be_super(request)
    owner = get_object_or_404(Staff, pk=pk)
    successor = get_object_or_404(Staff, pk=data.successor)
    line = handover.hand_over(
        by=by, owner=owner, successor=successor, reason=data.reason, ends_at=data.ends_at
    )
    return Status(201, line)


@config.delete(
    "/administrators/{int:pk}/handover",
    response={204: None},
    operation_id="end_handover",
    summary="End a handover",
)
def end_handover(request: HttpRequest, pk: int) -> Status[None]:
    """It ends with the next request, in open pages too."""
    by = must_be_super(request)
    handover.end_handover(by=by, owner=get_object_or_404(Staff, pk=pk))
    return Status(204, None)
