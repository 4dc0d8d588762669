"""The daily digest of the reader log goes out: to the mailbox it is about, the way its owner's own letters go.

Not through the company's server, unless the owner's letters do: subjects of their mail are nobody else's. What is
told is moved past before the first byte, so that neither a second job nor a killed one tells anything twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime

from django.db import DatabaseError

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mail.digest import due, references, since, zone_of
from postern.mail.digestwords import words
from postern.mail.models import Digest
from postern.mailboxes.models import Mailbox
from postern.mime.addresses import Mailaddr
from postern.mime.write import write
from postern.outbox.letter import ComposeError, check_way_out
from postern.outbox.telling import UNKNOWN, Road, own
from postern.wire.errors import MailError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Going:
    """A digest on its way, and what its row said before and says now: (last line told, day)."""

    mailbox_id: int
    address: str
    raw: bytes
    road: Road
    before: tuple[int, date | None]
    after: tuple[int, date]


def send_due() -> int:
    """Send the digests whose hour has come, each once; return how many servers took. Safe at any time, side by side."""
    sent = 0
    for mailbox_id in Mailbox.objects.order_by("pk").values_list("pk", flat=True):
        try:
            going = _begin(mailbox_id, clock.now())
            sent += going is not None and _hand_over(going)
        except (DatabaseError, ValueError):
            log.exception("the digest of mailbox %s was left for later", mailbox_id)
    return sent


def _begin(mailbox_id: int, now: datetime) -> Going | None:
    """Move past what is to be told, and return the letter; None where nothing is to be sent now."""
    with at_mailbox(mailbox_id):
        rows = Digest.objects.select_for_update(of=("self",)).select_related("mailbox__owner")
        rows = rows.defer("mailbox__owner__password")
        row = rows.filter(wanted=True, mailbox__owner__is_active=True).first()
        today = due(now, zone_of(row), row.day) if row else None
        if row is None or today is None:
            return None
        before = (row.upto, row.day)
        row.day = today
        going = _going(row, before, today, now)
        if going is not None:
            row.upto = going.after[0]
        row.save(update_fields=["upto", "day"])
        return going


def _going(row: Digest, before: tuple[int, date | None], today: date, now: datetime) -> Going | None:
    box, lines = row.mailbox, since(row)
    if not lines:
        return None
    try:
        check_way_out(box)
        road = own(box)
    except (ComposeError, MailError) as error:
        log.warning("mailbox %s cannot send its digest: %s", box.pk, type(error).__name__)
        return None
    subject, text = words(lines, address=box.address, zone=zone_of(row))
    raw = write(
        sender=road.sender,
        to=[Mailaddr(box.owner.name, box.address)],
        subject=subject,
        text=text,
        html=None,
        message_id=road.message_id(),
        date=now,
        references=references(row),
        automatic=True,
    )
    return Going(box.pk, box.address, raw, road, before, (lines[-1].pk, today))


def _hand_over(going: Going) -> bool:
    """Send it. Where it is certain that nobody got it, the row says again what it said before."""
    try:
        going.road.hand_over(recipient=going.address, raw=going.raw)
    except MailError as error:
        log.warning("the digest of mailbox %s could not be sent: %s", going.mailbox_id, error.code)
        if error.code != UNKNOWN:
            _take_back(going, again_today=error.temporary)
        return False
    return True


def _take_back(going: Going, *, again_today: bool) -> None:
    """What was not told is told next time: soon, or tomorrow when another try today cannot help."""
    upto, day = going.before
    with at_mailbox(going.mailbox_id):
        rows = Digest.objects.filter(mailbox_id=going.mailbox_id, upto=going.after[0], day=going.after[1])
        rows.update(upto=upto, day=day if again_today else going.after[1])
