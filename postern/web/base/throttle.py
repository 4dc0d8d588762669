"""Slows down guessing of passwords: counts of failures by address and account (SECURITY.md S-097).

Counts live in Django's cache. An account is counted together with the address it is tried from, so
that a stranger cannot lock a colleague out from somewhere else; a much larger count per account alone
stops guessing from many addresses. Unknown accounts are counted exactly like known ones.
"""

import hashlib
from dataclasses import dataclass

from django.core.cache import cache


@dataclass(frozen=True)
class Limit:
    """At most `failures` within `seconds`, counted from the first."""

    failures: int
    seconds: int


BY_BOTH = Limit(5, 15 * 60)
BY_ADDRESS = Limit(30, 15 * 60)
BY_ACCOUNT = Limit(100, 60 * 60)


def _keys(ip: str, account: str) -> list[tuple[str, Limit]]:
    name = account.strip().casefold()
    parts = ((f"both {ip} {name}", BY_BOTH), (f"ip {ip}", BY_ADDRESS), (f"account {name}", BY_ACCOUNT))
    # Hashed: what people type as an account may hold anything, a password included.
    return [("sign-in:" + hashlib.sha256(part.encode()).hexdigest(), limit) for part, limit in parts]


def refused(ip: str, account: str) -> bool:
    """True when this address or account has failed too often lately."""
    counts = cache.get_many([key for key, _ in _keys(ip, account)])
    return any(counts.get(key, 0) >= limit.failures for key, limit in _keys(ip, account))


def failed(ip: str, account: str) -> None:
    """Count one failure."""
    for key, limit in _keys(ip, account):
        cache.add(key, 0, limit.seconds)
        try:
            cache.incr(key)
        except ValueError:  # it ran out between the two lines
            cache.set(key, 1, limit.seconds)


def succeeded(ip: str, account: str) -> None:
    """Forget this pair's failures; the wider counts stay."""
    cache.delete(_keys(ip, account)[0][0])
