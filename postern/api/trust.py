"""The certificate log: who stopped checking a server's certificate, trusted a changed one, or allowed it."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema

from postern.api.config import must_be_super
from postern.api.mailboxes import own_mailbox
from postern.api.paging import newest_first
from postern.api.shapes import Cursor, Limit
from postern.mailboxes import trust
from postern.mailboxes.models import TrustLine

mine = Router(tags=["My Profile"])
config = Router(tags=["Config"])


class TrustLineOut(Schema):
    """One step. Without a mailbox it is about all: what the company allows. Lines are never changed or removed.

    `what`: unchecked, checked, trusted, allowed or forbidden.
    """

    id: int
    at: datetime
    by_id: int
    by_name: str
    mailbox_id: int | None
    what: str
    server: str
    sha256: str
    former_sha256: str


class TrustPage(Schema):
    """Some lines, the newest first; `next_cursor` is empty on the last page."""

    lines: list[TrustLineOut]
    next_cursor: str


class Page(Schema):
    """Where to go on."""

    cursor: Cursor = ""
    limit: Limit = 50


@mine.get(
    "/mailboxes/{int:pk}/certificate-log",
    response=TrustPage,
    operation_id="list_certificate_log",
    summary="What was done about a mailbox's certificates",
)
def list_certificate_log(request: HttpRequest, pk: int, wanted: Query[Page]) -> TrustPage:
    """Of one of one's own mailboxes."""
    return _page(trust.log_of(own_mailbox(request, pk)), wanted)


@config.get(
    "/certificate-log",
    response=TrustPage,
    operation_id="list_all_certificates",
    summary="What was done about certificates",
)
def list_all_certificates(request: HttpRequest, wanted: Query[Page]) -> TrustPage:
    """By everybody, and what the company allows."""
    must_be_super(request)
    return _page(trust.log_of(), wanted)


def _page(rows: QuerySet[TrustLine], wanted: Page) -> TrustPage:
    found, cursor = newest_first(rows, wanted.cursor, wanted.limit)
    return TrustPage(lines=[_line(row) for row in found], next_cursor=cursor)


def _line(row: TrustLine) -> TrustLineOut:
    return TrustLineOut(
        id=row.pk,
        at=row.at,
        by_id=row.by_id,
        by_name=row.by.name,
        mailbox_id=row.mailbox_id,
        what=row.what,
        server=row.server,
        sha256=row.sha256,
        former_sha256=row.former_sha256,
    )
