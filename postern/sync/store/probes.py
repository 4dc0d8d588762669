"""Probe rows: which wait, their steps as they happen, their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from postern.mail.access import at_mailbox
from postern.mail.events import tell
from postern.mailboxes import connection as settings_of
from postern.mailboxes import secrets
from postern.mailboxes.models import Probe
from postern.mailboxes.save import note_smtp_certificate
from postern.wire.endpoint import Endpoint, Policy
from postern.wire.login import Login
from postern.wire.smtp import SmtpAuth

STALE = timedelta(minutes=3)
INTERRUPTED = {
    "code": "interrupted",
    "message": "The test was interrupted.",
    "advice": "Start it again.",
    "server_text": "",
    "fix": None,
}


@dataclass(frozen=True)
class Claimed:
    """A probe that is now ours, with what it takes to run it."""

    id: int
    kind: str
    settings: dict[str, Any]
    address: str
    recipient: str
    endpoint: Endpoint
    login: Login | None = field(repr=False)
    auth: SmtpAuth
    policy: Policy


def waiting() -> list[int]:
    """Return probes that nobody has begun; those begun by a process that died end as interrupted."""
    long_ago = datetime.now(UTC) - STALE
    for row in Probe.objects.filter(state=Probe.State.RUNNING, created_at__lt=long_ago):
        finish(row.pk, works=False, result=INTERRUPTED)
    return list(Probe.objects.filter(state=Probe.State.WAITING).order_by("pk").values_list("pk", flat=True))


def claim(number: int) -> Claimed | None:
    """Begin a probe; None when another has. Raises SecretError when no password is at hand."""
    if not Probe.objects.filter(pk=number, state=Probe.State.WAITING).update(state=Probe.State.RUNNING):
        return None
    probe = Probe.objects.select_related("mailbox").get(pk=number)
    with at_mailbox(
        probe.mailbox_id or 0
    ):  # a password that is saved is its mailbox's; of none there is none
        login = settings_of.probe_login(probe)
    return Claimed(
        probe.pk,
        probe.kind,
        probe.settings,
        probe.mailbox.address if probe.mailbox else "",
        probe.recipient,
        settings_of.probe_endpoint(probe),
        login,
        settings_of.probe_auth(probe),
        settings_of.policy(),
    )


@transaction.atomic
def show_steps(number: int, steps: list[dict[str, Any]]) -> None:
    """Write the steps so far and tell the page."""
    Probe.objects.filter(pk=number).update(steps=steps)
    _tell(number)


def note_certificate(number: int, sha256: str) -> None:
    """Keep the changed certificate that an SMTP test met, for the mailbox's owner to judge."""
    probe = Probe.objects.select_related("mailbox").filter(pk=number).first()
    if probe is not None and probe.mailbox is not None and probe.kind in (Probe.Kind.SMTP, Probe.Kind.SEND):
        note_smtp_certificate(probe.mailbox, settings_of.probe_endpoint(probe), sha256)


@transaction.atomic
def finish(number: int, *, works: bool, result: dict[str, Any]) -> None:
    """Write the end, and forget the password that was typed for it."""
    state = Probe.State.WORKS if works else Probe.State.FAILED
    row = Probe.objects.filter(pk=number).first()
    if row is None:
        return
    secrets.drop_probe_secret(row)
    Probe.objects.filter(pk=number).update(state=state, result=result, finished_at=datetime.now(UTC))
    _tell(number)


def _tell(number: int) -> None:
    mailbox = Probe.objects.filter(pk=number).values_list("mailbox_id", flat=True).first()
    tell("probe", mailbox=mailbox or 0, id=number)
