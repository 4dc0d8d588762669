"""My Profile → Reader log: who else opened messages of one's own mailboxes, as a list and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from postern.mail.digest import HOUR, choose, digest_of, zone_of
from postern.mail.models import Digest, Message, Opening
from postern.mail.readerlog import YEARS, Wanted, customers_named, lines
from postern.mail.visibility import scope_in_words
from postern.mailboxes.ids import typed_id
from postern.mailboxes.models import Mailbox
from postern.outbox.letter import ComposeError, check_way_out
from postern.people.models import Staff
from postern.web.base.toast import toast
from postern.web.inbox.views import person

PAGE = 100
MOST_LINES = 50_000
"""Lines of one CSV file."""
NAMES = ("reader", "mailbox", "message", "since", "until", "customer")
HEAD = (
    "When",
    "Reader",
    "Opened",
    "Attachment",
    "Subject",
    "From",
    "Direction",
    "Received",
    "Mailbox",
    "By",
    "Through",
    "Given on",
    "Message",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Line:
    """One line of the page: a message, or several of a conversation that were shown together."""

    first: Opening
    number: int
    here: bool
    """The newest of its messages can still be opened."""

    @property
    def through(self) -> str:
        """The grant in words."""
        return scope_in_words(self.first) if self.first.grant_id else "Access that has ended since"


@login_required
@require_safe
def log(request: HttpRequest) -> HttpResponse:
    """The list, newest first."""
    staff = person(request)
    rows = lines(staff, read_filter(request.GET))
    after = typed_id(request.GET.get("after"))
    if after:
        rows = rows.filter(pk__lt=after)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    shown = found[:PAGE]
    query = kept(request.GET)
    context = {
        "nav": "profile",
        "page_title": "My Profile",
        "tab": "reader-log",
        "lines": _together(staff, shown),
        "next": kept(request.GET, after=str(shown[-1].pk)) if len(found) > PAGE else "",
        "query": query,
        "typed": {name: request.GET.get(name, "") for name in NAMES},
        "people": Staff.objects.exclude(pk=staff.pk).order_by("name"),
        "mailboxes": Mailbox.objects.filter(owner=staff),
        "years": YEARS,
        "digests": [_digest(staff, box) for box in Mailbox.objects.filter(owner=staff).order_by("pk")],
    }
    return render(request, "profile/reader_log.html", context)


@dataclass(frozen=True)
class DigestChoice:
    """A mailbox's switch: what was chosen, from when on it comes, and why none can come ('' when one can)."""

    row: Digest
    from_when: str
    problem: str


@login_required
@require_POST
def digest(request: HttpRequest) -> HttpResponse:
    """Choose for which of one's mailboxes a daily digest is sent."""
    staff, chosen = person(request), request.POST.getlist("mailbox")
    boxes = list(Mailbox.objects.filter(owner=staff))
    for box in boxes:
        choose(staff=staff, mailbox=box, wanted=str(box.pk) in chosen, zone=request.POST.get("zone", ""))
    response = redirect("reader-log")
    wanted = any(str(box.pk) in chosen for box in boxes)
    comes = "A digest comes when somebody opened something." if wanted else "No digest comes."
    toast(request, response, f"Saved. {comes}")
    return response


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The same lines as CSV, one for each message, newest first."""
    rows = lines(person(request), read_filter(request.GET)).order_by("-pk")[: MOST_LINES + 1]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEAD, *_cells(rows)])
    response = HttpResponse(text.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="reader-log.csv"'
    return response


def read_filter(query: QueryDict) -> Wanted:
    """The filter named by an address; what makes no sense is left out."""
    words = query.get("customer", "").strip()[:200]
    return Wanted(
        reader=typed_id(query.get("reader")) or None,
        mailbox=typed_id(query.get("mailbox")) or None,
        message=typed_id(query.get("message")) or None,
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
        customers=customers_named(words) if words else None,
    )


def kept(query: QueryDict, after: str = "") -> str:
    """The filter as a query string, '' for none."""
    told = QueryDict(mutable=True)
    for name in NAMES:
        if value := query.get(name):
            told[name] = str(value)
    if after:
        told["after"] = after
    return f"?{told.urlencode()}" if told else ""


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula (CWE-1236): subjects and names are written by strangers."""
    danger = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
    return f"'{cell}" if danger else cell


def _digest(staff: Staff, mailbox: Mailbox) -> DigestChoice:
    row, problem = digest_of(staff, mailbox), ""
    try:
        check_way_out(mailbox)
    except ComposeError:
        problem = "This mailbox cannot send yet, so no digest comes. Set up SMTP in My Profile, Email."
    zone = zone_of(row).key.replace("_", " ")
    return DigestChoice(row, f"after {HOUR}:00 ({zone} time)", problem)


def _cells(rows: Iterable[Opening]) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        if number == MOST_LINES:
            yield [f"Older lines are left out after {MOST_LINES:,}. Choose a shorter period to see them."]
            return
        cells = (
            _moment(row.at),
            row.reader_name,
            row.get_what_display(),
            row.part_name,
            row.subject,
            row.author,
            "sent" if row.outgoing else "received",
            _moment(row.received_at),
            row.mailbox.address,
            row.get_door_display(),
            scope_in_words(row) if row.grant_id else "",
            _moment(row.granted_at) if row.granted_at else "",
            str(row.message_id),
        )
        yield [guarded(cell) for cell in cells]


def _together(staff: Staff, rows: Sequence[Opening]) -> list[Line]:
    """Messages of one conversation that one answer showed are one line."""
    here = set(
        Message.objects.visible_to(staff)
        .filter(pk__in={row.message_id for row in rows})
        .values_list("pk", flat=True)
    )
    told = []
    for _, some in groupby(rows, key=_shown_as):
        group = list(some)
        newest = max(group, key=lambda row: (row.received_at, row.message_id))
        told.append(Line(newest, len(group), newest.message_id in here))
    return told


def _shown_as(row: Opening) -> tuple[object, ...]:
    whole = row.what == Opening.What.CONVERSATION
    return (row.reader_id, row.at, row.conversation_id) if whole else (row.pk,)


def _moment(moment: datetime) -> str:
    return timezone.localtime(moment).isoformat(sep=" ", timespec="seconds")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
