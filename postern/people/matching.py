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
    shared = set(Address.objects.filter(email__in=wanted, shared=True).values_list("email", flat=True))
    rows = Address.objects.filter(email__in=wanted - shared)
    return {r.email: Match(r.customer_id, r.email, r.created_at, r.added_by_id) for r in rows}
