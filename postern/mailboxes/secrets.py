"""Passwords at rest: AES-256-GCM, each bound to the one place it may be sent to.

A ciphertext is `version | key id | nonce | ciphertext`. Its associated data names whose it is and the
protocol, host, port, user and security mode, so that it opens nowhere else: not in another row (S-093)
and not after the host was changed under it (S-029). Web writes these rows and cannot read them; only
the workers read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import connection, transaction

from postern.mailboxes.keylines import KeyLines
from postern.mailboxes.models import Mailbox, Probe, ProbeSecret, Secret, SystemEmail, SystemSecret
from postern.wire.errors import MailError

VERSION = 1
_KEY_ID, _NONCE = 4, 12
SEALING_LOCK = 70_229
"""Advisory lock: shared while a password is encrypted and stored, whole while the key file is exchanged."""


class SecretError(MailError):
    """A password is missing or does not open; `code` is secret_missing or secret_unreadable."""

    def __init__(self, code: str, message: str, advice: str = "Enter the password again.") -> None:
        super().__init__(code, message, advice, temporary=False)


class KeyUnknown(SecretError):
    """It was encrypted with a key that is not in the key file."""


@dataclass(frozen=True)
class Place:
    """Where a password may travel: the connection it was typed for."""

    protocol: str
    host: str
    port: int
    user: str
    security: str


def imap_place(mailbox: Mailbox) -> Place:
    """The IMAP server that the mailbox's own password belongs to."""
    return Place("imap", mailbox.imap_host, mailbox.imap_port, mailbox.imap_username, mailbox.imap_security)


def smtp_place(mailbox: Mailbox) -> Place:
    """The mailbox's own SMTP server. Without an SMTP user name it is the IMAP user who signs in there."""
    user = mailbox.smtp_username or mailbox.imap_username
    return Place("smtp", mailbox.smtp_host, mailbox.smtp_port, user, mailbox.smtp_security)


def system_place(system: SystemEmail) -> Place:
    """The company's SMTP server."""
    return Place("smtp", system.smtp_host, system.smtp_port, system.smtp_username, str(system.smtp_security))


def probe_place(probe: Probe) -> Place:
    """The server a test connects to, as the form had it when the test was started."""
    kept = probe.settings
    protocol = "imap" if probe.kind in (Probe.Kind.IMAP, Probe.Kind.LOAD) else "smtp"
    return Place(protocol, kept["host"], int(kept["port"]), kept["username"], kept["security"])


def secret_place(mailbox: Mailbox, field: str) -> Place:
    """The server that the password of `field` belongs to."""
    return imap_place(mailbox) if field == Secret.Field.IMAP else smtp_place(mailbox)


def store_secret(mailbox: Mailbox, field: str, password: str) -> None:
    """Keep the password of `field` (imap or smtp) for the mailbox's present settings, over an older one."""
    with _sealing(), connection.cursor() as cursor:
        sealed = seal(password, f"mailbox {mailbox.pk} {field}", secret_place(mailbox, field))
        # EXCLUDED would need the right to read the column, which web does not have.
        cursor.execute(
            "INSERT INTO mailboxes_secret (mailbox_id, field, ciphertext) VALUES (%s, %s, %s)"
            " ON CONFLICT (mailbox_id, field) DO UPDATE SET ciphertext = %s",
            [mailbox.pk, str(field), sealed, sealed],
        )


def drop_secret(mailbox: Mailbox, field: str) -> None:
    """Forget the password of `field`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM mailboxes_secret WHERE mailbox_id = %s AND field = %s", [mailbox.pk, str(field)]
        )


def read_secret(mailbox: Mailbox, field: str, place: Place | None = None) -> str:
    """Return the password of `field`; workers only. Raises SecretError.

    `place` is where it is about to be sent, by default the mailbox's present settings; for any place
    other than the one it was typed for it does not open.
    """
    rows = Secret.objects.filter(mailbox=mailbox, field=field).values_list("ciphertext", flat=True)
    found = _opened(rows.first, f"mailbox {mailbox.pk} {field}", place or secret_place(mailbox, field))
    if found is None:
        raise _missing()
    return found


def store_system_secret(system: SystemEmail, password: str) -> None:
    """Keep the password of the company's SMTP account."""
    with _sealing(), connection.cursor() as cursor:
        sealed = seal(password, "system", system_place(system))
        # The table has one row, and web may not even look for it: no WHERE, no ON CONFLICT.
        cursor.execute("DELETE FROM mailboxes_systemsecret")
        cursor.execute("INSERT INTO mailboxes_systemsecret (id, ciphertext) VALUES (1, %s)", [sealed])


