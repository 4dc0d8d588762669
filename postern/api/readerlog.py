"""The reader log: who else opened messages of one's own mailboxes; and the line that each opening here writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from zoneinfo import available_timezones

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from postern.api.auth import who
from postern.api.errors import Refusal
from postern.api.mailboxes import own_mailbox
from postern.api.paging import newest_first
from postern.api.shapes import Body, Cursor, Id, Limit, Text
from postern.mail import digest, readerlog
from postern.mail.models import Message, Opening
from postern.mail.visibility import scope_in_words
from postern.people.models import Staff

router = Router(tags=["My Profile"])
What = Opening.What


class LogFilter(Schema):
    """What to list: one reader, mailbox, message or customer, a period of days (both included)."""

    reader: Id | None = None
    mailbox: Id | None = None
    message: Id | None = None
    customer: Id | None = None
    since: date | None = None
    until: date | None = None
    cursor: Cursor = ""
    limit: Limit = 50


class Through(Schema):
    """The grant as it was at that moment: for a mailbox, or one conversation shared by name. `id` null: unknown."""

    kind: str
    id: int | None
    granted_at: datetime | None
    incoming_only: bool
    customers_only: bool
    may_reply: bool
    ends_at: datetime | None
    in_words: str


class OpeningLine(Schema):
    """One opening. `what`: body, conversation, file, source or reply; `door`: page or api.

    `file_index` and `file_name` name the attachment. Subject and author are those of that moment, and stay when
    the message is deleted.
    """

    id: int
    at: datetime
    reader_id: int
    reader_name: str
    what: str
    door: str
    mailbox_id: int
    message_id: int
    conversation_id: int
    file_index: int | None
    file_name: str
    subject: str
    author: str
    outgoing: bool
    received_at: datetime
    customers: list[int]
    through: Through


class OpeningPage(Schema):
    """Some lines, the newest first; `next_cursor` is empty on the last page."""

    openings: list[OpeningLine]
    next_cursor: str


@router.get(
    "/reader-log",
    response=OpeningPage,
    operation_id="list_reader_log",
    summary="Who else opened one's messages",
)
def list_reader_log(request: HttpRequest, wanted: Query[LogFilter]) -> OpeningPage:
    """Each opening of a message in one's own mailboxes by somebody else. Nobody can change or remove a line."""
    chosen = readerlog.Wanted(
        reader=wanted.reader,
        mailbox=wanted.mailbox,
        message=wanted.message,
        since=wanted.since,
        until=wanted.until,
        customers=None if wanted.customer is None else (wanted.customer,),
    )
    rows, cursor = newest_first(readerlog.lines(who(request), chosen), wanted.cursor, wanted.limit)
    return OpeningPage(openings=[_line(row) for row in rows], next_cursor=cursor)


class DigestChoice(Body):
    """Whether a daily digest is sent to the mailbox; `time_zone` by its IANA name, null keeps the one known."""

    wanted: bool
    time_zone: Annotated[Text, Field(max_length=64)] | None = None


class DigestOut(Schema):
    """The owner's choice; a digest comes once a day, from `hour` o'clock on in `time_zone`."""

    wanted: bool
    time_zone: str
    hour: int


@router.get(
    "/mailboxes/{int:pk}/digest",
    response=DigestOut,
    operation_id="get_digest",
    summary="Whether a daily digest of the reader log is sent",
)
def get_digest(request: HttpRequest, pk: int) -> DigestOut:
    """Off unless the owner chose it."""
    row = digest.digest_of(who(request), own_mailbox(request, pk))
    return DigestOut(wanted=row.wanted, time_zone=digest.zone_of(row).key, hour=digest.HOUR)


@router.put(
    "/mailboxes/{int:pk}/digest",
    response=DigestOut,
    operation_id="choose_digest",
    summary="Choose whether a daily digest of the reader log is sent",
)
def choose_digest(request: HttpRequest, pk: int, data: DigestChoice) -> DigestOut:
    """To the mailbox itself, through the server that its owner's mail is sent by; none when nobody opened anything."""
    box = own_mailbox(request, pk)
    if data.time_zone is not None and data.time_zone not in available_timezones():
        raise Refusal(
            "invalid", "There is no such time zone.", {"time_zone": ["Type a name like Europe/Berlin."]}
        )
    digest.choose(staff=who(request), mailbox=box, wanted=data.wanted, zone=data.time_zone or "")
    return get_digest(request, pk)


def opened(
    staff: Staff,
    messages: Sequence[Message],
    what: Opening.What,
    part: int | None = None,
    part_name: str = "",
) -> None:
    """Note an opening through the API; one's own mail writes nothing."""
    readerlog.note(
        staff=staff, messages=messages, what=what, door=Opening.Door.API, part=part, part_name=part_name
    )


def _line(row: Opening) -> OpeningLine:
    through = Through(
        kind="conversation" if row.by_share else "mailbox",
        id=row.grant_id,
        granted_at=row.granted_at,
        incoming_only=row.incoming_only,
        customers_only=row.customers_only,
        may_reply=row.may_reply,
        ends_at=row.ends_at,
        in_words=scope_in_words(row),
    )
    return OpeningLine(
        id=row.pk,
        at=row.at,
        reader_id=row.reader_id,
        reader_name=row.reader_name,
        what=row.what,
        door=row.door,
        mailbox_id=row.mailbox_id,
        message_id=row.message_id,
        conversation_id=row.conversation_id,
        file_index=row.part,
        file_name=row.part_name,
        subject=row.subject,
        author=row.author,
        outgoing=row.outgoing,
        received_at=row.received_at,
        customers=row.customers,
        through=through,
    )
