"""The Communication tab: conversations with a customer that this person may see, and the composer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from postern.mail import lists
from postern.mail.access import has_own_mailbox, may_answer, waits_for_own_mailbox
from postern.mail.actions import mark_read
from postern.mail.models import Message
from postern.mail.readerlog import latest
from postern.mail.sharing import StandsAside, stand_aside
from postern.mail.visibility import Visibility, Watch, watch
from postern.mailboxes.ids import typed_id
from postern.mime.quoting import split_quote
from postern.outbox.behalf import Seen, authors_of, seen_by, unreached
from postern.outbox.models import Delivery
from postern.people.models import Customer, Staff
from postern.web.compose.composer import NEW, composer_of, first_address
from postern.web.inbox.opening import What, opened, prefetched
from postern.web.inbox.shared import sharing_of
from postern.web.inbox.views import frame_height, person
from postern.web.people.views import page_of

FOLDED_AFTER = 2
"""The newest messages of a conversation stand open; older ones are folded to a line."""


@dataclass(frozen=True)
class Card:
    """One message of the timeline."""

    message: Message
    mine: bool
    written_by: str
    open: bool
    fresh: str
    quoted: str
    frame_height: int
    attachments: list[Any]
    visibility: Visibility
    panel: str
    """The id of the panel that tells who sees it: one for each answer, not one a card."""
    aside: StandsAside | None
    unreached: Seen | None
    """Its letter, where that is done with and did not reach everybody; one under way stands below the messages."""


@login_required
@require_safe
def communication(request: HttpRequest, pk: int) -> HttpResponse:
    """All conversations in the rail, one of them open: the one asked for, else the newest."""
    staff = person(request)
    customer = get_object_or_404(Customer, pk=pk)
    threads = lists.communication(staff, customer)
    composer = _composer(staff, customer, request.GET.get("write", ""))
    wanted = _conversation(composer) or request.GET.get("thread")
    chosen = next((t for t in threads if str(t.id) == wanted), threads[0] if threads else None)
    shown = chosen.messages if chosen else []
    opened(request, shown, What.CONVERSATION)
    sight = watch(staff, shown)
    cards = _cards(staff, chosen, sight, reading=not prefetched(request)) if chosen else []
    context = page_of(customer, "communication") | {
        "threads": threads,
        "thread": chosen,
        "cards": cards,
        "panels": {card.panel: card.visibility for card in cards}.items(),
        "visibility": sight.over(shown) if shown else None,
        "openings": latest(staff, shown),
        "sharing": sharing_of(staff, shown, customer),
        "mine": bool(chosen and chosen.last.mailbox.owner_id == staff.pk),
        "may_answer": bool(chosen and may_answer(staff, chosen.last)),
        "pending": [one for one in _pending(staff, customer) if one.row.pk != _draft(composer)],
        "waits": waits_for_own_mailbox(staff),
        "has_mailbox": has_own_mailbox(staff),
    }
    return render(request, "communication/communication.html", context | composer)


def _composer(staff: Staff, customer: Customer, write: str) -> dict[str, Any]:
    """The docked composer's context with a letter that this person may change; {} without one."""
    if write == NEW:
        return composer_of(staff, None) | {"composer": True, "to": first_address(customer)}
    rows = Delivery.objects.current(staff).filter(pk=typed_id(write))
    for seen in seen_by(staff, rows):
        if seen.can_edit:
            return composer_of(staff, seen) | {"composer": True, "customer": customer}
    return {}


def _draft(composer: dict[str, Any]) -> int | None:
    """The number of the draft in the composer."""
    delivery = composer.get("delivery")
    return delivery.pk if delivery else None


def _conversation(composer: dict[str, Any]) -> str:
    """The conversation that the draft in the composer answers, '' for none."""
    delivery = composer.get("delivery")
    return str(delivery.answers.conversation_id) if delivery and delivery.answers else ""


def _cards(staff: Staff, thread: lists.Thread, sight: Watch, *, reading: bool) -> list[Card]:
    """The messages of a conversation; `reading`: those that stand open become read for this person."""
    last = len(thread.messages) - FOLDED_AFTER
    authors, asides = authors_of(staff, thread.messages), stand_aside(staff, thread.messages)
    short = {pk: one for pk, one in unreached(staff, thread.messages).items() if not one.row.under_way}
    cards: list[Card] = []
    answers: list[Visibility] = []
    for number, message in enumerate(thread.messages):
        fresh, quoted = split_quote(message.body.text)
        shown = number >= last or getattr(message, "unread", False)
        if reading and shown and getattr(message, "unread", False):
            mark_read(staff=staff, message=message)
        own = message.outgoing and message.mailbox.owner_id == staff.pk
        files = [a for a in message.attachments.all() if not a.inline]
        by = authors.get(message.pk, "")
        seen = sight.over([message])
        if seen not in answers:
            answers.append(seen)
        # Not the class of mail: that would tell a reader of the mailbox that the conversation is shared by name.
        panel = f"who-sees-{answers.index(seen)}"
        height, aside = frame_height(message), asides.get(message.pk)
        missed = short.get(message.pk)
        cards.append(Card(message, own, by, shown, fresh, quoted, height, files, seen, panel, aside, missed))
    return cards


def _pending(staff: Staff, customer: Customer) -> list[Seen]:
    """The person's letters to this customer that are not accepted by a server yet, or failed."""
    rows = Delivery.objects.current(staff).filter(customer=customer).exclude(state=Delivery.State.ACCEPTED)
    return seen_by(staff, rows.order_by("-updated_at")[:10])
