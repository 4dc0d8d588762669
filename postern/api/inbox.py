"""Messages: inbox, sent, one message and its files, conversations, the actions with Undo, blocked senders."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from postern.api.auth import who
from postern.api.files import download
from postern.api.letters import Conversation, MessagePage, MessageWhole, line_of, whole_of
from postern.api.readerlog import What, opened
from postern.api.shapes import Body, Cursor, CustomerName, Id, Limit, Text, name_of
from postern.mail import lists
from postern.mail.actions import UNDO_SECONDS, mark_read, perform
from postern.mail.actions import undo as undo_action
from postern.mail.models import Action, Message
from postern.mail.owed import look_now
from postern.mail.pairing import suggestions
from postern.mail.raw import file_of, letter_for
from postern.mail.visibility import watch
from postern.mailboxes.models import DenyEntry
from postern.people.models import Staff

router = Router(tags=["Messages"])


class InboxFilter(Schema):
    """What to list: a kind of message, words, a period of days (both included)."""

    show: Literal["all", "unread", "unknown", "customers", "leads"] = "all"
    q: Annotated[Text, Field(max_length=200)] = ""
    since: date | None = None
    until: date | None = None
    cursor: Cursor = ""
    limit: Limit = lists.PAGE


class Counts(Schema):
    """Numbers of one's own."""

    unread: int
    unknown: int


class Suggested(Schema):
    """A customer or lead that an unknown sender may be, and why."""

    customer: CustomerName
    reasons: list[str]


class ActionBody(Body):
    """What an action needs: pair `customer`; add `kind`, `name`, `phone`, `notes`; block `what`, `remove`;
    delete `trash` (move to Trash on the server too)."""

    customer: Id | None = None
    kind: Literal["customer", "lead"] | None = None
    name: Text | None = None
    phone: Text | None = None
    notes: Text | None = None
    what: Literal["address", "domain"] | None = None
    remove: bool | None = None
    trash: bool | None = None


class ActionDone(Schema):
    """A step that was taken; POST /actions/{id}/undo takes it back."""

    id: int
    key: str
    label: str
    undo_seconds: int = UNDO_SECONDS
    undone: bool


class Blocked(Schema):
    """One address or domain on the deny list of an own mailbox."""

    id: int
    mailbox_id: int
    pattern: str
    comment: str


def visible(staff: Staff, pk: int) -> Message:
    """The message, if this person may read it; else it is not there."""
    message = lists.dressed(Message.objects.visible_to(staff), staff).filter(pk=pk).first()
    if message is None:
        raise Http404
    return message


def own(staff: Staff, pk: int) -> Message:
    """The message, if it lies in a mailbox of the person's own."""
    message = visible(staff, pk)
    if message.mailbox.owner_id != staff.pk:
        raise Http404
    return message


def _page(page: lists.Page, staff: Staff) -> MessagePage:
    lines = [line_of(message, staff) for message in page.messages]
    return MessagePage(messages=lines, next_cursor=page.next_cursor)


@router.get("/inbox", response=MessagePage, operation_id="list_inbox", summary="List incoming messages")
def list_inbox(request: HttpRequest, wanted: Query[InboxFilter]) -> MessagePage:
    """Incoming messages of own mailboxes and of those shared with this person, newest first."""
    chosen = lists.Filter(show=wanted.show, text=wanted.q, since=wanted.since, until=wanted.until)
    return _page(lists.inbox_page(who(request), chosen, wanted.cursor, wanted.limit), who(request))


@router.get("/sent", response=MessagePage, operation_id="list_sent", summary="List sent messages")
def list_sent(request: HttpRequest, cursor: Cursor = "", limit: Limit = lists.PAGE) -> MessagePage:
    """Letters sent from here and from elsewhere, newest first."""
    return _page(
        lists.page(lists.sent(who(request)), who(request), cursor, limit, outgoing=True), who(request)
    )


@router.get("/counts", response=Counts, operation_id="count_messages", summary="Count unread and unknown")
def count_messages(request: HttpRequest) -> dict[str, int]:
    """Unread messages, and those whose author is not found."""
    return lists.counts(who(request))


@router.post("/inbox/check", response={202: None}, operation_id="check_mail", summary="Look for mail now")
def check_mail(request: HttpRequest) -> Status[None]:
    """Ask the worker to visit this person's mailboxes now, and to try again what a server refused."""
    look_now(who(request))
    return Status(202, None)


@router.get(
    "/messages/{int:pk}", response=MessageWhole, operation_id="get_message", summary="Read one message"
)
def get_message(request: HttpRequest, pk: int) -> MessageWhole:
    """One message, incoming or sent. Reading it here leaves it unread; see mark_message_read."""
    message = visible(who(request), pk)
    opened(who(request), [message], What.BODY)
    return whole_of(message, who(request))


