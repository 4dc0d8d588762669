"""What the command palette finds on the server. Each source asks through the viewer, never by bare id."""

from dataclasses import dataclass
from typing import Any

from postern.mail import lists
from postern.people.models import Customer
from postern.web.base.nav import link

LIMIT = 6


@dataclass(frozen=True)
class Hit:
    """One line of the palette."""

    label: str
    detail: str
    icon: str
    url: str


def find(staff: Any, query: str) -> list[tuple[str, list[Hit]]]:
    """Groups of hits for `query`, empty groups left out; [] for an empty query."""
    if not query.strip():
        return []
    groups = [("Customers and leads", _people(query)), ("Messages", _messages(staff, query))]
    return [(name, hits) for name, hits in groups if hits]


def _people(query: str) -> list[Hit]:
    hits = []
    for customer in Customer.objects.search(query)[:LIMIT]:
        lead = customer.kind == Customer.Kind.LEAD
        url = link("customer", args=(customer.pk,))
        if url:
            detail = f"{customer.get_kind_display()} {customer.number}"
            hits.append(Hit(customer.name, detail, "sprout" if lead else "user-round", url))
    return hits


def _messages(staff: Any, query: str) -> list[Hit]:
    """Messages the viewer may see, newest first."""
    found = lists.inbox_page(staff, lists.Filter(text=query), size=LIMIT).messages
    return [Hit(m.subject or "(no subject)", m.who, "mail", link("message", args=(m.pk,))) for m in found]
