"""Ask the worker to try out settings: Load, Test connection, Send a test email."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.utils import timezone

from postern.mailboxes import secrets
from postern.mailboxes.cleaning import NONE_STORED, Faults, SettingsError, check_address
from postern.mailboxes.connection import sender, smtp_has_token
from postern.mailboxes.models import ImapAuth, Mailbox, Probe, SmtpAuth, SystemEmail
from postern.mailboxes.person import Person
from postern.mailboxes.save import candidate, notify, own_mailbox, system_candidate
from postern.mailboxes.sections import FIELDS, SYSTEM_FIELDS

MOST_A_MINUTE = 10
_AGAIN = "Enter the password again: a saved password is used only for the settings it was saved with."


class TooMany(Exception):
    """More tests than allowed; `retry_after` is in seconds."""

    code = "too_many"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"At most {MOST_A_MINUTE} tests a minute. Wait a moment, then try again.")


def start_probe(
    *,
    staff: Person,
    mailbox: Mailbox | None,
    kind: str,
    data: Mapping[str, Any],
    password: str | None = None,
    recipient: str = "",
) -> Probe:
    """Start one test of the settings as they stand in the form, saved or not; the worker does it.

    `data` is what `save_mailbox` takes (for kind system: `save_system_email`). `password` is the one
    typed, for the server this test is about (by default the one in `data`); without it the stored one is
    used, for exactly the stored host, port, user and security mode (S-029). Raises SettingsError, TooMany, PermissionDenied, and
    Mailbox.DoesNotExist for a mailbox that is not `staff`'s own.
    """
    faults = Faults()
    with transaction.atomic():
        probe = _of_system(staff, data, faults) if kind == Probe.Kind.SYSTEM else None
        probe = probe or _of_mailbox(staff, mailbox, kind, data, faults)
        probe.recipient = _recipient(probe, recipient or staff.email, faults)
        typed = "" if _is_borrowed(probe) else password or str(data.get(_password_field(probe)) or "")
        _check_target(probe, typed, faults)
        faults.stop()
        _count(staff)
        probe.save()
        if typed:
            secrets.store_probe_secret(probe, typed)
        notify("postern_probes", probe=probe.pk)
    return probe


def _of_system(staff: Person, data: Mapping[str, Any], faults: Faults) -> Probe:
    if not staff.is_super:
        raise PermissionDenied("Only a super-administrator tests the company’s email settings.")
    new = system_candidate(SystemEmail.current(), data, faults)
    return Probe(staff_id=staff.pk, kind=Probe.Kind.SYSTEM, settings=_system_settings(new))


def _of_mailbox(
    staff: Person, mailbox: Mailbox | None, kind: str, data: Mapping[str, Any], faults: Faults
) -> Probe:
    if kind not in Probe.Kind.values:
        raise SettingsError({"kind": ["There is no such test."]})
    old = own_mailbox(staff, mailbox)
    new = candidate(old, data, faults)
    probe = Probe(staff_id=staff.pk, mailbox=old if old.pk else None, kind=kind)
    if kind in (Probe.Kind.IMAP, Probe.Kind.LOAD):
        probe.settings = _imap_settings(new, old)
    elif new.use_system_smtp:
        probe.settings = _system_settings(SystemEmail.current())
    else:
        probe.settings = _smtp_settings(new, old)
    if kind in (Probe.Kind.SMTP, Probe.Kind.SEND):
        if not new.use_system_smtp:
            new.address = check_address(new.address, "address", faults)
        who = sender(new)
        probe.settings |= {"sender": who.envelope, "sender_name": who.from_.name}
        probe.settings["reply_to"] = who.reply_to.address if who.reply_to else ""
    return probe


def _imap_settings(new: Mailbox, old: Mailbox) -> dict[str, Any]:
    same = (new.imap_host, new.imap_port) == (old.imap_host, old.imap_port)
    return {
        "host": new.imap_host,
        "port": new.imap_port,
        "security": new.imap_security,
        "username": new.imap_username,
        "token": new.imap_auth == ImapAuth.TOKEN,
        "skip_validation": new.imap_skip_validation,
        "pinned_sha256": old.imap_pinned_sha256 if same and new.imap_skip_validation else "",
        "sent_folder": new.sent_folder,
        "system": False,
    }


def _smtp_settings(new: Mailbox, old: Mailbox) -> dict[str, Any]:
    same = (new.smtp_host, new.smtp_port) == (old.smtp_host, old.smtp_port)
    return {
        "host": new.smtp_host,
        "port": new.smtp_port,
        "security": new.smtp_security,
        "username": new.smtp_username or new.imap_username,
        "auth": new.smtp_auth,
        "token": smtp_has_token(new),
        "skip_validation": new.smtp_skip_validation,
        "pinned_sha256": old.smtp_pinned_sha256 if same and new.smtp_skip_validation else "",
        "own_username": bool(new.smtp_username),
        "system": False,
    }


def _system_settings(system: SystemEmail) -> dict[str, Any]:
    return {
        "host": system.smtp_host,
        "port": system.smtp_port,
        "security": system.smtp_security,
        "username": system.smtp_username,
        "auth": system.smtp_auth,
        "own_username": True,
        "system": True,
        "sender": system.sender_email,
        "sender_name": system.sender_name,
        "reply_to": "",
    }


def _is_borrowed(probe: Probe) -> bool:
    """True for a personal mailbox that sends through the company's server, whose password is not the person's."""
    return bool(probe.settings["system"]) and probe.kind != Probe.Kind.SYSTEM


def _check_target(probe: Probe, typed: str, faults: Faults) -> None:
    """Keep the faults of the server under test only, and see that there is a password to sign in with."""
    prefix = "imap" if probe.kind in (Probe.Kind.IMAP, Probe.Kind.LOAD) else "smtp"
    concerned = {"recipient", "address", "sender_email", f"{prefix}_username"}
    concerned |= {f"{prefix}_{part}" for part in ("host", "port", "security", "auth", "skip_validation")}
    known = set(SYSTEM_FIELDS if probe.kind == Probe.Kind.SYSTEM else FIELDS)
    faults.fields = {
        name: text for name, text in faults.fields.items() if name in concerned or name not in known
    }
    if not probe.settings["host"]:
        where = "use_system_smtp" if _is_borrowed(probe) else f"{prefix}_host"
        faults.add(where, "Enter the server’s name first.")
    elif probe.settings.get("auth") != SmtpAuth.NONE and not _is_borrowed(probe):
        if not probe.settings["username"]:
            faults.add(f"{prefix}_username", "Enter the user name first.")
        if not typed and not _stored_fits(probe):
            faults.need_password(_password_field(probe), _AGAIN if _is_stored(probe) else NONE_STORED)


def _password_field(probe: Probe) -> str:
    """The field of the form in which the password for this server is typed."""
    return "smtp_password" if probe.settings.get("own_username") else "imap_password"


def _is_stored(probe: Probe) -> bool:
    """True when some secret of this kind is stored, for whichever place."""
    if probe.kind == Probe.Kind.SYSTEM:
        return SystemEmail.current().has_smtp_secret
    if probe.mailbox is None:
        return False
    is_imap = secrets.probe_place(probe).protocol == "imap"
    return probe.mailbox.has_imap_secret if is_imap else probe.mailbox.has_smtp_secret


def _stored_fits(probe: Probe) -> bool:
    """True when a secret of this kind is stored for exactly the place that is tested."""
    if not _is_stored(probe):
        return False
    place = secrets.probe_place(probe)
    if probe.kind == Probe.Kind.SYSTEM:
        return place == secrets.system_place(SystemEmail.current())
    assert probe.mailbox is not None
    if place.protocol == "imap":
        same_kind = probe.settings["token"] == (probe.mailbox.imap_auth == ImapAuth.TOKEN)
        return same_kind and place == secrets.imap_place(probe.mailbox)
    same_kind = probe.settings["token"] == smtp_has_token(probe.mailbox)
    return same_kind and place == secrets.smtp_place(probe.mailbox)


def _recipient(probe: Probe, typed: str, faults: Faults) -> str:
    """The address a test email goes to: the one typed, else the person's own."""
    if probe.kind not in (Probe.Kind.SEND, Probe.Kind.SYSTEM):
        return ""
    return check_address(typed.strip(), "recipient", faults)


def _count(staff: Person) -> None:
    """Count this test. Raises TooMany (S-028); two at the same moment wait for one another."""
    # A key, not an import: people live on the same floor.
    Attempt = apps.get_model("people", "Attempt")
    key, now = f"probe:{staff.pk}", timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [key])
    Attempt.objects.filter(key=key, at__lt=now - timedelta(hours=1)).delete()
    recent = Attempt.objects.filter(key=key, at__gt=now - timedelta(minutes=1)).order_by("at")
    times = list(recent.values_list("at", flat=True))
    if len(times) >= MOST_A_MINUTE:
        raise TooMany(max(1, 60 - int((now - times[-MOST_A_MINUTE]).total_seconds())))
    Attempt.objects.create(key=key)