@router.post(
    "/messages/{int:pk}/read",
    response={204: None},
    operation_id="mark_message_read",
    summary="Mark as read for oneself",
)
def mark_message_read(request: HttpRequest, pk: int) -> Status[None]:
    """Read state is each person's own; nothing changes on the server. The action `unread` takes it back."""
    mark_read(staff=who(request), message=visible(who(request), pk))
    return Status(204, None)


@router.get(
    "/messages/{int:pk}/source", operation_id="get_message_source", summary="Download the raw letter (.eml)"
)
def get_message_source(request: HttpRequest, pk: int) -> HttpResponse:
    """The letter byte for byte as message/rfc822; for others than its owner without Bcc headers."""
    message = visible(who(request), pk)
    opened(who(request), [message], What.SOURCE)
    raw = letter_for(staff=who(request), message=message)
    return download(raw, f"{message.subject[:80] or 'letter'}.eml", "message/rfc822")


@router.get(
    "/messages/{int:pk}/attachments/{int:index}",
    operation_id="get_attachment",
    summary="Download one file of a message",
)
def get_attachment(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """The decoded bytes of one part."""
    message = visible(who(request), pk)
    found = file_of(message, index)
    if found is None:
        raise Http404
    part, data = found
    opened(who(request), [message], What.FILE, index, part.filename)
    return download(data, part.filename or f"part-{index}")


@router.get(
    "/messages/{int:pk}/suggestions",
    response=list[Suggested],
    operation_id="suggest_customers",
    summary="Who an unknown sender may be",
)
def suggest_customers(request: HttpRequest, pk: int) -> list[Suggested]:
    """Customers and leads with reasons, the best first; for the owner of the mailbox."""
    found = suggestions(own(who(request), pk))
    return [Suggested(customer=name_of(s.customer), reasons=list(s.reasons)) for s in found]


@router.get(
    "/conversations/{int:pk}",
    response=Conversation,
    operation_id="get_conversation",
    summary="Read a conversation",
)
def get_conversation(request: HttpRequest, pk: int) -> Conversation:
    """All messages of a conversation that this person may see, oldest first."""
    staff = who(request)
    rows = Message.objects.visible_to(staff).filter(conversation_id=pk)
    threads = lists.threads(lists.dressed(rows, staff).prefetch_related("attachments"))
    if not threads:
        raise Http404
    opened(staff, threads[0].messages, What.CONVERSATION)
    sight = watch(staff, threads[0].messages)
    messages = [whole_of(message, staff, sight) for message in threads[0].messages]
    return Conversation(id=pk, subject=threads[0].subject, messages=messages)


@router.post(
    "/messages/{int:pk}/actions/{slug:key}",
    response=ActionDone,
    operation_id="act_on_message",
    summary="Pair, add, block, delete, mark unread or unpair",
)
def act_on_message(request: HttpRequest, pk: int, key: str, data: ActionBody) -> ActionDone:
    """Actions are the owner's; a reader can only mark as unread. Each message lists the actions it offers."""
    staff, message = who(request), visible(who(request), pk)
    typed: dict[str, Any] = data.dict(exclude_none=True)
    return _done(perform(staff=staff, key=key, message=message, data=typed))


@router.post(
    "/actions/{int:pk}/undo", response=ActionDone, operation_id="undo_action", summary="Undo an action"
)
def undo(request: HttpRequest, pk: int) -> ActionDone:
    """Take one of one's own actions back."""
    return _done(undo_action(staff=who(request), action_id=pk))


def _done(row: Action) -> ActionDone:
    return ActionDone(id=row.pk, key=row.key, label=row.label, undone=row.undone_at is not None)


@router.get("/blocked", response=list[Blocked], operation_id="list_blocked", summary="List blocked senders")
def list_blocked(request: HttpRequest) -> list[Blocked]:
    """Addresses and domains on the deny lists of one's own mailboxes."""
    rows = DenyEntry.objects.filter(mailbox__owner=who(request)).exclude(pattern="")
    return [
        Blocked(id=row.pk, mailbox_id=row.mailbox_id, pattern=row.pattern, comment=row.comment)
        for row in rows
    ]


@router.delete(
    "/blocked/{int:pk}", response={204: None}, operation_id="unblock", summary="Take a sender off again"
)
def unblock(request: HttpRequest, pk: int) -> Status[None]:
    """New mail from it is stored again."""
    entry = DenyEntry.objects.filter(mailbox__owner=who(request), pk=pk).exclude(pattern="").first()
    if entry is None:
        raise Http404
    entry.delete()
    return Status(204, None)
