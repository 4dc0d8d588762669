"""Save a mailbox's settings, or the company's SMTP account: all of it or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.utils import timezone

from postern.mailboxes import denylist, secrets, trust
from postern.mailboxes.cleaning import (
    NONE_STORED,
    Faults,
    SettingsError,
    check_address,
    check_host,
    check_reachable,
    fill,
)
from postern.mailboxes.connection import imap_endpoint, smtp_endpoint, system_endpoint
from postern.mailboxes.models import DenyEntry, Mailbox, MailboxHealth, Secret, SmtpAuth, SystemEmail
from postern.mailboxes.person import Person
from postern.mailboxes.sections import FIELDS, SYSTEM_FIELDS
from postern.wire.endpoint import Endpoint
from postern.wire.imap.folders import sent_folder_refused

__all__ = [
    "SettingsError",
    "accept_certificate",
    "candidate",
    "note_smtp_certificate",
    "notify",
    "save_mailbox",
    "save_system_email",
]

_CHANGED = (
    "Enter the password again: the server, port, user name, security mode or way to sign in has changed."
)


def save_mailbox(*, staff: Person, mailbox: Mailbox | None, data: Mapping[str, Any]) -> Mailbox:
    """Save the settings that `data` names (see sections.FIELDS) and return the mailbox; None makes a new one.

    Settings that `data` leaves out stay as they are, and an empty password keeps the stored one. Raises
    SettingsError, with nothing saved; Mailbox.DoesNotExist for a mailbox that is not `staff`'s own.
    """
    with transaction.atomic():
        old = own_mailbox(staff, mailbox, lock=True)
        faults = Faults()
        new = candidate(old, data, faults)
        _check_identity(new, old, faults)
        lines = _deny_lines(data, faults)
        plan = [_imap_secret(new, old, data, faults), _smtp_secret(new, old, data, faults)]
        faults.stop()
        _forget_pins(new, old)
        _write(new, plan, lines)
        trust.note_changes(by=staff, old=old, new=new)
    return new


def own_mailbox(staff: Person, mailbox: Mailbox | None, *, lock: bool = False) -> Mailbox:
    """Return the person's own mailbox fresh from the database, or a new one. Raises Mailbox.DoesNotExist."""
    if mailbox is None:
        return Mailbox(owner_id=staff.pk)
    rows = Mailbox.objects.filter(owner_id=staff.pk)
    return (rows.select_for_update() if lock else rows).get(pk=mailbox.pk)


def candidate(old: Mailbox, data: Mapping[str, Any], faults: Faults) -> Mailbox:
    """Return an unsaved copy of `old` with `data` in it, noting what is wrong with each field."""
    new = copy.copy(old)
    fill(new, data, FIELDS, faults)
    if new.imap_host:
        new.imap_host = check_host(new.imap_host, "imap_host", faults)
        if "imap_host" not in faults.fields:
            check_reachable(imap_endpoint(new), "imap", faults)
    if new.smtp_host and not new.use_system_smtp:
        new.smtp_host = check_host(new.smtp_host, "smtp_host", faults)
        if "smtp_host" not in faults.fields:
            check_reachable(smtp_endpoint(new), "smtp", faults)
    if new.sent_folder and (reason := sent_folder_refused(new.sent_folder, ())):
        faults.add("sent_folder", reason)
    return new


def _check_identity(new: Mailbox, old: Mailbox, faults: Faults) -> None:
    """Check what does not concern the servers: addresses, the date, the company's account."""
    if new.address or "address" not in faults.fields:
        new.address = check_address(new.address, "address", faults)
    if new.reply_to:
        new.reply_to = check_address(new.reply_to, "reply_to", faults)
    if Mailbox.objects.filter(owner_id=new.owner_id, address=new.address).exclude(pk=new.pk).exists():
        faults.add("address", "You have a mailbox with this address already.")
    if new.historic and "historic_since" not in faults.fields:
        if new.historic_since is None:
            faults.add("historic_since", "Choose the date from which old messages are processed.")
        elif new.historic_since > timezone.localdate():
            faults.add("historic_since", "The date lies in the future.")
    if new.only_customers and "stranger_days" not in faults.fields and not 1 <= new.stranger_days <= 3650:
        faults.add("stranger_days", "Type a number of days from 1 to 3650.")
    if new.use_system_smtp and not old.use_system_smtp and not SystemEmail.current().smtp_host:
        faults.add(
            "use_system_smtp",
            "The company’s server is not set up yet. A super-administrator does that in Config → Main → Email.",
        )
    if new.imap_host and not new.imap_username:
        faults.add("imap_username", "Enter the user name of your email account.")


