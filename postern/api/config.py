"""Config: the company's e-mail account, and who may sign in. For super-administrators; not there for others."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from postern.api.auth import who
from postern.api.probes import ProbeOut
from postern.api.settings import settings_schema, values
from postern.api.shapes import Body, Line, Text
from postern.mailboxes.models import Probe, SystemEmail
from postern.mailboxes.probe import start_probe
from postern.mailboxes.save import save_system_email
from postern.mailboxes.sections import SYSTEM_FIELDS
from postern.people.models import Staff
from postern.people.staff import add_staff, change_staff, renew_first

router = Router(tags=["Config"])

if TYPE_CHECKING:
    SystemSettings = Body
else:
    SystemSettings = settings_schema("SystemSettings", SystemEmail, SYSTEM_FIELDS)

Role = Literal["super", "admin"]
Name = Annotated[Text, Field(min_length=1, max_length=120)]


class SystemOut(Schema):
    """Config → Main → Email, without the password."""

    settings: dict[str, Any]
    has_smtp_secret: bool
    sent_in_hour: int


class SystemProbe(Body):
    """A test of the company's account with a test email."""

    settings: SystemSettings = Field(default_factory=SystemSettings)
    recipient: Line = ""


class Administrator(Schema):
    """A member of staff. With `must_change_password` they never chose one, and theirs works until `one_time_until`."""

    id: int
    email: str
    name: str
    title: str
    role: str
    is_active: bool
    must_change_password: bool
    one_time_until: datetime | None
    created_at: datetime


class AdministratorNew(Body):
    """A new member of staff."""

    name: Name
    email: Line
    role: Role = "admin"


class AdministratorMade(Schema):
    """The new member of staff, and the first password, shown this once."""

    administrator: Administrator
    first_password: str


class AdministratorChange(Body):
    """Never somebody's address or password: nobody can become somebody else."""

    name: Name | None = None
    title: Annotated[Text, Field(max_length=80)] | None = None
    role: Role | None = None
    is_active: bool | None = None


def must_be_super(request: HttpRequest) -> Staff:
    """The super-administrator who asks; for everybody else it is not there."""
    if not who(request).is_super:
        raise Http404
    return who(request)


@router.get("/email", response=SystemOut, operation_id="get_system_email", summary="The company's account")
def get_system_email(request: HttpRequest) -> SystemOut:
    """All settings but the password."""
    must_be_super(request)
    return _out(SystemEmail.current())


@router.patch(
    "/email", response=SystemOut, operation_id="change_system_email", summary="Change the company's account"
)
def change_system_email(request: HttpRequest, data: SystemSettings) -> SystemOut:
    """Settings left out stay; a new server, port, user name or security mode needs the password again."""
    return _out(save_system_email(staff=must_be_super(request), data=data.dict(exclude_unset=True)))


@router.post(
    "/email/probes", response={202: ProbeOut}, operation_id="probe_system_email", summary="Test the account"
)
def probe_system_email(request: HttpRequest, data: SystemProbe) -> Status[Probe]:
    """Sends a test email, to oneself unless `recipient` says otherwise. Ask GET /probes/{id} how it goes."""
    settings = data.settings.dict(exclude_unset=True)
    probe = start_probe(
        staff=must_be_super(request),
        mailbox=None,
        kind=Probe.Kind.SYSTEM,
        data=settings,
        recipient=data.recipient,
    )
    return Status(202, probe)


@router.get(
    "/administrators", response=list[Administrator], operation_id="list_administrators", summary="All staff"
)
def list_administrators(request: HttpRequest) -> Any:
    """Those who may sign in first."""
    must_be_super(request)
    return Staff.objects.order_by("-is_active", "name", "pk")


@router.post(
    "/administrators",
    response={201: AdministratorMade},
    operation_id="add_administrator",
    summary="Add an administrator",
)
def add_administrator(request: HttpRequest, data: AdministratorNew) -> Status[dict[str, Any]]:
    """The first password is in the answer, this once."""
    staff, first = add_staff(by=must_be_super(request), **data.dict())
    return Status(201, {"administrator": staff, "first_password": first})


@router.post(
    "/administrators/{int:pk}/first-password",
    response={201: AdministratorMade},
    operation_id="renew_first_password",
    summary="Make another first password",
)
def renew_first_password(request: HttpRequest, pk: int) -> Status[dict[str, Any]]:
    """For who never chose one of their own (else 409, own_password); the one before it ends."""
    by = must_be_super(request)
    first = renew_first(by=by, staff=get_object_or_404(Staff, pk=pk))
    return Status(201, {"administrator": Staff.objects.get(pk=pk), "first_password": first})


@router.patch(
    "/administrators/{int:pk}",
    response=Administrator,
    operation_id="change_administrator",
    summary="Change somebody's name, role, or right to sign in",
)
def change_administrator(request: HttpRequest, pk: int, data: AdministratorChange) -> Staff:
    """There is always one super-administrator (else 409, last_super).

    `is_active: false` ends everything of theirs at once: sign-ins, tokens, stored passwords of their mailboxes,
    grants given and had; letters that wait are held. `true` brings none of it back.
    """
    by = must_be_super(request)
    staff = get_object_or_404(Staff, pk=pk)
    return change_staff(by=by, staff=staff, changes=data.dict(exclude_none=True))


def _out(system: SystemEmail) -> SystemOut:
    return SystemOut(
        settings=values(system, SYSTEM_FIELDS),
        has_smtp_secret=system.has_smtp_secret,
        sent_in_hour=system.sent_in_hour,
    )
