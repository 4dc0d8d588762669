"""What a provider lets one mailbox download a day, and history that rests before that is used up (R-037).

Gmail shuts a mailbox for up to a day, for every program of its owner, when more than its limit was fetched. So where
a limit is known (quirk `daily_allowance`) all that comes over the line is counted, in the database, for a restart
does not make the day begin anew; and old mail waits while the rest is kept for new mail, which never waits.
Elsewhere nothing is counted and nothing rests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from postern.sync import day, plan, store
from postern.sync.plan import Listed
from postern.sync.store import Store
from postern.wire.imap import Session

# Promised to the count at once: so much a process that is killed may have counted for nothing.
PASS_BYTES = 32 * 1000 * 1000
# Less than this share of history's part left: it rests, until so much is free again.
_LITTLE, _ENOUGH = 1 / 40, 1 / 10
# What a mailbox in sync says all day is not worth a write each time.
NOTE_BYTES = 1000 * 1000


class Allowance:
    """One connection's. `goes_on`: when history will go on, while it rests."""

    def __init__(self, session: Session, keeper: Store, mailbox_id: int) -> None:
        self.limit = session.bytes_a_day
        self.goes_on: datetime | None = None
        self._session = session
        self._store = keeper
        self._mailbox_id = mailbox_id
        self._most = self.limit * 4 // 5  # the last fifth is new mail's, and the owner's other programs'
        self._left = 0
        self._rests_until = 0.0
        self._counted = 0

    @property
    def resting(self) -> bool:
        """True while history waits for the day to pass."""
        return self.goes_on is not None and asyncio.get_running_loop().time() < self._rests_until

    async def rests(self) -> bool:
        """Ask whether history has to rest now."""
        if not self.limit:
            return False
        if self.resting:
            return True
        hours, now = await self._count(0)
        self._left = self._most - day.used(hours)
        self.goes_on = None
        if self._left < self._most * _LITTLE:
            self.goes_on = day.frees_at(hours, int(self._most * (1 - _ENOUGH)))
        if self.goes_on is not None:
            seconds = (self.goes_on - now).total_seconds()
            self._rests_until = asyncio.get_running_loop().time() + max(0.0, seconds)
        return self.goes_on is not None

    async def fitting(self, listed: Sequence[Listed]) -> int:
        """How many letters of history may be fetched now, in their order; one at least. They are counted at once."""
        if not self.limit:
            return len(listed)
        fits = promised = 0
        for letter in listed:
            size = 0 if plan.too_large(letter.size) else letter.size
            if fits and promised + size > min(self._left, PASS_BYTES):
                break
            fits, promised = fits + 1, promised + size
        await self._count(promised)
        return fits

    async def note(self) -> None:
        """Count what came since; to be called after each round."""
        if self.limit and abs(self._session.received - self._counted) >= NOTE_BYTES:
            await self._count(0)

    async def _count(self, promised: int) -> tuple[day.Hours, datetime]:
        counted = self._session.received + promised
        told = await self._store.run(store.count_download, self._mailbox_id, counted - self._counted)
        self._counted = counted
        return told