def _deny_lines(data: Mapping[str, Any], faults: Faults) -> list[denylist.DenyLine] | None:
    if "deny_list" not in data:
        return None
    try:
        return denylist.parse(str(data["deny_list"] or ""))
    except denylist.DenyListError as error:
        for number, reason in error.lines.items():
            faults.add("deny_list", f"Line {number}: {reason}")
        return None


# What happens to a stored password: (field, new password or None, keep the old one).
_Plan = tuple[str, str | None, bool]


def _imap_secret(new: Mailbox, old: Mailbox, data: Mapping[str, Any], faults: Faults) -> _Plan:
    typed = typed_password(data, "imap_password", faults)
    moved = secrets.imap_place(new) != secrets.imap_place(old) or new.imap_auth != old.imap_auth
    if not new.imap_host:
        return Secret.Field.IMAP, None, False
    if not typed and (moved or not old.has_imap_secret):
        faults.need_password("imap_password", _CHANGED if old.has_imap_secret else NONE_STORED)
    return Secret.Field.IMAP, typed or None, True


def _smtp_secret(new: Mailbox, old: Mailbox, data: Mapping[str, Any], faults: Faults) -> _Plan:
    """The SMTP password is a ciphertext of its own even when it is the IMAP one: it travels to another host."""
    field = "smtp_password" if new.smtp_username else "imap_password"
    own = typed_password(data, "smtp_password", faults)
    if own and not new.smtp_username and not new.use_system_smtp:
        faults.add("smtp_username", "Type the user name that goes with the SMTP password.")
    moved = secrets.smtp_place(new) != secrets.smtp_place(old)
    moved = moved or (new.imap_auth != old.imap_auth and not new.smtp_username)
    if new.use_system_smtp or not new.smtp_host or new.smtp_auth == SmtpAuth.NONE:
        return Secret.Field.SMTP, None, not moved
    if not (new.smtp_username or new.imap_username):
        faults.add("smtp_username", "Enter a user name, here or under Credentials.")
    typed = own if new.smtp_username else typed_password(data, "imap_password", faults)
    if not typed and (moved or not old.has_smtp_secret) and field not in faults.fields:
        faults.need_password(field, _CHANGED if old.has_smtp_secret else NONE_STORED)
    return Secret.Field.SMTP, typed or None, True


def typed_password(data: Mapping[str, Any], field: str, faults: Faults) -> str:
    """Return a password as typed, '' for none; spaces at its ends are its own."""
    password = str(data.get(field) or "")
    if any(mark in password for mark in "\0\r\n\x01") and field not in faults.fields:
        faults.add(field, "A password cannot contain line breaks or control characters.")
    if len(password) > 10_000 and field not in faults.fields:
        faults.add(field, "The password is too long.")
    return password


def _forget_pins(new: Mailbox, old: Mailbox) -> None:
    """A remembered certificate belongs to one host and port, and to the wish to skip the usual check."""
    if (new.imap_host, new.imap_port) != (old.imap_host, old.imap_port) or not new.imap_skip_validation:
        new.imap_pinned_sha256 = ""
    if (new.smtp_host, new.smtp_port) != (old.smtp_host, old.smtp_port) or not new.smtp_skip_validation:
        new.smtp_pinned_sha256 = ""


def _write(new: Mailbox, plan: list[_Plan], lines: list[denylist.DenyLine] | None) -> None:
    for field, typed, keep in plan:
        flag = f"has_{field}_secret"
        setattr(new, flag, bool(typed) or (keep and getattr(new, flag)))
    if new.pk is None:
        new.save()
        MailboxHealth.objects.create(mailbox=new, since=timezone.now())
    else:
        new.settings_version += 1
        new.save()
        if not new.smtp_pinned_sha256:
            _forget_seen(new)
    for field, typed, keep in plan:
        if typed:
            secrets.store_secret(new, field, typed)
        elif not keep:
            secrets.drop_secret(new, field)
    if lines is not None:
        DenyEntry.objects.filter(mailbox=new).delete()
        DenyEntry.objects.bulk_create(
            DenyEntry(mailbox=new, pattern=line.pattern, comment=line.comment) for line in lines
        )
    notify("postern_mailboxes", mailbox=new.pk)


