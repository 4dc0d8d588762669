"""One conversation shared with one colleague by name. Only the owner of its mailbox gives and takes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from pydantic import AwareDatetime

from postern.api.auth import who
from postern.api.inbox import own
from postern.api.shapes import Body
from postern.mail.models import ConversationShare
from postern.mail.sharing import add_aside, own_conversation, share, shares_of, take_back, take_out
from postern.people.models import Staff

router = Router(tags=["Messages"])


class ShareBody(Body):
    """Until when; null for no end. `messages`: how many you saw in it; with more by now it is refused."""

    ends_at: AwareDatetime | None = None
    messages: Annotated[int, Field(ge=1)] | None = None


class ShareOut(Schema):
    """A colleague who reads this conversation, and nothing else of the mailbox, by a share in force."""

    staff_id: int
    name: str
    ends_at: datetime | None
    created_at: datetime


class Added(Schema):
    """The conversation that the message is now of."""

    conversation_id: int


@router.get(
    "/conversations/{int:pk}/shares",
    response=list[ShareOut],
    operation_id="list_shares",
    summary="With whom a conversation is shared by name",
)
def list_shares(request: HttpRequest, pk: int) -> list[ShareOut]:
    """Told to the owner only. Who reads the whole mailbox is under its readers."""
    own_conversation(who(request), pk)
    return [_out(row) for row in shares_of(who(request), [pk])]


@router.put(
    "/conversations/{int:pk}/shares/{int:staff}",
    response=ShareOut,
    operation_id="share_conversation",
    summary="Share a conversation with a colleague, or change until when",
)
def share_conversation(request: HttpRequest, pk: int, staff: int, data: ShareBody) -> ShareOut:
    """They read exactly its messages, without drafts and blind copies; answers of those in it come along."""
    own_conversation(who(request), pk)
    colleague = get_object_or_404(Staff, pk=staff)
    return _out(share(staff=who(request), conversation=pk, colleague=colleague, **data.dict()))


@router.delete(
    "/conversations/{int:pk}/shares/{int:staff}",
    response={204: None},
    operation_id="take_back_share",
    summary="Take a shared conversation back",
)
def take_back_share(request: HttpRequest, pk: int, staff: int) -> Status[None]:
    """It ends with the next request, in open pages too."""
    take_back(staff=who(request), conversation=pk, colleague=staff)
    return Status(204, None)


@router.post(
    "/messages/{int:pk}/add-to-conversation",
    response=Added,
    operation_id="add_to_conversation",
    summary="Add a message to the shared conversation it answers",
)
def add_to_conversation(request: HttpRequest, pk: int) -> Added:
    """Where `answers_shared` says that it stands apart from one; its colleagues read the message from then on."""
    message = own(who(request), pk)
    return Added(conversation_id=add_aside(staff=who(request), message=message))


@router.post(
    "/messages/{int:pk}/take-out-of-conversation",
    response=Added,
    operation_id="take_out_of_conversation",
    summary="Take a message out of a shared conversation again that was added to it",
)
def take_out_of_conversation(request: HttpRequest, pk: int) -> Added:
    """Where `answers_shared` says that it was added; the colleagues do not find it with their next request."""
    message = own(who(request), pk)
    return Added(conversation_id=take_out(staff=who(request), message=message))


def _out(row: ConversationShare) -> ShareOut:
    return ShareOut(
        staff_id=row.staff_id, name=row.staff.name, ends_at=row.ends_at, created_at=row.created_at
    )
