"""A customer's Communication: the conversations with them that this person may see, and letters under way."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema

from postern.api.auth import who
from postern.api.deliveries import DeliveryOut, delivery_out
from postern.api.letters import MessageLine, line_of
from postern.api.shapes import Cursor, Limit
from postern.mail import lists
from postern.mail.access import has_own_mailbox, waits_for_own_mailbox
from postern.outbox.behalf import seen_by
from postern.outbox.models import Delivery
from postern.people.models import Customer

router = Router(tags=["Communication"])


class ThreadLine(Schema):
    """A conversation: its visible messages as lines, oldest first."""

    id: int
    subject: str
    last_at: datetime
    messages: list[MessageLine]


class Communication(Schema):
    """Conversations, the one with the newest message first. `pending`: own letters not accepted by a server yet.

    `waits_for_own_mailbox`: somebody gave access that stays shut until one's own IMAP account is set up.
    """

    conversations: list[ThreadLine]
    next_cursor: str
    pending: list[DeliveryOut]
    has_own_mailbox: bool
    waits_for_own_mailbox: bool


@router.get(
    "/{int:pk}/communication",
    response=Communication,
    operation_id="get_communication",
    summary="Conversations with a customer",
)
def get_communication(request: HttpRequest, pk: int, cursor: Cursor = "", limit: Limit = 50) -> Communication:
    """Only what one has written and received oneself, and what others share."""
    staff = who(request)
    customer = get_object_or_404(Customer, pk=pk)
    threads = lists.communication(staff, customer)
    start = next((n for n, t in enumerate(threads, 1) if str(t.id) == cursor), 0)
    shown = threads[start : start + limit]
    pending = Delivery.objects.current(staff).filter(customer=customer).exclude(state=Delivery.State.ACCEPTED)
    return Communication(
        conversations=[
            ThreadLine(
                id=thread.id,
                subject=thread.subject,
                last_at=thread.last.received_at,
                messages=[line_of(message, staff) for message in thread.messages],
            )
            for thread in shown
        ],
        next_cursor=str(shown[-1].id) if len(threads) > start + limit else "",
        pending=[delivery_out(one) for one in seen_by(staff, pending.prefetch_related("files")[:50])],
        has_own_mailbox=has_own_mailbox(staff),
        waits_for_own_mailbox=waits_for_own_mailbox(staff),
    )
