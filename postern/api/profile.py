"""My Profile: oneself, one's mailboxes with all their settings, health and ledger. Secrets are write-only."""

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
from postern.mail.access import has_own_mailbox, waits_for_own_mailbox
from postern.mail.models import Sighting
from postern.mailboxes import denylist
from postern.mailboxes.comparing import compare_now
from postern.mailboxes.discover import hint
from postern.mailboxes.health import in_words
from postern.mailboxes.models import Mailbox, MailboxHealth, Reader, SystemEmail
from postern.mailboxes.save import accept_certificate, save_mailbox
from postern.mailboxes.sections import FIELDS
from postern.people.models import Staff

router = Router(tags=["My Profile"])

if TYPE_CHECKING:
    MailboxSettings = Body
else:
    MailboxSettings = settings_schema("MailboxSettings", Mailbox, FIELDS)


class SharedMailbox(Schema):
    """A mailbox that another administrator shares with this one. `may_reply`: to be answered in their name."""

    id: int
    address: str
    may_reply: bool


class Me(Schema):
    """Oneself."""

    id: int
    email: str
    name: str
    title: str
    role: str
    single_keys: bool
    has_own_mailbox: bool
    waits_for_own_mailbox: bool
    shared_with_me: list[SharedMailbox]


class MeChange(Body):
    """What everybody may change of themselves."""

    name: Annotated[Text, Field(min_length=1, max_length=120)] | None = None
    title: Annotated[Text, Field(max_length=80)] | None = None
    single_keys: bool | None = None


class Colleague(Schema):
    """Somebody who can be given access to a mailbox."""

    id: int
    name: str
    title: str


class Health(Schema):
    """How a mailbox is, as a state for programs and in words for people.

    `reconciled`: what came of the last comparison with the mail server, a sentence and then the folders.
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
    seen_sha256: str
    smtp_seen_sha256: str


class MailboxOut(Schema):
    """A mailbox of one's own. `settings` holds what PATCH takes, without passwords and deny list."""

    id: int
    settings: dict[str, Any]
    deny_list: str
    has_imap_secret: bool
    has_smtp_secret: bool
    imap_pinned_sha256: str
    smtp_pinned_sha256: str
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


class CompanyServer(Schema):
    """What "Use system SMTP" sends through, read-only; never its user name or password."""

    sender_email: str
    smtp_host: str
    smtp_port: int
    smtp_security: str
    smtp_auth: str
    sending: bool


class ProviderHint(Schema):
    """What is known about a provider's servers and about the password it wants."""

    provider: str
    imap_host: str
    imap_port: int
    imap_security: str
    smtp_host: str
    smtp_port: int
    smtp_security: str
    advice: str


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


@router.get("/me", response=Me, operation_id="get_me", summary="Who this token is")
def get_me(request: HttpRequest) -> Me:
    """Name and role, and which mailboxes others share with one."""
    staff = who(request)
    ready = has_own_mailbox(staff)
    # Row security leaves only grants in force; without an own mailbox not even their number is told (row 7).
    shared = Reader.objects.filter(staff=staff) if ready else Reader.objects.none()
    return Me(
        id=staff.pk,
        email=staff.email,
        name=staff.name,
        title=staff.title,
        role=staff.role,
        single_keys=staff.single_keys,
        has_own_mailbox=ready,
        waits_for_own_mailbox=waits_for_own_mailbox(staff),
        shared_with_me=[
            SharedMailbox(id=row.mailbox_id, address=row.mailbox.address, may_reply=row.may_reply)
            for row in shared.select_related("mailbox").order_by("mailbox_id")
        ],
    )


@router.patch("/me", response=Me, operation_id="change_me", summary="Change one's name, title, shortcuts")
def change_me(request: HttpRequest, data: MeChange) -> Me:
    """Password and sign-in address are changed on the page only."""
    staff = who(request)
    changes = data.dict(exclude_none=True)
    for field, value in changes.items():
        setattr(staff, field, value)
    staff.save(update_fields=list(changes))
    return get_me(request)


@router.get(
    "/colleagues", response=list[Colleague], operation_id="list_colleagues", summary="List administrators"
)
def list_colleagues(request: HttpRequest) -> Any:
    """To whom access can be given."""
    return Staff.objects.filter(is_active=True).exclude(pk=who(request).pk).order_by("name", "pk")


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


@router.get(
    "/system-smtp", response=CompanyServer, operation_id="get_company_server", summary="The company's server"
)
def get_company_server(request: HttpRequest) -> SystemEmail:
    """What a mailbox with "Use system SMTP" sends through."""
    return SystemEmail.current()


@router.get(
    "/provider-hint", response=ProviderHint, operation_id="get_provider_hint", summary="Known providers"
)
def get_provider_hint(request: HttpRequest, address: Line) -> Any:
    """Servers of a large provider, by the address alone. Asks nobody; 404 for a domain of one's own."""
    found = hint(address)
    if found is None:
        raise Http404
    return found


def _out(mailbox: Mailbox) -> MailboxOut:
    return MailboxOut(
        id=mailbox.pk,
        settings=values(mailbox, FIELDS),
        deny_list="\n".join(str(entry) for entry in mailbox.deny_entries.all()),
        has_imap_secret=mailbox.has_imap_secret,
        has_smtp_secret=mailbox.has_smtp_secret,
        imap_pinned_sha256=mailbox.imap_pinned_sha256,
        smtp_pinned_sha256=mailbox.smtp_pinned_sha256,
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
