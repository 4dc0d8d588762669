"""The reader log: a line for each opening of a message by anyone but the owner of its mailbox.

The line is written in the transaction that answers, and lists write none. Who reads the log, and that nobody
changes it, is the wall's (postern.mail.wall); decision 0014 says what counts as an opening.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from postern.mail.models import Message, Opening, Party
from postern.people.models import Customer, Staff

YEARS = 2
"""How long lines are kept (app.tidy takes older ones away)."""

# No RETURNING and no conflict target: both would need the right to read, which the reader has not.
_NOTE = """
INSERT INTO mail_opening (at, mailbox_id, message_id, conversation_id, reader_id, reader_name, what, part, part_name,
    door, subject, author, outgoing, received_at, customers, by_share, grant_id, granted_at, incoming_only,
    customers_only, may_reply, ends_at)
SELECT now(), m.mailbox_id, m.id, m.conversation_id, s.id, s.name, %(what)s, %(part)s, %(part_name)s,
    %(door)s, left(m.subject, 500), left(CASE m.from_name WHEN '' THEN m.from_address ELSE m.from_name END, 500),
    m.outgoing, m.received_at,
    coalesce((SELECT jsonb_agg(p.customer_id) FROM mail_party p WHERE p.message_id = m.id), '[]'),
    r.id IS NULL AND x.id IS NOT NULL, coalesce(r.id, x.id), coalesce(r.created_at, x.created_at),
    coalesce(r.incoming_only, false), coalesce(r.customers_only, false), coalesce(r.may_reply, false),
    CASE WHEN r.id IS NULL THEN x.ends_at ELSE r.ends_at END
  FROM mail_message m JOIN people_staff s ON s.id = %(staff)s
    LEFT JOIN mailboxes_reader r ON r.mailbox_id = m.mailbox_id AND r.staff_id = s.id
      AND (r.ends_at IS NULL OR r.ends_at > now()) AND NOT (r.incoming_only AND m.outgoing)
      AND NOT (r.customers_only AND NOT m.owner_party)
    LEFT JOIN mail_conversationshare x ON x.conversation_id = m.conversation_id AND x.staff_id = s.id
 WHERE m.id = ANY (%(messages)s)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Wanted:
    """What to list: one person, one mailbox, one message, days (both included), customers; None: not asked."""

    reader: int | None = None
    mailbox: int | None = None
    message: int | None = None
    since: date | None = None
    until: date | None = None
    customers: tuple[int, ...] | None = None


def note(
    *,
    staff: Staff,
    messages: Iterable[Message],
    what: Opening.What,
    door: Opening.Door,
    part: int | None = None,
    part_name: str = "",
) -> None:
    """Write down that `staff` opened messages that they see (mailboxes loaded); one's own write nothing.

    One statement. Raises DatabaseError when it cannot be written: then nothing may be shown.
    """
    foreign = [message.pk for message in messages if message.mailbox.owner_id != staff.pk]
    if not foreign:
        return
    values: dict[str, Any] = {"staff": staff.pk, "messages": foreign, "what": what.value, "door": door.value}
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, values | {"part": part, "part_name": part_name[:500]})


def lines(staff: Staff, wanted: Wanted) -> QuerySet[Opening]:
    """Return the lines about mailboxes that `staff` owns, narrowed, unordered (a higher id is later)."""
    rows = Opening.objects.filter(mailbox__owner=staff).select_related("mailbox")
    for name, value in (("reader_id", wanted.reader), ("mailbox", wanted.mailbox)):
        rows = rows.filter(**{name: value}) if value is not None else rows
    if wanted.message is not None:
        rows = rows.filter(message_id=wanted.message)
    if wanted.since:
        rows = rows.filter(at__gte=_start_of(wanted.since))
    if wanted.until:
        rows = rows.filter(at__lt=_start_of(wanted.until + timedelta(days=1)))
    return rows if wanted.customers is None else rows.filter(_about(wanted.customers))


def latest(staff: Staff, messages: Iterable[Message]) -> list[Opening]:
    """Return the last opening of any of these messages by each reader, the newest first; for the owner."""
    own = [message.pk for message in messages if message.mailbox.owner_id == staff.pk]
    if not own:
        return []
    rows = Opening.objects.filter(mailbox__owner=staff, message_id__in=own)
    found = rows.order_by("reader_id", "-pk").distinct("reader_id")
    return sorted(found, key=lambda row: row.pk, reverse=True)


def _about(customers: tuple[int, ...]) -> Q:
    """Filed under one of them when it was opened, or now."""
    now = Party.objects.filter(customer__in=customers).values("message_id")
    found = Q(message_id__in=now)
    for pk in customers:
        found |= Q(customers__contains=pk)
    return found


def customers_named(words: str) -> tuple[int, ...]:
    """Return the ids of customers and leads that fit typed words, at most fifty."""
    return tuple(Customer.objects.search(words).values_list("pk", flat=True)[:50])


def _start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
