"""A person's own mailboxes: their settings, how they are, and their ledger. Secrets are write-only."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from django.http import Http404, HttpRequest
from ninja import Field, Query, Router, Schema, Status

from postern.api.auth import who
from postern.api.errors import Refusal
from postern.api.paging import newest_first
from postern.api.settings import settings_schema, values
from postern.api.shapes import Body, Cursor, Limit, Line, Text
from postern.mail import lists
from postern.mail.models import Sighting
from postern.mailboxes import denylist
from postern.mailboxes.comparing import compare_now
from postern.mailboxes.connection import unchecked
from postern.mailboxes.health import in_words
from postern.mailboxes.models import Mailbox, MailboxHealth
from postern.mailboxes.save import accept_certificate, save_mailbox
from postern.mailboxes.sections import FIELDS

router = Router(tags=["My Profile"])

if TYPE_CHECKING:
    MailboxSettings = Body
else:
    MailboxSettings = settings_schema("MailboxSettings", Mailbox, FIELDS)


class Health(Schema):
    """How a mailbox is, as a state for programs and in words for people.

    `reconciled`: what came of the last comparison with the mail server, a sentence and then the folders.
    `goes_on_at`: when old messages go on, while they wait for the provider's day to pass (code `history_rests`).
    """

    state: str
    since: datetime | None
    title: str
    sentence: str
    fix: str
    code: str
    last_sync_at: datetime | None
    reconciled_at: datetime | None
    reconciled: str
    done: int
    total: int
    goes_on_at: datetime | None
    seen_sha256: str
    smtp_seen_sha256: str


class MailboxOut(Schema):
    """A mailbox of one's own. `settings` holds what PATCH takes, without passwords and deny list.

    `unchecked` names its servers, imap and smtp, whose certificate is not checked.
    """

    id: int
    settings: dict[str, Any]
    deny_list: str
    has_imap_secret: bool
    has_smtp_secret: bool
    imap_pinned_sha256: str
    smtp_pinned_sha256: str
    unchecked: list[str]
    settings_version: int
    created_at: datetime
    health: Health | None


class CertificateBody(Body):
    """SHA-256 of the certificate to trust, as health shows it, and whose it is."""

    sha256: Annotated[Line, Field(max_length=64)]
    server: Literal["imap", "smtp"] = "imap"


class DenyList(Body):
    """Lines as typed into the deny list."""

    deny_list: Text


class DenyPreview(Schema):
    """The number of incoming messages here from senders on the list."""

    hidden: int


class LedgerLine(Schema):
    """What became of one UID on the server."""

    id: int
    folder: str
    uidvalidity: int
    uid: int
    outcome: str
    reason: str
    message_id: int | None
    gone_at: datetime | None


class LedgerPage(Schema):
    """Some lines, the latest first; `next_cursor` is empty on the last page."""

    lines: list[LedgerLine]
    next_cursor: str


class LedgerFilter(Schema):
    """Which lines."""

    outcome: Literal["imported", "denied", "skipped", "quarantined"] | None = None
    cursor: Cursor = ""
    limit: Limit = 100


def own_mailbox(request: HttpRequest, pk: int) -> Mailbox:
    """A mailbox of the person's own; any other is not there."""
    mailbox = Mailbox.objects.filter(owner=who(request), pk=pk).select_related("health").first()
    if mailbox is None:
        raise Http404
    return mailbox


@router.get("/mailboxes", response=list[MailboxOut], operation_id="list_mailboxes", summary="Own mailboxes")
def list_mailboxes(request: HttpRequest) -> list[MailboxOut]:
    """Settings and health of each."""
    return [_out(box) for box in Mailbox.objects.filter(owner=who(request)).select_related("health")]


@router.post("/mailboxes", response={201: MailboxOut}, operation_id="add_mailbox", summary="Set up a mailbox")
def add_mailbox(request: HttpRequest, data: MailboxSettings) -> Status[MailboxOut]:
    """Settings left out take their defaults. All is saved or nothing."""
    mailbox = save_mailbox(staff=who(request), mailbox=None, data=data.dict(exclude_unset=True))
    return Status(201, _out(own_mailbox(request, mailbox.pk)))


@router.get(
    "/mailboxes/{int:pk}", response=MailboxOut, operation_id="get_mailbox", summary="A mailbox's settings"
)
def get_mailbox(request: HttpRequest, pk: int) -> MailboxOut:
    """All settings but the passwords."""
    return _out(own_mailbox(request, pk))


@router.patch(
    "/mailboxes/{int:pk}", response=MailboxOut, operation_id="change_mailbox", summary="Change settings"
)
def change_mailbox(request: HttpRequest, pk: int, data: MailboxSettings) -> MailboxOut:
    """Settings left out stay. A new server, port, user name or security mode needs the password again."""
    mailbox = own_mailbox(request, pk)
    save_mailbox(staff=who(request), mailbox=mailbox, data=data.dict(exclude_unset=True))
    return _out(own_mailbox(request, pk))


