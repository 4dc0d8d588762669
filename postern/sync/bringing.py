"""Letters of one folder on their way from the server into the database: fetched and kept at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from postern.mail.intake import Arrival, Prepared
from postern.mail.preparers import MANY
from postern.mailboxes.models import Folder
from postern.sync import plan, store
from postern.sync.memory import Memory, Progress
from postern.sync.pipeline import Pipeline
from postern.sync.plan import Listed
from postern.sync.store import Store
from postern.wire.errors import MailError
from postern.wire.imap import UNKNOWN_DATE, Fetched, Session
from postern.wire.imap.fetching import ranges

# The first portions are small, so that the newest letters show up at once; then what a transaction does best.
FIRST_LETTERS = 25
MOST_LETTERS = 100
MOST_BYTES = 4 * 1024 * 1024
# A letter that breaks the connection is left out in the end, listed with the reason. A network that is
# down breaks it as well, so plain losses count for much less than nonsense.
WEIGHT = {"protocol_error": 4, "too_large": 4, "disk_full": 0}
TOO_HEAVY = 8


@dataclass
class Portion:
    """What one transaction stores: letters (arrived, then prepared), or UIDs `skipped` with the reason; the cursor moves to `next_uid`."""

    arrivals: list[Arrival] = field(default_factory=list)
    letters: list[Prepared] = field(default_factory=list)
    skipped: Sequence[tuple[int, str]] = ()
    next_uid: int | None = None
    only_known: str = ""
    size: int = 0


class Bringing:
    """Brings letters of one folder in over one connection."""

    def __init__(
        self, session: Session, keeper: Store, folder: Folder, memory: Memory, progress: Progress
    ) -> None:
        self._session = session
        self._store = keeper
        self._folder = folder
        self._memory = memory
        self._progress = progress
        self._most = FIRST_LETTERS

    async def bring(self, uidvalidity: int, letters: plan.Sorted, *, moving: bool = False) -> None:
        """Fetch and keep the letters of a size pass. `moving`: the cursor follows. Raises MailError."""
        skipped = [*letters.skipped, *self._unfetchable(letters.fetch)]
        left_out = {uid for uid, _ in skipped}

        async def keep(portion: Portion) -> Portion:
            self._progress.stored += await self._keep(uidvalidity, portion)
            return portion

        async with Pipeline([self._prepare, keep]) as line:
            if skipped:
                await line.put(Portion(skipped=skipped))
            fetch = [one for one in letters.fetch if one.uid not in left_out]
            # Servers answer a range with its oldest letter first: the newest few are a range of their own.
            newest = FIRST_LETTERS if not moving and self._most == FIRST_LETTERS else 0
            for some in (fetch[:newest], fetch[newest:]):
                for batch in self._careful(some):
                    await self._fetch(line, batch, moving=moving)
            for batch in self._careful(letters.recognise):
                await self._fetch(line, batch, only_known=plan.READ_ELSEWHERE)

    async def _prepare(self, portion: Portion) -> Portion:
        """Read the letters, halves of a large portion at the same time; no transaction is open meanwhile.

        Their raw bytes are packed from here on.
        """
        half = len(portion.arrivals) // 2 if len(portion.arrivals) >= 2 * MANY else len(portion.arrivals)
        parts = [some for some in (portion.arrivals[:half], portion.arrivals[half:]) if some]
        done = await asyncio.gather(
            *(asyncio.to_thread(store.letters.prepare, self._folder, some) for some in parts)
        )
        portion.letters = [one for some in done for one in some]
        portion.arrivals = []
        return portion

    async def _keep(self, uidvalidity: int, portion: Portion) -> int:
        if portion.next_uid is None and len(portion.letters) >= FIRST_LETTERS:
            # History and other great heaps leave threads of the store to what arrives just now.
            async with self._store.patient:
                return await self._keep_now(uidvalidity, portion)
        return await self._keep_now(uidvalidity, portion)

    async def _keep_now(self, uidvalidity: int, portion: Portion) -> int:
        return await self._store.run(
            store.keep,
            self._folder,
            uidvalidity,
            portion.letters,
            skipped=portion.skipped,
            next_uid=portion.next_uid,
            only_known=portion.only_known,
        )

    def _unfetchable(self, letters: Sequence[Listed]) -> list[tuple[int, str]]:
        reason = "The mail server could not hand it over, at several attempts."
        return [(letter.uid, reason) for letter in letters if self._memory.stuck[letter.uid] >= TOO_HEAVY]

    def _careful(self, letters: Sequence[Listed]) -> list[list[Listed]]:
        """All at once; but a letter that broke a connection before goes alone."""
        cut: list[list[Listed]] = [[]]
        for letter in letters:
            if self._memory.stuck[letter.uid]:
                cut += [[letter], []]
            else:
                cut[-1].append(letter)
        return [batch for batch in cut if batch]

    async def _fetch(
        self, line: Pipeline[Portion], batch: Sequence[Listed], *, moving: bool = False, only_known: str = ""
    ) -> None:
        wanted = [letter.uid for letter in batch]
        sizes = {letter.uid: letter.size for letter in batch}
        missed = dict.fromkeys(wanted)
        portion = Portion(only_known=only_known)
        try:
            async for letter in self._session.uid_fetch_bodies(wanted, sizes=sizes):
                missed.pop(letter.uid, None)
                portion.arrivals.append(_arrival(letter))
                portion.size += len(letter.raw)
                if len(portion.arrivals) >= self._most or portion.size >= MOST_BYTES:
                    self._most = MOST_LETTERS
                    await line.put(portion)
                    portion = Portion(only_known=only_known)
        except MailError as error:
            self._blame(ranges(wanted, sizes), missed, error)
            # A line that breaks every few letters gets them home all the same, bit by bit.
            await line.put(portion)
            raise
        # The cursor waits for the whole batch: servers may answer in any order.
        portion.next_uid = wanted[-1] + 1 if moving else None
        await line.put(portion)
        for uid in wanted:
            self._memory.stuck.pop(uid, None)

    def _blame(self, asked: Iterable[list[int]], missed: dict[int, None], error: MailError) -> None:
        """Remember the letter at which the connection broke: the first that is missing of those asked for together."""
        late = next((some for some in ([u for u in one if u in missed] for one in asked) if some), [])
        if late:
            self._memory.stuck[min(late)] += WEIGHT.get(error.code, 1)


def _arrival(letter: Fetched) -> Arrival:
    """A letter of which the server tells no date has arrived now."""
    when = datetime.now(UTC) if letter.internaldate == UNKNOWN_DATE else letter.internaldate
    return Arrival(letter.uid, letter.flags, when, letter.raw)
