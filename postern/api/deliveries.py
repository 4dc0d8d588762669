"""A letter of one's own, or one's answer for another, as the API tells of it: what was written, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema

from postern.api.shapes import Person, people_of
from postern.outbox.behalf import Seen
from postern.outbox.models import OutgoingFile


class FileOut(Schema):
    """A file of a letter; with a content id it stands in the text as <img src="cid:…">."""

    id: int
    name: str
    content_type: str
    size: int
    content_id: str


class Problem(Schema):
    """Why a letter was not sent, in words."""

    code: str
    message: str
    advice: str
    server_text: str


class DeliveryOut(Schema):
    """A draft, or a letter on its way, or its fate.

    `send_at`: while queued, the end of the time to undo, then when the next attempt is due. `accepted` are the
    recipients for whom the server took the letter; they never get it again. `refused` are [address, code, text] of
    those it refused for good. `deferred` are the same of those it refused for now: while the letter is queued, sending
    or unknown they are tried again; afterwards they did not get it.
    `on_behalf_of`: the owner in whose name this person writes it. `written_by`: who wrote it in this
    person's name. `access_ended`: this person may no longer send it, and has only their own words of it.
    """

    id: int
    on_behalf_of: str
    written_by: str
    access_ended: bool
    state: str
    mailbox_id: int
    customer_id: int | None
    to: list[Person]
    cc: list[Person]
    bcc: list[Person]
    subject: str
    html: str
    text: str
    answers_message_id: int | None
    forward: bool
    files: list[FileOut]
    editable: bool
    send_at: datetime | None
    attempts: int
    problem: Problem | None
    refused: list[list[Any]]
    deferred: list[list[Any]]
    accepted: list[str]
    accepted_at: datetime | None
    sent_message_id: int | None
    message_id: str
    created_at: datetime
    updated_at: datetime


class DeliveryPage(Schema):
    """Some deliveries, newest first; `next_cursor` is empty on the last page."""

    deliveries: list[DeliveryOut]
    next_cursor: str


def delivery_out(seen: Seen) -> DeliveryOut:
    """A delivery as the API tells it to one person."""
    row = seen.row
    problem = Problem(code=row.code, message=row.problem, advice=row.advice, server_text=row.server_text)
    return DeliveryOut(
        id=row.pk,
        on_behalf_of=seen.on_behalf_of,
        written_by=seen.written_by,
        access_ended=seen.ended,
        state=row.state,
        mailbox_id=row.mailbox_id,
        customer_id=row.customer_id,
        to=people_of(row.to),
        cc=people_of(row.cc),
        bcc=people_of(row.bcc),
        subject=row.subject,
        html=row.html,
        text=row.text,
        answers_message_id=row.answers_id,
        forward=row.forward,
        files=[file_out(file) for file in seen.files],
        editable=seen.can_edit,
        send_at=row.send_at,
        attempts=row.attempts,
        problem=problem if row.problem or row.code else None,
        refused=row.refused,
        deferred=row.deferred,
        accepted=row.accepted,
        accepted_at=row.accepted_at,
        sent_message_id=row.sent_id,
        message_id=row.message_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def file_out(file: OutgoingFile) -> FileOut:
    return FileOut(
        id=file.pk,
        name=file.name,
        content_type=file.content_type,
        size=file.size,
        content_id=file.content_id,
    )
