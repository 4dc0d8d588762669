"""Which mailboxes are watched, what a visit needs of one, and its health."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db import transaction

from postern.mail.events import tell
from postern.mailboxes import connection as settings_of
from postern.mailboxes.models import Mailbox, MailboxHealth, Secret
from postern.sync.store.errands import has_due_errands
from postern.wire.endpoint import Endpoint, Policy
from postern.wire.login import Login


@dataclass(frozen=True)
class Watched:
    """A mailbox as the supervisor sees it. `signature` changes when a watcher must start anew.

    `has_errands` is told for mailboxes without tracking only; a watcher looks for itself.
    """

    id: int
    host: str
    tracking: bool
    signature: str
    has_errands: bool


@dataclass(frozen=True)
class Account:
    """All that a visit needs to know of a mailbox."""

    mailbox: Mailbox
    endpoint: Endpoint
    login: Login
    policy: Policy
    health: MailboxHealth = field(repr=False)


_SIGNED = [
    "tracking",
    "process",
    "historic",
    "historic_since",
    "mark_as_read",
    "imap_username",
    "imap_host",
    "imap_port",
    "imap_security",
    "imap_skip_validation",
    "sent_folder",
    "settings_version",
]


def watched() -> list[Watched]:
    """Return every mailbox whose IMAP settings are whole, with its due errands."""
    secrets = dict(Secret.objects.filter(field=Secret.Field.IMAP).values_list("mailbox_id", "ciphertext"))
    rows = Mailbox.objects.filter(imap_ready=True, owner__is_active=True).order_by("pk")
    return [
        Watched(
            box.pk,
            box.imap_host.lower(),
            box.tracking,
            _signature(box, bytes(secrets.get(box.pk) or b"")),
            not box.tracking and has_due_errands(box.pk),
        )
        for box in rows
    ]


def _signature(mailbox: Mailbox, secret: bytes) -> str:
    facts = [repr(getattr(mailbox, name)) for name in _SIGNED]
    return hashlib.sha256("\0".join(facts).encode() + secret).hexdigest()


def load(mailbox_id: int) -> Account | None:
    """Return the mailbox with endpoint and login, None when it is no longer there. Raises SecretError."""
    mailbox = Mailbox.objects.filter(pk=mailbox_id, imap_ready=True).first()
    if mailbox is None:
        return None
    health, _ = MailboxHealth.objects.get_or_create(mailbox=mailbox)
    return Account(
        mailbox,
        settings_of.imap_endpoint(mailbox),
        settings_of.imap_login(mailbox),
        settings_of.policy(),
        health,
    )


def pin(mailbox_id: int, sha256: str) -> None:
    """Remember the certificate seen first (row 12); one already remembered stays."""
    Mailbox.objects.filter(pk=mailbox_id, imap_pinned_sha256="").update(imap_pinned_sha256=sha256)


@transaction.atomic
def note_health(mailbox_id: int, *, quiet: bool = False, **facts: Any) -> None:
    """Write what was learned of a mailbox; a changed state dates itself. `quiet`: no page needs to know."""
    version = Mailbox.objects.filter(pk=mailbox_id).values_list("settings_version", flat=True).first()
    if version is None:
        return
    health, _ = MailboxHealth.objects.select_for_update().get_or_create(mailbox_id=mailbox_id)
    if "state" in facts and (facts["state"] != health.state or health.since is None):
        health.since = datetime.now(UTC)
    for name, value in (facts | {"settings_version": version}).items():
        setattr(health, name, value)
    health.save()
    if not quiet:
        tell("health", mailbox=mailbox_id, id=mailbox_id)


def history_date(mailbox: Mailbox) -> date | None:
    """Return the day since which old mail is wanted, None when none is."""
    return mailbox.historic_since if mailbox.historic else None