def read_system_secret(place: Place | None = None) -> str:
    """Return the company's SMTP password; workers only. Raises SecretError."""
    rows = SystemSecret.objects.filter(pk=1).values_list("ciphertext", flat=True)
    found = _opened(rows.first, "system", place or system_place(SystemEmail.current()))
    if found is None:
        raise _missing()
    return found


def store_probe_secret(probe: Probe, password: str) -> None:
    """Keep a password typed for one test, until the test ends."""
    with _sealing(), connection.cursor() as cursor:
        sealed = seal(password, f"probe {probe.pk}", probe_place(probe))
        cursor.execute(
            "INSERT INTO mailboxes_probesecret (probe_id, ciphertext) VALUES (%s, %s)", [probe.pk, sealed]
        )


def read_probe_secret(probe: Probe) -> str | None:
    """Return the password typed for this test, None when none was typed; workers only. Raises SecretError."""
    rows = ProbeSecret.objects.filter(probe=probe).values_list("ciphertext", flat=True)
    return _opened(rows.first, f"probe {probe.pk}", probe_place(probe))


def drop_probe_secret(probe: Probe) -> None:
    """Forget the password typed for this test."""
    ProbeSecret.objects.filter(probe=probe).delete()


@contextmanager
def _sealing() -> Iterator[None]:
    """Until the row is committed the key it is encrypted with stays in the key file (rotation.py)."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [SEALING_LOCK])
        yield


def _opened(look: Callable[[], object], owner: str, place: Place) -> str | None:
    """Open what `look` finds, None for nothing. A key may go between row and file: then the row is another by now."""
    for last in (False, True):
        found = look()
        if found is None:
            return None
        try:
            return unseal(bytes(found), owner, place)  # type: ignore[call-overload]
        except KeyUnknown:
            if last:
                raise
    raise AssertionError("unreachable")


def seal(password: str, owner: str, place: Place) -> bytes:
    """Encrypt for one owner and one place. Raises ValueError for an empty password, SecretError without a key."""
    if not password:
        raise ValueError("an empty password is no password")
    key_id, key = next(iter(_keys(settings.KEY_FILE).items()))
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, password.encode(), _bound_to(owner, place))
    return bytes([VERSION]) + key_id + nonce + sealed


def unseal(sealed: bytes, owner: str, place: Place) -> str:
    """Decrypt what `seal` made for the same owner and place. Raises SecretError."""
    head, nonce = sealed[: 1 + _KEY_ID], sealed[1 + _KEY_ID : 1 + _KEY_ID + _NONCE]
    key = _keys(settings.KEY_FILE).get(head[1:])
    if head[:1] != bytes([VERSION]) or key is None:
        raise KeyUnknown(
            "secret_unreadable",
            "The saved password was encrypted with another key.",
            "Bring back the key file that belongs to this database, or enter the password again.",
        )
    try:
        return AESGCM(key).decrypt(nonce, sealed[1 + _KEY_ID + _NONCE :], _bound_to(owner, place)).decode()
    except (InvalidTag, ValueError):
        raise SecretError(
            "secret_unreadable", "The saved password was entered for other connection settings."
        ) from None


def current_key_id() -> bytes:
    """Return the id of the key that passwords are encrypted with now. Raises SecretError without a key."""
    return next(iter(_keys(settings.KEY_FILE)))


def key_ids() -> set[bytes]:
    """Return the ids of the keys in the key file, as ciphertexts carry them. Raises SecretError without a key."""
    return set(_keys(settings.KEY_FILE))


def _bound_to(owner: str, place: Place) -> bytes:
    # JSON keeps the fields apart: no two different lists have the same text.
    named = [VERSION, owner, place.protocol, place.host.lower(), place.port, place.user, place.security]
    return json.dumps(named).encode()


def _keys(path: Path) -> dict[bytes, bytes]:
    """Return key id -> key, the current one (the file's first line) first; older keys follow, one a line."""
    try:
        masters = [bytes.fromhex(line) for line in KeyLines.parse(path.read_text()).all]
    except (OSError, ValueError):
        raise SecretError(
            "secret_unreadable",
            "The installation's key file is missing or damaged.",
            "Bring back the key file; without it saved passwords cannot be used.",
        ) from None
    keys = [hashlib.sha256(b"postern secrets\0" + master).digest() for master in masters]
    return {key_id(key): key for key in keys}


def key_id(key: bytes) -> bytes:
    """Return the id under which ciphertexts name a key."""
    return hashlib.sha256(b"postern key id\0" + key).digest()[:_KEY_ID]


def _missing() -> SecretError:
    return SecretError("secret_missing", "No password is saved for this connection.", "Enter the password.")
