"""Letters of one folder on their way from the server into the database: fetched and kept at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from postern.mail.intake import Arrival, Prepared
from postern.mail.recognising import Here
from postern.mail.withholding import STRANGER, header_of, header_only
from postern.mailboxes.models import Folder
from postern.sync import plan, store
from postern.sync.memory import Memory, Progress
from postern.sync.pipeline import Pipeline, Stage
from postern.sync.plan import Listed
from postern.sync.store import Store
from postern.wire.errors import MailError
from postern.wire.imap import UNKNOWN_DATE, Fetched, Session
from postern.wire.imap.fetching import ranges

# The first portions are small, so that the newest letters show up at once; then what a transaction does best.
FIRST_LETTERS = 25
MOST_LETTERS = 100
MOST_BYTES = 4 * 1024 * 1024
# So many bytes of strangers' headers are kept until their turn comes; what is beyond is fetched once more.
MOST_HEADERS = 4 * 1024 * 1024
# Of a letter that breaks the connection only the header is brought in, in the end, with the reason. A network that is
# down breaks it as well, so plain losses count for much less than nonsense.
NOT_HANDED_OVER = "The mail server could not hand it over, at several attempts."
WEIGHT = {"protocol_error": 4, "too_large": 4, "disk_full": 0, "over_limit": 0}
TOO_HEAVY = 8


@dataclass
class Portion:
    """What one transaction stores: letters (arrived, then prepared), or UIDs `skipped` with the reason; the cursor moves to `next_uid`.

    `headers` are of letters that are not brought in whole: with the size of the whole in bytes, and the reason.
    `lying` are UIDs of letters that are here, with the message and flags; `names` the server's own names of contents.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    headers: list[tuple[Arrival, int, str]] = field(default_factory=list)
    letters: list[Prepared] = field(default_factory=list)
    skipped: Sequence[tuple[int, str]] = ()
    lying: Sequence[tuple[int, Here, str]] = ()
    names: Mapping[int, str] = field(default_factory=dict)
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

    async def bring(
        self,
        uidvalidity: int,
        letters: plan.Sorted,
        *,
        moving: bool = False,
        only_customers: bool = False,
    ) -> None:
        """Fetch and keep the letters of a size pass. `moving`: the cursor follows. Raises MailError.

        `only_customers`: of letters from or to nobody we know only the header is fetched.
        """
        lying = await self._lying_elsewhere([*letters.fetch, *letters.recognise])
        letters = letters.without({uid for uid, _, _ in lying})
        every = [*letters.fetch, *letters.recognise]
        unreachable = self._unreachable(every)
        skipped = [*letters.skipped, *unreachable.items()]
        withheld = {one.uid: reason for one in every if (reason := self._withheld(one))}
        heads: dict[int, bytes] = {}
        if only_customers:
            heads = await self._strangers([one for one in every if one.uid not in withheld])
            withheld |= dict.fromkeys(heads, STRANGER)

        async def keep(portion: Portion) -> Portion:
            self._progress.stored += await self._keep(uidvalidity, portion)
            return portion

        stages = [Stage(self._prepare, store.letters.PREPARERS.most), Stage(keep)]
        async with Pipeline(stages) as line:
            if skipped or lying:
                await line.put(Portion(skipped=skipped, lying=lying))
            for some, only_known in ((letters.fetch, ""), (letters.recognise, plan.READ_ELSEWHERE)):
                headers = [one for one in some if one.uid in withheld and one.uid not in unreachable]
                for batch in self._careful(headers):
                    await self._fetch_headers(line, batch, withheld, heads, only_known=only_known)
            fetch = [one for one in letters.fetch if one.uid not in withheld]
            # Servers answer a range with its oldest letter first: the newest few are a range of their own.
            newest = FIRST_LETTERS if not moving and self._most == FIRST_LETTERS else 0
            for some in (fetch[:newest], fetch[newest:]):
                for batch in self._careful(some):
                    await self._fetch(line, batch, moving=moving)
            for batch in self._careful([one for one in letters.recognise if one.uid not in withheld]):
                await self._fetch(line, batch, only_known=plan.READ_ELSEWHERE)

    async def _prepare(self, portion: Portion) -> Portion:
        """Read the letters; no transaction is open meanwhile. Their raw bytes are packed from here on."""
        done = await asyncio.to_thread(store.letters.prepare, self._folder, portion.arrivals)
        outgoing = self._folder.role == Folder.Role.SENT
        for arrival, size, reason in portion.headers:
            portion.letters.append(
                await asyncio.to_thread(header_only, arrival, size=size, reason=reason, outgoing=outgoing)
            )
        names = portion.names
        portion.letters += [replace(one, emailid=names[one.uid]) if one.uid in names else one for one in done]
        portion.arrivals, portion.headers = [], []
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
            lying=portion.lying,
            next_uid=portion.next_uid,
            only_known=portion.only_known,
        )

    async def _lying_elsewhere(self, letters: Sequence[Listed]) -> list[tuple[int, Here, str]]:
        """Letters that another folder showed us already: only the place is new, the bytes are not asked for again."""
        if not self._session.names_content or not letters:
            return []
        return await self._store.run(store.lying_elsewhere, self._folder, letters)

    async def _strangers(self, letters: Sequence[Listed]) -> dict[int, bytes]:
        """The headers by UID that name nobody we know; b"" for what there was no room for."""
        found: dict[int, bytes] = {}
        room = MOST_HEADERS
        for batch in self._careful(letters):
            wanted = [one.uid for one in batch]
            try:
                headers = await self._session.uid_fetch_beginnings(wanted)
            except MailError as error:
                self._blame([wanted], dict.fromkeys(wanted), error)
                raise
            for uid in await self._store.run(store.strangers, self._folder, headers):
                found[uid] = headers[uid] if len(headers[uid]) <= room else b""
                room -= len(found[uid])
        return found

    def _withheld(self, letter: Listed) -> str:
        """Why only the header of a letter is brought in, '' for one that comes whole."""
        return plan.too_large(letter.size) or (
            NOT_HANDED_OVER if self._memory.stuck[letter.uid] >= TOO_HEAVY else ""
        )

    def _unreachable(self, letters: Sequence[Listed]) -> dict[int, str]:
        """Letters of which the server hands over not even the header, with the reason."""
        stuck = self._memory.stuck
        return {letter.uid: NOT_HANDED_OVER for letter in letters if stuck[letter.uid] >= 2 * TOO_HEAVY}

    def _careful(self, letters: Sequence[Listed]) -> list[list[Listed]]:
        """All at once; but a letter that broke a connection before goes alone."""
        cut: list[list[Listed]] = [[]]
        for letter in letters:
            if self._memory.stuck[letter.uid]:
                cut += [[letter], []]
            else:
                cut[-1].append(letter)
        return [batch for batch in cut if batch]

    async def _fetch_headers(
        self,
        line: Pipeline[Portion],
        batch: Sequence[Listed],
        withheld: Mapping[int, str],
        heads: Mapping[int, bytes],
        *,
        only_known: str = "",
    ) -> None:
        """Bring in the headers of letters whose rest stays on the server (R-022). The cursor does not move here.

        `heads` are those that came already.
        """
        found = {one.uid: raw for one in batch if (raw := heads.get(one.uid))}
        wanted = [one.uid for one in batch if one.uid not in found]
        try:
            found |= await self._session.uid_fetch_beginnings(wanted) if wanted else {}
        except MailError as error:
            self._blame([wanted], dict.fromkeys(wanted), error)
            raise
        letters = [Fetched(one.uid, one.flags, one.internaldate, found.get(one.uid, b"")) for one in batch]
        headers = [
            (_arrival(letter), one.size, withheld[one.uid])
            for one, letter in zip(batch, letters, strict=True)
            if one.uid in found
        ]
        await line.put(Portion(headers=headers, only_known=only_known))
        for uid in found:
            self._memory.stuck.pop(uid, None)

    async def _fetch(
        self, line: Pipeline[Portion], batch: Sequence[Listed], *, moving: bool = False, only_known: str = ""
    ) -> None:
        wanted = [letter.uid for letter in batch]
        sizes = {letter.uid: letter.size for letter in batch}
        names = {one.uid: one.emailid for one in batch if one.emailid and self._session.names_content}
        missed = dict.fromkeys(wanted)
        portion = Portion(only_known=only_known, names=names)
        try:
            async for letter in self._session.uid_fetch_bodies(wanted, sizes=sizes):
                missed.pop(letter.uid, None)
                if reason := plan.too_large(len(letter.raw)):  # its server told a smaller size
                    short = letter._replace(raw=header_of(letter.raw))
                    portion.headers.append((_arrival(short), len(letter.raw), reason))
                    continue
                portion.arrivals.append(_arrival(letter))
                portion.size += len(letter.raw)
                if len(portion.arrivals) >= self._most or portion.size >= MOST_BYTES:
                    self._most = MOST_LETTERS
                    await line.put(portion)
                    portion = Portion(only_known=only_known, names=names)
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
