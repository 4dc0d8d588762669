"""Following what others do with the letters of a folder: they leave, come back and change their flags.

`changes` decides; here the server is asked and the outcome written, in one transaction with the state it belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from postern.mail.flags import flag_letters
from postern.mailboxes.models import Folder
from postern.sync import changes, store
from postern.sync.changes import Question
from postern.sync.memory import Memory
from postern.sync.plan import Remembered, Said
from postern.sync.store import Store
from postern.wire.imap import Changed, Session, UidSet

# After a listing that was not believed: when to ask for the next.
SUSPECT_SECONDS = 20.0
DOUBT_SECONDS = 60.0
# How often flags are looked at where the server does not tell what changed.
FLAGS_SECONDS = 300.0
FLAGS_AT_ONCE = 2000

Told = Sequence[Changed]


class Following:
    """Keeps the ledger of one folder true over one connection. `overlooked` fetches letters that nothing explains."""

    def __init__(
        self,
        session: Session,
        keeper: Store,
        folder: Folder,
        memory: Memory,
        overlooked: Callable[[Collection[int]], Awaitable[int]],
    ) -> None:
        self._session = session
        self._store = keeper
        self._folder = folder
        self._memory = memory
        self._overlooked = overlooked

    async def changed(self, asked: Question, state: Remembered, said: Said) -> Told | None:
        """New letters and changed flags where the server tells them, else None. Raises MailError."""
        if asked is Question.TOLD:
            return said.changed
        if asked is Question.SINCE:
            return await self._session.uid_changes(state.modseq)
        return None

    async def follow(
        self, asked: Question, state: Remembered, said: Said, told: Told | None, new: int
    ) -> Remembered:
        """Write what became of the letters that were here; `new` more are explained since `state.exists`.

        Returns the state that was remembered, the old one when nothing could be believed. Raises MailError.
        """
        if told is None:
            told = await self._some_flags(state) if asked is Question.COUNT and not said.modseq else ()
        gone = await self._gone(asked, state, said, new)
        if gone is None:
            return await self._compare(asked, state, said, told, new)
        self._memory.suspected = False
        return await self._write(replace(state, exists=said.exists, modseq=said.modseq), told, gone)

    async def _gone(self, asked: Question, state: Remembered, said: Said, new: int) -> list[int] | None:
        """UIDs that left, None when what was told does not add up or is too much to believe at once."""
        if asked is Question.ALL:
            return None
        if asked is not Question.TOLD:
            return [] if changes.adds_up(state.exists, said.exists, new=new, gone=0) else None
        gone, some_left = await self._here_among(state, said.vanished)
        unknown = changes.before_the_beginning(state, said.vanished, gone)
        true = changes.adds_up(state.exists, said.exists, new=new, gone=len(gone), unknown=unknown)
        return gone if true and (some_left or not gone) else None

    async def _here_among(self, state: Remembered, uids: UidSet) -> tuple[list[int], bool]:
        assert state.uidvalidity is not None
        return await self._store.run(store.here_among, self._folder, state.uidvalidity, uids.ranges())

    async def _write(
        self, state: Remembered, told: Told, gone: Collection[int], back: Collection[int] = ()
    ) -> Remembered:
        flags = {one.uid: flag_letters(one.flags) for one in told}
        if gone or back or flags:
            await self._store.run(store.follow, self._folder, state, gone=gone, back=back, flags=flags)
        else:
            await self._store.run(store.remember, self._folder, state)
        return state

    async def _compare(
        self, asked: Question, state: Remembered, said: Said, told: Told, new: int
    ) -> Remembered:
        """Where the count is not what was expected: what left, what came back, what was overlooked?"""
        now = asyncio.get_running_loop().time()
        # New letters came in, and who left stays open.
        before = replace(state, exists=None) if new else state
        if now < self._memory.listing_after:
            return before
        listed = await self._session.uid_search_set("ALL")
        after = replace(state, exists=said.exists, modseq=said.modseq)
        if asked is not Question.ALL and len(listed) == said.exists:
            gone, some_left = await self._here_among(state, changes.gaps(state, listed))
            if some_left and changes.adds_up(state.exists, said.exists, new=new, gone=len(gone)):
                self._memory.suspected = False
                return await self._write(after, told, gone)
        return await self._compare_all(asked, after, before, said.exists, listed, told)

    async def _compare_all(
        self,
        asked: Question,
        after: Remembered,
        state: Remembered,
        exists: int,
        listed: UidSet,
        told: Told,
    ) -> Remembered:
        """Hold the whole ledger against a listing."""
        assert state.uidvalidity is not None
        known = await self._store.run(store.ledger, self._folder, state.uidvalidity)
        verdict = changes.compare(
            state,
            listed,
            exists,
            here=known.here,
            gone=known.gone,
            suspected=self._memory.suspected,
        )
        self._memory.suspected = verdict.suspect
        overlooked = len(verdict.missing)
        if verdict.missing:
            overlooked -= await self._overlooked(verdict.missing)
        now = asyncio.get_running_loop().time()
        if verdict.believed:
            if asked is Question.ALL:
                told = await self._all_flags(sorted(known.here - verdict.gone | verdict.back))
            self._memory.listing_after = now + (DOUBT_SECONDS if overlooked else 0)
            # What FETCH withholds although it is listed stays unexplained, and is asked for again.
            later = len(listed & UidSet([(state.next_uid, changes.MAX_UID)]))
            after = replace(after, exists=exists - overlooked - later)
            return await self._write(after, told, verdict.gone, verdict.back)
        if verdict.back:
            await self._write(state, (), (), verdict.back)
        self._memory.listing_after = now + (SUSPECT_SECONDS if verdict.suspect else DOUBT_SECONDS)
        return state

    # Flags

    async def _some_flags(self, state: Remembered) -> Told:
        """The flags of the newest letters, now and then: this server does not tell which changed."""
        now = asyncio.get_running_loop().time()
        if now < self._memory.flags_after or state.uidvalidity is None:
            return ()
        self._memory.flags_after = now + FLAGS_SECONDS
        low = await self._store.run(store.window, self._folder, state.uidvalidity, changes.FLAGS_WINDOW)
        if low is None or low >= state.next_uid:
            return ()
        return await self._session.uid_flags(f"{low}:{state.next_uid - 1}")

    async def _all_flags(self, uids: Sequence[int]) -> Told:
        found: list[Changed] = []
        for start in range(0, len(uids), FLAGS_AT_ONCE):
            some = uids[start : start + FLAGS_AT_ONCE]
            found += await self._session.uid_flags(f"{some[0]}:{some[-1]}")
        return found
