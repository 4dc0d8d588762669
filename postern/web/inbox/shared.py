"""With whom a conversation is shared by name, as its owner is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postern.mail.models import Message
from postern.mail.sharing import seen_of, shares_of
from postern.people.models import Customer, Staff


def sharing_of(staff: Staff, messages: Sequence[Message], back: Customer | None = None) -> dict[str, Any]:
    """What inbox/_share.html draws for messages of one conversation; {} for others than its owner.

    back: the customer on whose Communication tab they are shown.
    """
    if not messages or messages[-1].mailbox.owner_id != staff.pk:
        return {}
    last = messages[-1]
    colleagues = Staff.objects.filter(is_active=True).exclude(pk=staff.pk).order_by("name", "pk")
    return {
        "message": last.pk,
        "number": seen_of(staff, last.conversation_id),
        "shares": list(shares_of(staff, [last.conversation_id])),
        "colleagues": list(colleagues),
        "back": back.pk if back else "",
    }
