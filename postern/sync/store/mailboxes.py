"""Which mailboxes are watched, what a visit needs of one, and its health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection, transaction

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mail.events import notify, tell
from postern.mailboxes import connection as settings_of
from postern.mailboxes import trust
from postern.mailboxes.models import Mailbox, MailboxHealth
from postern.sync import day
from postern.wire.endpoint import Endpoint, Policy
from postern.wire.login import Login


@dataclass(frozen=True, slots=True)
class Watched:
    """A mailbox as the supervisor sees it. `signature` changes when a watcher must start anew."""

    id: int
    host: str
    user: str
    tracking: bool
    signature: str


@dataclass(frozen=True)
class Account:
    """All that a visit needs to know of a mailbox."""

    mailbox: Mailbox
    endpoint: Endpoint
    login: Login
    policy: Policy
    health: MailboxHealth = field(repr=False)


# Thousands of mailboxes are looked at every few seconds: one statement, and no rows made into models. A new
# password counts settings_version up; the ciphertext is no part of the signature, since encrypting all of them
# with a new key must not sign every mailbox in anew. What the company says of certificates is, where it matters.
_WATCHED = """
SELECT b.id, lower(b.imap_host), b.imap_username, b.tracking, md5(concat_ws(chr(31),
         b.tracking, b.process, b.historic, b.historic_since, b.mark_as_read, b.only_customers, b.imap_username, b.imap_host,
         b.imap_port, b.imap_security, b.imap_skip_validation,
         b.imap_skip_validation AND (SELECT s.unchecked_certificates FROM mailboxes_systememail s), b.sent_folder, b.settings_version))
  FROM mailboxes_mailbox b JOIN people_staff o ON o.id = b.owner_id
 WHERE b.imap_ready AND o.is_active ORDER BY b.id"""


def watched() -> list[Watched]:
    """Return every mailbox whose IMAP settings are whole."""
    with connection.cursor() as cursor:
        cursor.execute(_WATCHED)
        return [Watched(*row) for row in cursor.fetchall()]


def load(mailbox_id: int) -> Account | None:
    """Return the mailbox with endpoint and login, None when it is no longer there. Raises SecretError."""
    mailbox = Mailbox.objects.filter(pk=mailbox_id, imap_ready=True, owner__is_active=True).first()
    if mailbox is None:
        return None
    health, _ = MailboxHealth.objects.get_or_create(mailbox=mailbox)
    with at_mailbox(mailbox_id):
        login = settings_of.imap_login(mailbox)
    return Account(mailbox, settings_of.imap_endpoint(mailbox), login, settings_of.policy(), health)


def pin(mailbox_id: int, sha256: str) -> None:
    """Remember the certificate seen first (row 12); one already remembered stays."""
    with at_mailbox(mailbox_id):
        Mailbox.objects.filter(pk=mailbox_id, imap_pinned_sha256="").update(imap_pinned_sha256=sha256)


def note_known(mailbox_id: int, host: str) -> None:
    """Remember that this server let the mailbox in: should its name vanish, that passes (R-031)."""
    MailboxHealth.objects.filter(mailbox=mailbox_id).update(known_host=host)


@transaction.atomic
def note_health(mailbox_id: int, *, quiet: bool = False, **facts: Any) -> None:
    """Write what was learned of a mailbox; a changed state dates itself. `quiet`: no page needs to know."""
    version = Mailbox.objects.filter(pk=mailbox_id).values_list("settings_version", flat=True).first()
    if version is None:
        return
    health, _ = MailboxHealth.objects.select_for_update().get_or_create(mailbox_id=mailbox_id)
    seen = facts.get("seen_sha256", "")
    if seen and seen != health.seen_sha256:
        host = Mailbox.objects.values_list("imap_host", flat=True).get(pk=mailbox_id)
        trust.tell_changed(mailbox_id=mailbox_id, host=host, sha256=seen)
    if "state" in facts and (facts["state"] != health.state or health.since is None):
        health.since = datetime.now(UTC)
    for name, value in (facts | {"settings_version": version}).items():
        setattr(health, name, value)
    health.save()
    if not quiet:
        tell("health", mailbox=mailbox_id, id=mailbox_id)


def note_looked(mailboxes: Sequence[int]) -> None:
    """Date the last look at mailboxes that are in sync and had nothing new; no page needs to be told."""
    rows = MailboxHealth.objects.filter(mailbox__in=mailboxes, state=MailboxHealth.State.IN_SYNC)
    rows.update(last_sync_at=datetime.now(UTC))


@transaction.atomic
def count_download(mailbox_id: int, size: int) -> tuple[day.Hours, datetime]:
    """Count `size` bytes that came from the server; return what the last day holds by hour, and the moment (R-039)."""
    health, _ = MailboxHealth.objects.select_for_update().get_or_create(mailbox_id=mailbox_id)
    now = clock.now()
    hours = day.counted(health.downloaded, now, size)
    if hours != health.downloaded:
        MailboxHealth.objects.filter(pk=health.pk).update(downloaded=hours)
    return hours, now


@transaction.atomic
def count_upload(mailbox_id: int, size: int, limit: int) -> datetime | None:
    """Count `size` bytes that are about to be appended; where the day has no room for them, return when it has."""
    health, _ = MailboxHealth.objects.select_for_update().get_or_create(mailbox_id=mailbox_id)
    now = clock.now()
    free_at = day.frees_at(day.counted(health.uploaded, now, 0), max(0, limit - size))
    if free_at is None:
        MailboxHealth.objects.filter(pk=health.pk).update(uploaded=day.counted(health.uploaded, now, size))
    return free_at


def note_reconciled(mailbox_id: int, report: str) -> None:
    """Write down what came of a comparison of ledger and server."""
    rows = MailboxHealth.objects.filter(mailbox=mailbox_id)
    rows.update(reconciled_at=datetime.now(UTC), reconciled=report)
    tell("health", mailbox=mailbox_id, id=mailbox_id)


def last_look(mailbox_id: int) -> datetime | None:
    """Return when sync last found a mailbox in order."""
    rows = MailboxHealth.objects.filter(mailbox=mailbox_id).values_list("last_sync_at", flat=True)
    return rows.first()


def ask_for_a_look(mailbox_id: int) -> None:
    """Wake whoever watches a mailbox."""
    notify("postern_errands", {"mailbox": mailbox_id, "look": True})


def history_date(mailbox: Mailbox) -> date | None:
    """Return the day since which old mail is wanted, None when none is."""
    return mailbox.historic_since if mailbox.historic else None
