"""Lists of mail: the inbox with its filters, a customer's communication, and paging that stays stable.

Every query starts at `Message.objects.visible_to(viewer)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Prefetch, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from postern.mail import search
from postern.mail.access import visible_keys
from postern.mail.models import Message, MessageRead, Party
from postern.mail.models.message import MessageQuerySet
from postern.mailboxes.denylist import DenyList
from postern.people.models import Customer, Staff

PAGE = 50
MOST_HITS = 5000
"""Places of words that are fetched at once, when few of them pass the other filters."""
SHOWS = ("all", "unread", "unknown", "customers", "leads")


@dataclass(frozen=True)
class Filter:
    """What the inbox shows: one of SHOWS, words, and a period (days, both included)."""

    show: str = "all"
    text: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Page:
    """Some messages, newest first, and the cursor of the next page ('' on the last)."""

    messages: list[Message]
    next_cursor: str


@dataclass
class Thread:
    """A conversation as one viewer may see it."""

    id: int
    messages: list[Message] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """The subject of its first visible message."""
        return self.messages[0].subject or "(no subject)"

    @property
    def last(self) -> Message:
        """The newest visible message."""
        return self.messages[-1]


def inbox(staff: Staff, wanted: Filter) -> MessageQuerySet:
    """Incoming messages that the person may read, narrowed by a filter, unordered."""
    rows = Message.objects.visible_to(staff, outgoing=False)
    if wanted.show == "unread":
        rows = rows.unread_by(staff)
    elif wanted.show == "unknown":
        rows = rows.filter(known=False)
    elif wanted.show in ("customers", "leads"):
        kind = Customer.Kind.CUSTOMER if wanted.show == "customers" else Customer.Kind.LEAD
        rows = rows.filter(Exists(Party.objects.filter(message=OuterRef("pk"), customer__kind=kind)))
    if wanted.text.strip():
        rows = rows.filter(pk__in=search.found(wanted.text)) if search.has_words(wanted.text) else rows.none()
    if wanted.since:
        rows = rows.filter(received_at__gte=_start_of(wanted.since))
    if wanted.until:
        rows = rows.filter(received_at__lt=_start_of(wanted.until + timedelta(days=1)))
    return rows


def inbox_page(staff: Staff, wanted: Filter, cursor: str = "", size: int = PAGE) -> Page:
    """Return one page of the inbox. Words are looked up first, as far back as it takes to fill the page."""
    if not wanted.text.strip():
        return page(inbox(staff, wanted), staff, cursor, size, outgoing=False)
    rows = inbox(staff, replace(wanted, text=""))
    messages: list[Message] = []
    place, window = _read_cursor(cursor), 4 * size
    while len(messages) <= size:
        hits = search.hits(wanted.text, before=place, most=window)
        some = dressed(rows.filter(pk__in=[hit.id for hit in hits]), staff)
        messages += some.order_by("-received_at", "-pk")[: size + 1 - len(messages)]
        if len(hits) < window or (wanted.since and hits[-1].at < _start_of(wanted.since)):
            break
        place, window = (hits[-1].at, hits[-1].id), min(4 * window, MOST_HITS)
    return _page(messages, size)


def sent(staff: Staff) -> MessageQuerySet:
    """Outgoing messages that the person may read."""
    return Message.objects.visible_to(staff, outgoing=True)


def page(rows: MessageQuerySet, staff: Staff, cursor: str = "", size: int = PAGE, *, outgoing: bool) -> Page:
    """Return one page, newest first, of `rows` that are all `outgoing` or all not.

    The cursor is a place, not a number: new mail never shifts it.
    """
    place = _read_cursor(cursor)
    if place is not None:
        at, pk = place
        rows = rows.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=pk), received_at__lte=at)
    keys = visible_keys(staff, outgoing=outgoing)
    newest = dressed(rows.filter(pk__in=_newest(rows, keys, size + 1)), staff)
    return _page(list(newest.order_by("-received_at", "-pk")), size)


def _newest(rows: MessageQuerySet, keys: Iterable[int], size: int) -> list[int]:
    """Return the ids of the newest messages of `rows`, which all lie in classes of mail `keys`.

    Each class has its own place in the index, in order: a few rows of each are looked at, not all that a person
    may read. The planner does not find that way by itself.
    """
    of_one = rows.filter(wall_key=RawSQL("class.key", [])).order_by("-received_at", "-pk")
    try:
        sql, values = of_one.values_list("pk", "received_at")[:size].query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT x.id FROM unnest(%s::bigint[]) class (key) CROSS JOIN LATERAL ({sql}) x (id, at)"  # noqa: S608
            " ORDER BY x.at DESC, x.id DESC LIMIT %s",
            [list(keys), *values, size],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _page(found: list[Message], size: int) -> Page:
    """A page of one message more than it shows."""
    last = found[size - 1] if len(found) > size else None
    return Page(found[:size], f"{last.received_at.timestamp():.6f}_{last.pk}" if last else "")


def dressed(rows: MessageQuerySet, staff: Staff) -> MessageQuerySet:
    """Add what a row of a list shows: unread, the customer, the mailbox."""
    parties = Prefetch("parties", queryset=Party.objects.select_related("customer").order_by("pk"))
    return rows.with_unread(staff).select_related("mailbox").prefetch_related(parties)


def communication(staff: Staff, customer: Customer) -> list[Thread]:
    """Conversations with a customer that the person may see, the one with the newest message first.

    A conversation comes whole, as far as it is visible: also what was written in it by an address that is
    not on the customer (a colleague in Cc).
    """
    filed = Message.objects.visible_to(staff).filter(parties__customer=customer).values("conversation_id")
    rows = Message.objects.visible_to(staff).filter(conversation_id__in=filed)
    return threads(dressed(rows, staff))


def threads(rows: MessageQuerySet) -> list[Thread]:
    """Group messages into conversations, oldest message first inside, newest conversation first."""
    ordered = rows.order_by("conversation_id", "received_at", "pk")
    found = [Thread(pk, list(group)) for pk, group in groupby(ordered, key=lambda m: m.conversation_id)]
    return sorted(found, key=lambda t: (t.last.received_at, t.last.pk), reverse=True)


def counts(staff: Staff) -> dict[str, int]:
    """Return the sidebar's numbers for this person: unread, unknown, and all that is in the inbox."""
    rows = Message.objects.visible_to(staff, outgoing=False)
    # Two questions that indexes answer alone; asking each message whether it was read takes five times as long.
    found: dict[str, int] = rows.aggregate(unknown=Count("pk", filter=Q(known=False)), all=Count("pk"))
    read = MessageRead.objects.filter(staff=staff, message__in=rows).count()
    return found | {"unread": found["all"] - read}


def _start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _read_cursor(cursor: str) -> tuple[datetime, int] | None:
    """Return (time, id) of a cursor; a made-up one is the first page."""
    stamp, _, pk = cursor.partition("_")
    try:
        return datetime.fromtimestamp(float(stamp), tz=timezone.get_current_timezone()), int(pk)
    except (ValueError, OverflowError, OSError):
        return None


def hidden_by(mailbox_id: int, lines: Iterable[str]) -> int:
    """Return how many incoming messages that are here the deny patterns would have hidden."""
    deny = DenyList(lines)
    rows = Message.objects.filter(mailbox_id=mailbox_id, outgoing=False, deleted_at=None)
    senders = rows.values_list("from_address", "also_from").annotate(number=Count("pk"))
    return sum(number for address, others, number in senders if deny.matches(address, *others))
