"""How often one mailbox may be looked at, whatever its server tells. Pure."""

from __future__ import annotations

# A few looks follow each other at once, for mail comes in flocks; then one every few seconds.
AT_ONCE = 10
SECONDS = 3.0


class Pace:
    """A server that tells of news without end, or of something else at each look, costs no more than this (R-033)."""

    __slots__ = ("_paid",)

    def __init__(self) -> None:
        self._paid = float("-inf")

    def look(self, now: float) -> float:
        """Count a look; seconds until it may begin. `now` is a clock's, in seconds, that never goes back."""
        self._paid = min(max(self._paid, now - AT_ONCE * SECONDS), now) + SECONDS
        return max(0.0, self._paid - now)