def accept_certificate(*, staff: Person, mailbox: Mailbox, seen_sha256: str, server: str = "imap") -> Mailbox:
    """Trust the certificate that the page showed after the pinned one had changed (row 12).

    `server` is imap or smtp. Raises SettingsError when it is no longer the one last seen;
    Mailbox.DoesNotExist for a stranger's mailbox.
    """
    with transaction.atomic():
        row = own_mailbox(staff, mailbox, lock=True)
        health = MailboxHealth.objects.filter(mailbox=row).first()
        seen = getattr(health, "smtp_seen_sha256" if server == "smtp" else "seen_sha256", "")
        if not seen_sha256 or seen != seen_sha256:
            raise SettingsError(
                {f"{server}_skip_validation": ["The server shows another certificate by now. Look again."]}
            )
        trust.note_trusted(by=staff, mailbox=row, server=server, sha256=seen_sha256)
        if server == "smtp":
            row.smtp_pinned_sha256 = seen_sha256
            row.save(update_fields=["smtp_pinned_sha256"])
            _forget_seen(row)
        else:
            row.imap_pinned_sha256 = seen_sha256
            row.settings_version += 1
            row.save(update_fields=["imap_pinned_sha256", "settings_version"])
        notify("postern_mailboxes", mailbox=row.pk)
    return row


def note_smtp_certificate(mailbox: Mailbox, endpoint: Endpoint, sha256: str) -> bool:
    """Keep the changed certificate that the mailbox's own SMTP server showed, for its owner to judge; workers only.

    True when it is news.
    """
    place = (mailbox.smtp_host, mailbox.smtp_port, mailbox.smtp_pinned_sha256, mailbox.use_system_smtp)
    if place != (endpoint.host, endpoint.port, endpoint.pinned_sha256, False):
        return False
    rows = MailboxHealth.objects.filter(mailbox=mailbox).exclude(smtp_seen_sha256=sha256)
    return bool(rows.update(smtp_seen_sha256=sha256))


def _forget_seen(mailbox: Mailbox) -> None:
    rows = MailboxHealth.objects.filter(mailbox=mailbox).exclude(smtp_seen_sha256="")
    rows.update(smtp_seen_sha256="")


def save_system_email(*, staff: Person, data: Mapping[str, Any]) -> SystemEmail:
    """Save Config → Main → Email (see sections.SYSTEM_FIELDS). Same rules as `save_mailbox`.

    Raises PermissionDenied for anybody but a super-administrator, SettingsError with nothing saved.
    """
    if not staff.is_super:
        raise PermissionDenied("Only a super-administrator changes the company’s email settings.")
    with transaction.atomic():
        old = SystemEmail.objects.select_for_update().filter(pk=1).first() or SystemEmail(pk=1)
        faults = Faults()
        new = system_candidate(old, data, faults)
        typed = _system_secret(new, old, data, faults)
        faults.stop()
        new.has_smtp_secret = bool(typed) or (old.has_smtp_secret and _signs_in(new))
        new.save()
        if typed:
            secrets.store_system_secret(new, typed)
        if new.unchecked_certificates != old.unchecked_certificates:
            trust.note_policy(by=staff, allowed=new.unchecked_certificates)
            notify("postern_mailboxes", mailbox=0)  # whoever watches looks which mailboxes it concerns
    return new


def system_candidate(old: SystemEmail, data: Mapping[str, Any], faults: Faults) -> SystemEmail:
    """Return an unsaved copy of `old` with `data` in it, noting what is wrong with each field."""
    new = copy.copy(old)
    fill(new, data, SYSTEM_FIELDS, faults)
    if new.sender_email:
        new.sender_email = check_address(new.sender_email, "sender_email", faults)
    elif new.sending:
        faults.add(
            "sender_email", "Enter the full address that the company’s mail is from, like office@example.com."
        )
    if new.smtp_host:
        new.smtp_host = check_host(new.smtp_host, "smtp_host", faults)
        if "smtp_host" not in faults.fields:
            check_reachable(system_endpoint(new), "smtp", faults)
    elif new.sending:
        faults.add("smtp_host", "Enter the SMTP server.")
    if _signs_in(new) and not new.smtp_username:
        faults.add("smtp_username", "Enter the user name, or choose no authentication.")
    return new


def _system_secret(new: SystemEmail, old: SystemEmail, data: Mapping[str, Any], faults: Faults) -> str:
    typed = typed_password(data, "smtp_password", faults)
    moved = secrets.system_place(new) != secrets.system_place(old)
    if not _signs_in(new):
        return ""
    if not typed and (moved or not old.has_smtp_secret):
        faults.need_password("smtp_password", _CHANGED if old.has_smtp_secret else NONE_STORED)
    return typed


def _signs_in(system: SystemEmail) -> bool:
    return bool(system.smtp_host) and system.smtp_auth != SmtpAuth.NONE


def notify(channel: str, **payload: Any) -> None:
    """Tell the other processes, when this transaction commits and not before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, json.dumps(payload)])