@router.get("/mailboxes/{int:pk}/health", response=Health, operation_id="get_health", summary="Health")
def get_health(request: HttpRequest, pk: int) -> Health:
    """How the mailbox is, since when, and the one fix."""
    health = _health(own_mailbox(request, pk))
    if health is None:
        raise Http404
    return health


@router.post(
    "/mailboxes/{int:pk}/resume",
    response={202: None},
    operation_id="resume_mailbox",
    summary="Try again after a failure",
)
def resume_mailbox(request: HttpRequest, pk: int) -> Status[None]:
    """Saving the settings unchanged starts anew."""
    save_mailbox(staff=who(request), mailbox=own_mailbox(request, pk), data={})
    return Status(202, None)


@router.post(
    "/mailboxes/{int:pk}/compare",
    response={202: None},
    operation_id="compare_mailbox",
    summary="Compare with the mail server now",
)
def compare_mailbox(request: HttpRequest, pk: int) -> Status[None]:
    """What differs is repaired; health tells what came of it. Daily without being asked."""
    compare_now(staff=who(request), mailbox=own_mailbox(request, pk))
    return Status(202, None)


@router.post(
    "/mailboxes/{int:pk}/certificate",
    response=MailboxOut,
    operation_id="accept_certificate",
    summary="Trust a changed certificate",
)
def trust_certificate(request: HttpRequest, pk: int, data: CertificateBody) -> MailboxOut:
    """Only the one that was last seen."""
    accept_certificate(
        staff=who(request),
        mailbox=own_mailbox(request, pk),
        seen_sha256=data.sha256,
        server=data.server,
    )
    return _out(own_mailbox(request, pk))


@router.post(
    "/mailboxes/{int:pk}/deny-list/preview",
    response=DenyPreview,
    operation_id="preview_deny_list",
    summary="What a deny list would hide",
)
def preview_deny_list(request: HttpRequest, pk: int, data: DenyList) -> DenyPreview:
    """How many messages that are here these lines would have hidden; nothing is saved."""
    mailbox = own_mailbox(request, pk)
    try:
        lines = [line.pattern for line in denylist.parse(data.deny_list)]
    except denylist.DenyListError as error:
        told = [f"Line {number}: {reason}" for number, reason in error.lines.items()]
        raise Refusal("invalid", str(error), {"deny_list": told}) from error
    return DenyPreview(hidden=lists.hidden_by(mailbox.pk, lines))


@router.get(
    "/mailboxes/{int:pk}/ledger", response=LedgerPage, operation_id="get_ledger", summary="The mailbox ledger"
)
def get_ledger(request: HttpRequest, pk: int, wanted: Query[LedgerFilter]) -> LedgerPage:
    """What became of each message on the server: imported, denied, skipped or quarantined, and why."""
    rows = Sighting.objects.filter(mailbox=own_mailbox(request, pk)).select_related("folder")
    if wanted.outcome:
        rows = rows.filter(outcome=wanted.outcome)
    found, cursor = newest_first(rows, wanted.cursor, wanted.limit)
    return LedgerPage(lines=[_line(row) for row in found], next_cursor=cursor)


def _out(mailbox: Mailbox) -> MailboxOut:
    return MailboxOut(
        id=mailbox.pk,
        settings=values(mailbox, FIELDS),
        deny_list="\n".join(str(entry) for entry in mailbox.deny_entries.all()),
        has_imap_secret=mailbox.has_imap_secret,
        has_smtp_secret=mailbox.has_smtp_secret,
        imap_pinned_sha256=mailbox.imap_pinned_sha256,
        smtp_pinned_sha256=mailbox.smtp_pinned_sha256,
        unchecked=list(unchecked(mailbox)),
        settings_version=mailbox.settings_version,
        created_at=mailbox.created_at,
        health=_health(mailbox),
    )


def _health(mailbox: Mailbox) -> Health | None:
    row: MailboxHealth | None = getattr(mailbox, "health", None)
    if row is None:
        return None
    words = in_words(row)
    return Health(
        state=row.state,
        since=row.since,
        title=words.title,
        sentence=words.sentence,
        fix=words.fix,
        code=row.code,
        last_sync_at=row.last_sync_at,
        reconciled_at=row.reconciled_at,
        reconciled=row.reconciled,
        done=row.done,
        total=row.total,
        goes_on_at=row.goes_on_at if row.code == "history_rests" else None,
        seen_sha256=row.seen_sha256,
        smtp_seen_sha256=row.smtp_seen_sha256,
    )


def _line(row: Sighting) -> LedgerLine:
    return LedgerLine(
        id=row.pk,
        folder=row.folder.name,
        uidvalidity=row.uidvalidity,
        uid=row.uid,
        outcome=row.outcome,
        reason=row.reason,
        message_id=row.message_id,
        gone_at=row.gone_at,
    )
