"""Reading one folder over an open session: ask, let `plan` decide, fetch, hand over to intake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from postern.mailboxes.models import Folder
from postern.sync import changes, plan, store
from postern.sync.allowance import Allowance
from postern.sync.bringing import Bringing
from postern.sync.changes import Question
from postern.sync.following import Following
from postern.sync.memory import Memory, Progress
from postern.sync.plan import Case, Remembered, Said, Wishes
from postern.sync.store import Place, Store
from postern.wire.errors import MailError
from postern.wire.imap import Changed, Known, Listed, Selected, Session

SIZE_PASS = 500
# Letters of history listed and brought in at once: each pass begins and ends with nothing to do for somebody, and new
# mail waits for its end. So a pass that was quick makes the next one longer.
HISTORY_PASS = 500
LONGEST_PASS = 4000
QUICK_SECONDS = 2.0
HISTORY_SECONDS = 5.0
MOST_RECREATIONS_A_DAY = 3
# So often in a row, and nothing came: then the server is asked again later.
MOST_REFUSALS = 4
# So many tell whether UIDs that are handed out again still name the letters that we know.
LAST_LETTERS = 100


class Reading:
    """One folder during one connection."""

    def __init__(
        self,
        session: Session,
        keeper: Store,
        place: Place,
        wishes: Wishes,
        *,
        memory: Memory | None = None,
        progress: Progress | None = None,
        allowance: Allowance | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self.folder = place.row
        self.state = place.remembered
        self.wishes = wishes
        self.memory = memory or Memory()
        self.progress = progress or Progress()
        self._allowance = allowance or Allowance(session, keeper, place.row.mailbox_id)
        self._on_progress = on_progress
        self._session = session
        self._store = keeper
        self._bringing = Bringing(session, keeper, place.row, self.memory, self.progress)
        self._following = Following(session, keeper, place.row, self.memory, self.fetch_missing)
        self._readonly = True
        self._history: list[int] | None = None
        self._pass = HISTORY_PASS
        self._not_before: datetime | None = None
        # UIDVALIDITY, UIDNEXT, count and mod-sequence as the last `read` left them.
        self.seen: tuple[int, int | None, int, int] | None = None

    @property
    def name(self) -> str:
        """The folder's name, for people."""
        return self.folder.name

    @property
    def incoming(self) -> bool:
        """True for INBOX."""
        return self.folder.role == Folder.Role.INBOX

    @property
    def has_history(self) -> bool:
        """True while old mail is to be imported, and may be now."""
        return not self.state.history_done and not self._allowance.resting

    async def unchanged(self) -> bool:
        """Ask by STATUS whether the folder, which is not open, is as it was left."""
        if self.has_history or self.seen is None or self.seen[2] != self.state.exists:
            return False
        said = await self._session.status(self.name)
        same = (said.uidvalidity, said.uidnext, said.messages) == self.seen[:3]
        return same and (said.highestmodseq or 0) <= self.seen[3]

    async def look(self) -> Selected:
        """Open the folder read-only: not even \\Recent is touched. A server with QRESYNC tells the changes.

        Some servers do not know EXAMINE (Dovecot's imapc has a workaround for them); they are asked by SELECT.
        """
        known = Known(self.state.uidvalidity, self.state.modseq) if self.state.uidvalidity else None
        try:
            return await self._session.select(self.name, readonly=self._readonly, known=known)
        except MailError as error:
            if self._session.closed or error.code != "server_refused" or not self._readonly:
                raise
        selected = await self._session.select(self.name, known=known)
        self._readonly = False
        return selected

    def as_left(self, selected: Selected) -> bool:
        """True when nothing happened since the last `read`."""
        said = Said.of(selected)
        return (said.uidvalidity, said.uidnext, said.exists, said.modseq) == self.seen

    async def read(self, *, seconds: float = HISTORY_SECONDS) -> bool:
        """Bring in what is new, follow what changed, and import history for `seconds`.

        True when something is left to do. Raises MailError.
        """
        until = asyncio.get_running_loop().time() + seconds
        said = await self._ask()
        await self._open(said)
        if await self._catch_up(said, until):
            return True
        self.seen = (said.uidvalidity, said.uidnext, said.exists, said.modseq)
        return await self._old_letters(until)

    async def _catch_up(self, said: Said, until: float) -> bool:
        """From what is remembered to what was said; True when the time was too short for all new letters."""
        asked = changes.question(self.state, said)
        if asked is Question.NOTHING:
            return False
        told = await self._following.changed(asked, self.state, said)
        new, behind = await self._new_letters(await self._fresh(said, told), until)
        if behind:
            # What was told is told again: the mod-sequence is not remembered yet.
            exists = None if self.state.exists is None else self.state.exists + new
            await self._remember(replace(self.state, exists=exists))
            return True
        self.state = await self._following.follow(asked, self.state, said, told, new)
        return False

    async def _fresh(self, said: Said, told: Sequence[Changed] | None) -> list[int]:
        """UIDs of new letters. Where the server told of changes but UIDNEXT says that there are more, it is asked."""
        fresh = plan.new_uids(self.state, (one.uid for one in told or ()))
        if told is not None and (said.uidnext or 0) <= max(
            [self.state.next_uid, *(uid + 1 for uid in fresh[-1:])]
        ):
            return fresh
        return plan.new_uids(self.state, await self._session.uid_search(["UID", f"{self.state.next_uid}:*"]))

    async def _ask(self) -> Said:
        said = Said.of(await self.look())
        if not plan.wants_last_uid(self.state, said):
            return said
        listed = await self._session.uid_fetch_headers("*")
        return replace(said, last_uid=max((letter.uid for letter in listed), default=0))

    async def _open(self, said: Said) -> None:
        renumbered = self.state.uidvalidity not in (None, said.uidvalidity)
        window = None
        if renumbered or self.state.rematching:
            window = await self._window()
        opening = plan.open_folder(self.state, said, self.wishes, window=_day(window))
        if opening.case is Case.REWOUND and await self._numbered_anew(opening.folder):
            window = await self._window()
            opening = plan.open_folder(self.state, said, self.wishes, window=_day(window), anew=True)
        await self._begin(opening, said)
        # While matching again without history wanted, only what arrived after the beginning is ours.
        exact = self.state.rematching and not self.wishes.historic_since
        self._not_before = window - timedelta(seconds=1) if window and exact else None

    async def _begin(self, opening: plan.Opening, said: Said) -> None:
        """Remember how a folder was met, before anything is fetched."""
        # Courier 5.0 numbers an INBOX that never held a letter anew at each look (seen November 2026).
        if opening.case is Case.RECREATED and (self.state.exists != 0 or said.exists):
            self._count_recreation()
        if opening.case is Case.REWOUND:
            await self._store.run(store.rewind, self.folder, said.uidvalidity, opening.folder.next_uid)
        if opening.case is Case.RECREATED and self.state.uidvalidity == said.uidvalidity:
            await self._store.run(store.remember_anew, self.folder, opening.folder)
            self.state, self._history = opening.folder, None
        elif opening.folder != self.state:
            await self._remember(opening.folder)
            self._history = None
        if opening.case is Case.FIRST:
            # Processing may have been off for a while, and the folder made anew meanwhile.
            await self._store.run(store.finish_rematch, self.folder, said.uidvalidity)

    async def _window(self) -> datetime:
        return await self._store.run(store.window_start, self.folder)

    async def _numbered_anew(self, back: Remembered) -> bool:
        """Look at the last letters below a UIDNEXT that went back: are they those that we know?"""
        if self.state.uidvalidity is None or back.next_uid <= 1:
            return False
        listed = await self._session.uid_search(["UID", f"1:{back.next_uid - 1}"])
        headers = await self._session.uid_fetch_headers(sorted(listed)[-LAST_LETTERS:]) if listed else []
        uids = [one.uid for one in headers]
        known = await self._store.run(store.arrivals, self.folder, self.state.uidvalidity, uids)
        return plan.numbered_anew(headers, known, first_uid=self.state.first_uid, window=await self._window())

    def _count_recreation(self) -> None:
        now = datetime.now(UTC)
        recent = [at for at in self.memory.recreations if now - at < timedelta(days=1)]
        if len(recent) >= MOST_RECREATIONS_A_DAY:
            raise MailError(
                "protocol_error",
                f"The mail server numbers the letters of “{self.name}” anew again and again (UIDVALIDITY).",
                "Nothing is lost. Tell whoever runs the mail server; Postern looks again from time to time.",
                temporary=False,
            )
        self.memory.recreations = [*recent, now]

    async def _remember(self, state: Remembered) -> None:
        await self._store.run(store.remember, self.folder, state)
        self.state = state

    async def _new_letters(self, fresh: Sequence[int], until: float) -> tuple[int, bool]:
        """Fetch new letters, oldest first: how many letters that explains, and whether more are left."""
        assert self.state.uidvalidity is not None
        accounted = 0
        # Letters that were kept before a connection broke or a process died are not fetched again.
        here = (
            await self._store.run(store.met, self.folder, self.state.uidvalidity, fresh[0])
            if fresh
            else set()
        )
        for start in range(0, len(fresh), SIZE_PASS):
            some = fresh[start : start + SIZE_PASS]
            accounted += len(here.intersection(some))
            accounted += await self._bring_in([uid for uid in some if uid not in here], moving=True)
            await self._store.run(store.keep, self.folder, self.state.uidvalidity, (), next_uid=some[-1] + 1)
            self.state = replace(self.state, next_uid=some[-1] + 1)
            if some[-1] != fresh[-1] and asyncio.get_running_loop().time() >= until:
                return accounted, True
        return accounted, False

    async def _old_letters(self, until: float) -> bool:
        """Import history newest first; True when some is left when the time is over.

        Where the provider's day is used up it rests: nothing is left to do for now.
        """
        if self.state.history_done or await self._allowance.rests():
            return False
        if self._history is None:
            self._history = await self._find_history()
            self.progress.total += len(self._history)
        while self._history:
            begun, some = asyncio.get_running_loop().time(), self._history[: self._pass]
            _, later = await self._take_fitting(some, since=self.state.history_since)
            if asyncio.get_running_loop().time() < begun + QUICK_SECONDS:
                self._pass = min(2 * self._pass, LONGEST_PASS)
            self._history[: len(some)] = later
            self.progress.done += len(some) - len(later)
            if self._on_progress is not None:
                self._on_progress(self.progress)
            if self._history and await self._allowance.rests():
                return False
            if self._history and asyncio.get_running_loop().time() >= until:
                return True
        await self._history_finished()
        return False

    async def _find_history(self) -> list[int]:
        assert self.state.uidvalidity is not None
        known = await self._store.run(store.ledger, self.folder, self.state.uidvalidity)
        return plan.history_uids(self.state, await self._search_history(), known.here | known.gone)

    async def _search_history(self) -> list[int]:
        if self.state.first_uid <= 1 or self.state.history_since is None:
            return []
        # Servers disagree about the zone in which SINCE counts days: ask for one more, judge ourselves.
        since = self.state.history_since - timedelta(days=1)
        return await self._session.uid_search(["UID", f"1:{self.state.first_uid - 1}", "SINCE", since])

    async def _history_finished(self) -> None:
        if self.state.rematching and self.state.uidvalidity is not None:
            await self._store.run(store.finish_rematch, self.folder, self.state.uidvalidity)
        self._history = None
        await self._remember(replace(self.state, history_done=True, rematching=False))

    # For reconcile

    async def compare_all(self) -> int:
        """Hold ledger and flags against the server, whatever its mod-sequences say; how many letters had left.

        Letters that are new since the last `read` are left for the next. Raises MailError.
        """
        said = await self._ask()
        if said.uidvalidity != self.state.uidvalidity:
            return 0
        before = await self._store.run(store.count_here, self.folder, said.uidvalidity)
        self.memory.listing_after = 0.0
        self.state = await self._following.follow(Question.ALL, self.state, said, (), 0)
        return max(0, before - await self._store.run(store.count_here, self.folder, said.uidvalidity))

    async def whole_listing(self) -> list[int]:
        """Every UID in the folder now. Raises MailError, also when the folder was numbered anew meanwhile."""
        selected = await self.look()
        if self.state.uidvalidity not in (None, selected.uidvalidity):
            raise MailError(
                "server_busy",
                f"“{self.name}” was numbered anew; the next sync matches its letters again first.",
                temporary=True,
            )
        return await self._session.uid_search("ALL")

    async def promised_history(self) -> set[int]:
        """UIDs below the beginning that belong to the history that is wished and was imported."""
        since = self.state.history_since
        if not self.wishes.historic_since or since is None or self.state.rematching:
            return set()
        listed = await self._session.uid_fetch_headers(await self._search_history())
        return {letter.uid for letter in listed if plan.sort_out([letter], self.wishes, since=since).any()}

    async def fetch_missing(self, uids: Collection[int]) -> int:
        """Bring in letters that nothing explains; how many of them the server handed over. Old ones may have to rest."""
        missing, handed = sorted(uids, reverse=True), 0
        while missing:
            some, later = missing[:SIZE_PASS], list[int]()
            if some[0] >= self.state.first_uid:
                count = await self._bring_in(some)
            elif await self._allowance.rests():
                break
            else:
                count, later = await self._take_fitting(some)
            handed += count
            missing[: len(some)] = later
        return handed

    async def _take_fitting(self, uids: Sequence[int], *, since: date | None = None) -> tuple[int, list[int]]:
        """Bring old letters in as far as the provider's day allows; how many, and which are for later."""
        listed = await self._listed(uids)
        fits = await self._allowance.fitting(listed)
        await self._take(listed[:fits], since=since)
        return fits, [letter.uid for letter in listed[fits:]]

    async def _bring_in(self, uids: Sequence[int], *, moving: bool = False) -> int:
        """Size pass, decisions, bodies, intake. How many of the letters the server still had.

        `moving`: the cursor follows, so the letters must come oldest first.
        """
        listed = await self._listed(uids)
        await self._take(listed, moving=moving)
        return len(listed)

    async def _listed(self, uids: Sequence[int]) -> list[Listed]:
        """The size pass: what the server still has of the letters, in this order."""
        listed = await self._session.uid_fetch_headers(uids) if uids else []
        order = {uid: n for n, uid in enumerate(uids)}
        listed.sort(key=lambda letter: order.get(letter.uid, 0))
        return listed

    async def _take(
        self, listed: Sequence[Listed], *, moving: bool = False, since: date | None = None
    ) -> None:
        """Decisions, bodies, intake. `since`: history's first day."""
        if not listed:
            return
        sorted_out = plan.sort_out(
            listed,
            self.wishes,
            since=since if self._not_before is None else None,
            not_before=self._not_before if since else None,
            rematching=self.state.rematching,
        )
        await self._hand_over(sorted_out, moving=moving)

    async def _hand_over(self, letters: plan.Sorted, *, moving: bool) -> None:
        """Fetch and keep. A refusal is about one letter: asked again at once it stands alone, in the end without its body.

        Raises MailError; a refusal as temporary, for the next visit may go on from there.
        """
        assert self.state.uidvalidity is not None
        refusals = 0
        while True:
            stored = self.progress.stored
            try:
                await self._bringing.bring(
                    self.state.uidvalidity, letters, moving=moving, only_customers=self.wishes.only_customers
                )
                return
            except MailError as error:
                if self._session.closed or error.code != "server_refused":
                    raise
                refusals = refusals + 1 if self.progress.stored == stored else 1
                if refusals == MOST_REFUSALS:
                    raise MailError(
                        error.code, error.message, error.advice, temporary=True, server_text=error.server_text
                    ) from None
            first = min(one.uid for one in (*letters.fetch, *letters.recognise))
            letters = letters.without(
                await self._store.run(store.met, self.folder, self.state.uidvalidity, first)
            )


def _day(moment: datetime | None) -> date:
    return moment.astimezone(UTC).date() if moment else date.min
