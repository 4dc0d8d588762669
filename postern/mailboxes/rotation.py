"""Every stored password encrypted with the current key, in batches, while everything runs.

Each batch is one transaction, and a ciphertext names its key: killed anywhere, it goes on where it stopped.
For the command's process (postern_owner) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connection, transaction

from postern.mailboxes.models import Mailbox, Probe, ProbeSecret, Secret, SystemEmail, SystemSecret
from postern.mailboxes.secrets import (
    SEALING_LOCK,
    Place,
    SecretError,
    current_key_id,
    probe_place,
    seal,
    secret_place,
    system_place,
    unseal,
)

BATCH = 200
_OTHERS = """
SELECT owner FROM (
  SELECT 'mailbox ' || mailbox_id || ' ' || field AS owner, ciphertext FROM mailboxes_secret
  UNION ALL SELECT 'system', ciphertext FROM mailboxes_systemsecret
  UNION ALL SELECT 'probe ' || probe_id, ciphertext FROM mailboxes_probesecret
) s WHERE substring(ciphertext FROM 2 FOR 4) <> %(current)s"""


@dataclass
class Report:
    """How many passwords were encrypted anew, and which open with no key for the place they are stored for."""

    done: int = 0
    unreadable: list[str] = field(default_factory=list)


def reseal() -> Report:
    """Encrypt with the current key whatever is encrypted with another. Raises SecretError without a key file."""
    report, current = Report(), current_key_id()
    last = 0
    while found := _not_with(current, last):
        last = found[-1][0]
        with _durable():
            for row in _locked(found):
                place = secret_place(row.mailbox, row.field)
                _anew(row, f"mailbox {row.mailbox_id} {row.field}", place, report)
    _system(current, report)
    _probes(current, report)
    return report


@contextmanager
def _durable() -> Iterator[None]:
    """A transaction that is on the disk when it is over: the old key is dropped on the strength of it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
        yield


def _not_with(current: bytes, after: int) -> list[tuple[int, int]]:
    """The next batch of (secret, mailbox) that another key encrypts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, mailbox_id FROM mailboxes_secret WHERE id > %s AND substring(ciphertext FROM 2 FOR 4) <> %s"
            " ORDER BY id LIMIT %s",
            [after, current, BATCH],
        )
        return list(cursor.fetchall())


def _locked(found: list[tuple[int, int]]) -> list[Secret]:
    """Lock them with the settings that say where each may travel, in the order in which settings are saved."""
    boxes = {mailbox for _, mailbox in found}
    list(Mailbox.objects.select_for_update().filter(pk__in=boxes).order_by("pk").values_list("pk"))
    rows = Secret.objects.select_for_update(of=("self",)).select_related("mailbox")
    return list(rows.filter(pk__in=[pk for pk, _ in found]).order_by("pk"))


def _anew(row: Secret | SystemSecret | ProbeSecret, owner: str, place: Place, report: Report) -> None:
    before = bytes(row.ciphertext)
    try:
        row.ciphertext = seal(unseal(before, owner, place), owner, place)
    except SecretError:
        report.unreadable.append(owner)
        return
    row.save(update_fields=["ciphertext"])
    report.done += 1


def _system(current: bytes, report: Report) -> None:
    with _durable():
        settings = SystemEmail.objects.select_for_update().filter(pk=1).first()
        row = SystemSecret.objects.select_for_update().filter(pk=1).first()
        if settings is not None and row is not None and bytes(row.ciphertext)[1:5] != current:
            _anew(row, "system", system_place(settings), report)


def _probes(current: bytes, report: Report) -> None:
    """Passwords typed for tests; a test that ends meanwhile takes its own along."""
    for pk in ProbeSecret.objects.values_list("pk", flat=True):
        with _durable():
            row = ProbeSecret.objects.select_for_update().filter(pk=pk).first()
            probe = Probe.objects.filter(pk=pk).first()
            if row is not None and probe is not None and bytes(row.ciphertext)[1:5] != current:
                _anew(row, f"probe {pk}", probe_place(probe), report)


def exchange(write: Callable[[], None], *, after: Report | None = None) -> bool:
    """Call `write`, which exchanges the key file, while nobody encrypts (secrets.SEALING_LOCK); True when done.

    `after`: only if nothing but what that report could not read is encrypted with another key than the current.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEALING_LOCK])
        if after is not None and _others(current_key_id()) - set(after.unreadable):
            return False
        write()
    return True


def _others(current: bytes) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, {"current": current})
        return {owner for (owner,) in cursor.fetchall()}
