"""Which customer or lead an address belongs to. The only place that decides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from postern.mime.addresses import normalise
from postern.people.models import Address


@dataclass(frozen=True)
class Match:
    """An address on a customer, since when, and who put it there (None: nobody in particular, an import)."""

    customer_id: int
    email: str
    since: datetime
    added_by: int | None


def match(addresses: Iterable[str]) -> dict[str, Match]:
    """Return normalised address -> Match for those of `addresses` that pair by themselves.

    An address marked *shared* never does: its messages are filed by hand.
    """
    wanted = {a for a in map(normalise, addresses) if a}
    if not wanted:
        return {}
    columns = ("email", "customer_id", "created_at", "added_by_id", "shared")
    rows = list(Address.objects.filter(email__in=wanted).values_list(*columns))
    by_hand = {email for email, *_, shared in rows if shared}
    return {
        email: Match(customer, email, since, added_by)
        for email, customer, since, added_by, _ in rows
        if email not in by_hand
    }
