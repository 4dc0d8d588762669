"""What the composer shows, on its own page and docked below a customer's conversation."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from django.urls import reverse

from postern.mailboxes.models import Mailbox
from postern.outbox.behalf import Seen, Standing
from postern.outbox.letter import MOST_BYTES
from postern.outbox.models import Delivery
from postern.people.models import Customer, Staff

FIELDS = ("to", "cc", "bcc", "subject")
NEW = "new"
"""What `write` in the address of a Communication tab says for a letter that is not saved yet."""
EXTENSIONS = {
    "Document": True,
    "Dropcursor": True,
    "Gapcursor": True,
    "Paragraph": True,
    "HardBreak": True,
    "Text": True,
    "Bold": True,
    "Italic": True,
    "Underline": True,
    "ListItem": True,
    "BulletList": True,
    "OrderedList": True,
    "Blockquote": True,
    "Link": {"protocols": ["http", "https", "mailto"], "enableTarget": False},
    "Code": True,
    "History": True,
}


def docked(customer: int, delivery: int | str) -> str:
    """The address of a customer's Communication tab with this draft in its composer."""
    return f"{reverse('communication', args=[customer])}?write={delivery}"


def first_address(customer: Customer | None) -> str:
    """The address that a new letter to the customer proposes; '' when there is none."""
    first = customer.addresses.first() if customer else None
    return first.email if first else ""


def composer_of(staff: Staff, seen: Seen | None) -> dict[str, Any]:
    """The composer's context: of a letter as this person sees it, None for a new one."""
    delivery = seen.row if seen else None
    own = seen is None or seen.standing is Standing.OWN
    context: dict[str, Any] = {
        "delivery": delivery,
        "seen": seen,
        "own": own,
        "mailboxes": list(Mailbox.objects.filter(owner=staff)) if own else [],
        "files": seen.files if seen else [],
        "key": secrets.token_urlsafe(18),
        "most": MOST_BYTES,
        "most_megabytes": MOST_BYTES // 1_000_000,
        "editor": json.dumps({"extensions": EXTENSIONS}),
        "suggestions": _suggestions(delivery),
    }
    if delivery is None:
        return context
    context |= {name: ", ".join(_typed(pair) for pair in getattr(delivery, name)) for name in FIELDS[:3]}
    return context | {
        "subject": delivery.subject,
        "html": _for_editor(delivery.html),
        "text": delivery.text,
        "customer": delivery.customer,
        "problem": delivery.problem,
    }


def _typed(pair: list[str]) -> str:
    name, address = pair
    if not name or "@" in name:
        return address
    return f"{name} <{address}>" if name.replace(" ", "").isalnum() else f'"{_quoted(name)}" <{address}>'


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _for_editor(html: str) -> str:
    """The html without style attributes: the editor knows none, and the page's policy complains of each."""
    return re.sub(r"<[^<>]*>", lambda tag: re.sub(r' style="[^"]*"', "", tag[0]), html)


def _suggestions(delivery: Delivery | None) -> list[str]:
    """Addresses for the To field: the customer's, where the letter is to one."""
    if delivery is None or delivery.customer is None:
        return []
    return [a.email for a in delivery.customer.addresses.all()]
