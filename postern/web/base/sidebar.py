"""What the sidebar counts and says about the mailbox, for one member of staff.

Each function asks the rooms below through the wall and must stay cheap: it runs on every page.
"""

from dataclasses import dataclass
from typing import Any, Literal

from django.utils import timezone

from postern.mail import lists
from postern.mailboxes.connection import unchecked
from postern.mailboxes.health import in_words
from postern.mailboxes.models import Mailbox, MailboxHealth
from postern.outbox.models import Delivery
from postern.web.base.dates import ago

Staff = Any
_DOTS: dict[str, Literal["ok", "warn", "bad", "off"]] = {
    "good": "ok",
    "busy": "ok",
    "warning": "warn",
    "bad": "bad",
}
_WORST = ("bad", "warning", "busy", "good")


@dataclass(frozen=True)
class Health:
    """state: the colour of the dot; title: three words; age: "12 s ago"; detail: address or what to do.

    unchecked: a server of some own mailbox shows a certificate that nobody checks.
    """

    state: Literal["ok", "warn", "bad", "off"]
    title: str
    age: str = ""
    detail: str = ""
    unchecked: bool = False


def counts(staff: Staff) -> dict[str, int]:
    """What the places count: unread and unknown in the viewer's Inbox; own drafts, and what was not sent."""
    return lists.counts(staff) | {"drafts": _drafts(staff)}


def _drafts(staff: Staff) -> int:
    return Delivery.objects.written_by(staff).filter(state__in=("draft", "failed", "unknown", "held")).count()


def health(staff: Staff) -> Health:
    """The worst of the viewer's own mailboxes."""
    boxes = list(Mailbox.objects.filter(owner=staff).select_related("health"))
    if not boxes:
        return Health("off", "No mailbox yet", detail="Set it up in My Profile")
    found = [
        (in_words(box.health if hasattr(box, "health") else MailboxHealth(mailbox=box)), box) for box in boxes
    ]
    words, box = min(found, key=lambda pair: _WORST.index(pair[0].tone))
    at = box.health.last_sync_at if hasattr(box, "health") else None
    title = "Mailbox in sync" if words.tone == "good" else words.title
    age = ago(at, timezone.now()) if at else ""
    return Health(_DOTS[words.tone], title, age, box.address, any(unchecked(one) for one in boxes))
