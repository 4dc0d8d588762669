"""The daily digest of the reader log: who wants it, whose turn it is, what is new, and how a digest is known again.

What it says is in postern.mail.digestwords, how it goes out in postern.outbox.digest.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.db.models import Max
from django.utils import timezone

from postern.mail.bulk import ask
from postern.mail.models import Digest, Opening
from postern.mail.readerlog import Wanted, lines
from postern.mail.references import id_hash
from postern.mailboxes.models import Mailbox
from postern.people.models import Staff

HOUR = 7
"""From this hour of the owner's day on it is sent: before work, in winter and summer."""
MOST_LINES = 20_000
"""What one digest tells at most; the rest is told the day after."""
MARKER = "reader-log-digest@postern.invalid"
"""Every digest refers to this id, and to one that only its mailbox knows."""
MARKER_KEY = id_hash(MARKER)


def digest_of(staff: Staff, mailbox: Mailbox) -> Digest:
    """Return what the owner chose for a mailbox of theirs; an unsaved row says no."""
    found = Digest.objects.filter(mailbox=mailbox, mailbox__owner=staff).first()
    return found or Digest(mailbox=mailbox)


def choose(*, staff: Staff, mailbox: Mailbox, wanted: bool, zone: str = "") -> Digest:
    """Set the owner's choice for a mailbox of theirs; `zone` as IANA names it, any other text keeps what is known.

    The first digest tells what happened since. Raises Mailbox.DoesNotExist for another's.
    """
    box = Mailbox.objects.get(pk=mailbox.pk, owner=staff)
    row, _ = Digest.objects.get_or_create(mailbox=box, defaults={"mark": secrets.token_hex(16)})
    if wanted and not row.wanted:
        newest = lines(staff, Wanted(mailbox=box.pk)).aggregate(newest=Max("pk"))["newest"]
        row.upto, row.day = max(row.upto, newest or 0), None
    row.wanted = wanted
    row.zone = zone if zone in available_timezones() else row.zone
    row.save(update_fields=["wanted", "zone", "upto", "day"])
    return row


def zone_of(row: Digest) -> ZoneInfo:
    """Return the owner's time zone; the installation's where none is known, or no longer."""
    name = row.zone if row.zone in available_timezones() else timezone.get_default_timezone_name()
    return ZoneInfo(name)


def due(now: datetime, zone: ZoneInfo, last: date | None) -> date | None:
    """Return the owner's day when a digest is to go out at this moment, None when it is not.

    last: the day of the one before. A clock set back sends none twice, whatever it says; one that was ahead, and is
    right again, holds it up for a day at most. What a digest tells hangs on the log's numbers, not on any clock.
    """
    here = now.astimezone(zone)
    today = here.date()
    if here.hour < HOUR:
        return None
    told = last is not None and today <= last <= today + timedelta(days=1)
    return None if told else today


def since(row: Digest) -> list[Opening]:
    """Return the lines of the log that no digest told yet, oldest first. The caller is at the mailbox, as send."""
    sql = "SELECT * FROM app.openings_since(%s, %s)"
    return list(Opening.objects.raw(sql, [row.upto, MOST_LINES]))


def references(row: Digest) -> tuple[str, ...]:
    """Return the ids that each digest of this mailbox refers to: servers rewrite a Message-ID, but not these."""
    return MARKER, _mark(row.mark)


def is_digest(mailbox_id: int, keys: Sequence[int]) -> bool:
    """True for a letter of this mailbox that carries the keys of both ids; no query for any without the first.

    Whoever reads the mailbox along must not read there who else does.
    """
    if MARKER_KEY not in keys:
        return False
    rows = ask("SELECT mark FROM mail_digest WHERE mailbox_id = %s", mailbox_id)
    return any(id_hash(_mark(mark)) in keys for (mark,) in rows)


def _mark(mark: str) -> str:
    return f"{mark}@postern.invalid"
