"""Load, Test connection and Send a test email: started here, worked off by the worker, asked for until over."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import Http404, HttpRequest
from ninja import Field, Router, Schema, Status

from postern.api.auth import who
from postern.api.mailboxes import MailboxSettings, own_mailbox
from postern.api.shapes import Body, Line
from postern.mailboxes.models import Probe
from postern.mailboxes.probe import start_probe

router = Router(tags=["My Profile"])


class ProbeNew(Body):
    """A test of the settings as stored, with those in `settings` in their place; a password may be among them."""

    kind: Literal["imap", "smtp", "send", "load"]
    settings: MailboxSettings = Field(default_factory=MailboxSettings)
    recipient: Line = ""


class ProbeOut(Schema):
    """A test: waiting, running, works or failed; its steps as they happen; folders or the failure in `result`."""

    id: int
    kind: str
    state: str
    steps: list[dict[str, Any]]
    result: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


@router.post(
    "/probes", response={202: ProbeOut}, operation_id="probe_settings", summary="Test settings not saved yet"
)
def probe_settings(request: HttpRequest, data: ProbeNew) -> Status[Probe]:
    """For a mailbox that is about to be set up. At most ten tests a minute (429)."""
    return Status(202, _start(request, None, data))


@router.post(
    "/mailboxes/{int:pk}/probes",
    response={202: ProbeOut},
    operation_id="probe_mailbox",
    summary="Test a mailbox",
)
def probe_mailbox(request: HttpRequest, pk: int, data: ProbeNew) -> Status[Probe]:
    """The stored password is used only for the very settings it was saved with."""
    return Status(202, _start(request, pk, data))


@router.get("/probes/{int:pk}", response=ProbeOut, operation_id="get_probe", summary="How a test goes")
def get_probe(request: HttpRequest, pk: int) -> Probe:
    """One's own tests only."""
    probe = Probe.objects.filter(staff=who(request), pk=pk).first()
    if probe is None:
        raise Http404
    return probe


def _start(request: HttpRequest, pk: int | None, data: ProbeNew) -> Probe:
    mailbox = own_mailbox(request, pk) if pk is not None else None
    settings = data.settings.dict(exclude_unset=True, exclude={"deny_list"})
    return start_probe(
        staff=who(request), mailbox=mailbox, kind=data.kind, data=settings, recipient=data.recipient
    )
