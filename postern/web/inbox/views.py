"""Messages / Inbox, Sent and Blocked: a list beside one message."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from postern.mail import lists
from postern.mail.access import has_own_mailbox, may_answer, waits_for_own_mailbox
from postern.mail.actions import actions_for, mark_read
from postern.mail.models import Message
from postern.mail.models.message import MessageQuerySet
from postern.mail.owed import in_words, undone
from postern.mail.pairing import suggestions
from postern.mail.raw import events_of
from postern.mail.readerlog import latest
from postern.mail.sharing import stand_aside
from postern.mail.visibility import watch
from postern.mailboxes.models import DenyEntry
from postern.mime.quoting import split_quote
from postern.outbox.behalf import authors_of, unreached
from postern.people.models import Staff
from postern.web.inbox.opening import What, opened, prefetched
from postern.web.inbox.rows import beside, button, customer_of, inbox_rows, sent_rows
from postern.web.inbox.shared import sharing_of

_PICTURE = re.compile(r"<img\b[^>]*>")
_HEIGHT = re.compile(r'\bheight="(\d{1,4})"')

CHIPS = (
    ("all", "All", ""),
    ("unread", "Unread", ""),
    ("unknown", "Author not found", "amber"),
    ("customers", "Customers", ""),
    ("leads", "Leads", ""),
)


def person(request: HttpRequest) -> Staff:
    """The person signed in (login_required saw to it)."""
    assert isinstance(request.user, Staff)
    return request.user


@login_required
@require_safe
def inbox(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """The inbox; with `pk` one message is open beside the list and becomes read for this person."""
    staff = person(request)
    wanted = read_filter(request.GET)
    rows = lists.inbox(staff, wanted)
    message = (
        open_message(request, lists.inbox(staff, lists.Filter()), pk)
        if pk and not _list_only(request)
        else None
    )
    page = lists.inbox_page(staff, wanted, request.GET.get("after", ""))
    query = _query(request.GET)
    context = {
        "nav": "unknown" if wanted.show == "unknown" else "inbox",
        "page_title": "Author not found" if wanted.show == "unknown" else "Inbox",
        "rows": inbox_rows(page.messages, staff, pk, query),
        "next": _query(request.GET, after=page.next_cursor) if page.next_cursor else "",
        "total": rows.count() if query else None,
        "wanted": wanted,
        "chips": CHIPS,
        "query": query,
        "waits": waits_for_own_mailbox(staff),
        "has_mailbox": has_own_mailbox(staff),
        "filtered": bool(query),
        "unconnected": not (page.messages or query or has_own_mailbox(staff)),
        "back": "inbox",
        "opens": "message",
        **(reading(staff, message) | {"beside": beside(rows, message)} if message else {}),
    }
    return render(request, "inbox/inbox.html", context)


@login_required
@require_safe
def sent(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Letters sent from here and from elsewhere, newest first."""
    staff = person(request)
    rows = lists.sent(staff)
    message = open_message(request, rows, pk) if pk and not _list_only(request) else None
    page = lists.page(rows, staff, request.GET.get("after", ""), outgoing=True)
    context = {
        "nav": "sent",
        "page_title": "Sent",
        "rows": sent_rows(page.messages, staff, pk),
        "next": _query(request.GET, after=page.next_cursor) if page.next_cursor else "",
        "total": rows.count(),
        "back": "sent",
        "opens": "sent-message",
        "has_mailbox": has_own_mailbox(staff),
        **(reading(staff, message) | {"beside": beside(rows, message)} if message else {}),
    }
    return render(request, "inbox/sent.html", context)


@login_required
@require_safe
def blocked(request: HttpRequest) -> HttpResponse:
    """Addresses and domains on the deny lists of the person's own mailboxes."""
    entries = (
        DenyEntry.objects.filter(mailbox__owner=person(request)).exclude(pattern="").select_related("mailbox")
    )
    return render(
        request, "inbox/blocked.html", {"nav": "blocked", "page_title": "Blocked", "entries": entries}
    )


def read_filter(query: QueryDict) -> lists.Filter:
    """The filter named by an address; what makes no sense is left out."""
    show = query.get("show", "all")
    return lists.Filter(
        show=show if show in lists.SHOWS else "all",
        text=query.get("q", "")[:200],
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
    )


def open_message(request: HttpRequest, rows: MessageQuerySet, pk: int) -> Message:
    """One message of `rows`, or 404. Opening marks it read for this person, and is noted where it is another's mail."""
    staff = person(request)
    message = lists.dressed(rows, staff).filter(pk=pk).first()
    if message is None:
        raise Http404
    opened(request, [message], What.BODY)
    if not prefetched(request):
        mark_read(staff=staff, message=message)
    return message


def _list_only(request: HttpRequest) -> bool:
    """True when a live update asks for the list beside the open message: that is nobody's opening of the message."""
    return request.headers.get("HX-Target") in ("list", "totals")


def reading(staff: Staff, message: Message) -> dict[str, Any]:
    """What the reading pane shows of one message."""
    mine = message.mailbox.owner_id == staff.pk
    fresh, quoted = split_quote(message.body.text)
    unknown = not message.outgoing and not message.known
    return {
        "message": message,
        "mine": mine,
        "may_answer": may_answer(staff, message),
        "undone": [in_words(errand) for errand in undone(staff, message)] if mine else [],
        "written_by": authors_of(staff, [message]).get(message.pk, ""),
        "unreached": unreached(staff, [message]).get(message.pk),
        "customer": customer_of(message),
        "by_hand": any(party.by_hand for party in message.parties.all()),
        "visibility": watch(staff, [message]).over([message]),
        "openings": latest(staff, [message]),
        "sharing": sharing_of(staff, [message]),
        "aside": stand_aside(staff, [message]).get(message.pk),
        "attachments": [a for a in message.attachments.all() if not a.inline],
        "events": events_of(message),
        "fresh": fresh,
        "quoted": quoted,
        "frame_height": frame_height(message),
        "suggestions": suggestions(message) if unknown and mine else [],
        "triage": unknown,
        "buttons": {a.key: button(a, message) for a in actions_for(staff, message)},
        "several": len(message.to) + len(message.cc) > 1,
        "bcc": message.blind.addresses if mine and hasattr(message, "blind") else [],
    }


def frame_height(message: Message) -> int:
    """Pixels for the body's frame: no script may run in there to measure it, so it is estimated.

    A line of 14 px is 22 high, an empty one is the gap between paragraphs; the frame can be pulled taller.
    """
    lines = message.body.text.splitlines()
    text = sum(22 * (1 + len(line) // 88) if line.strip() else 12 for line in lines)
    pictures = [tag for tag in _PICTURE.findall(message.body.html) if " src=" in tag]
    heights = [int(found[1]) if (found := _HEIGHT.search(tag)) else 120 for tag in pictures]
    return max(88, min(40 + text + sum(min(height, 480) for height in heights), 1600))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _query(query: QueryDict, after: str | None = None) -> str:
    kept = QueryDict(mutable=True)
    for name in ("show", "q", "since", "until"):
        if value := query.get(name):
            kept[name] = str(value)
    if after:
        kept["after"] = after
    return f"?{kept.urlencode()}" if kept else ""
