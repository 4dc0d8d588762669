"""My Profile without its mailboxes: oneself, colleagues to share with, the company's server, known providers."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Field, Router, Schema

from postern.api.auth import who
from postern.api.shapes import Body, Line, Text
from postern.mail.access import has_own_mailbox, waits_for_own_mailbox
from postern.mailboxes.discover import hint
from postern.mailboxes.models import Reader, SystemEmail
from postern.people.models import Staff

router = Router(tags=["My Profile"])


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


class CompanyServer(Schema):
    """What "Use system SMTP" sends through, read-only; never its user name or password.

    `unchecked_certificates`: whether mailboxes may skip the checking of their own servers' certificates.
    """

    sender_email: str
    smtp_host: str
    smtp_port: int
    smtp_security: str
    smtp_auth: str
    sending: bool
    unchecked_certificates: bool


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
