"""Which mailboxes are watched here: one task each, started, restarted and ended as leases and settings come and go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable

from django.db import Error

from postern.sync import probe, store
from postern.sync.hosts import Hosts
from postern.sync.leases import HELLO_SECONDS, Leases
from postern.sync.listening import Notice, listen
from postern.sync.store import Store, Watched
from postern.sync.watcher import Watcher

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]

LOOK_SECONDS = 20.0
# Between two looks: leases that have run out elsewhere are taken over.
CLAIM_SECONDS = 3.0
ERRANDS_SECONDS = 300.0
LOOKED_SECONDS = 60.0
POLITE_SECONDS = 8.0
# Who gave up is tried again when the settings change; and once in a while, should that go unnoticed.
PARKED_SECONDS = 3600.0
PROBES_AT_ONCE = 10
# A restart of the whole does not meet the providers with all mailboxes in the same second.
SPREAD_SECONDS_PER_HUNDRED = 1.0


def quiet_seconds(mailboxes: int) -> float:
    """How often a sent folder is asked about: once a minute, and less often where thousands would."""
    return min(540.0, max(60.0, mailboxes / 10))


class Supervisor:
    """Holds the watchers of the mailboxes that this process has leased; several processes share all mailboxes."""

    def __init__(
        self,
        keeper: Store,
        *,
        poll_seconds: float = 30.0,
        leases: Leases | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self.leases = leases or Leases(keeper)
        self._store = keeper
        self._poll_seconds = poll_seconds
        self._hosts = hosts or Hosts()
        self._watchers: dict[int, tuple[Watcher, asyncio.Task[None]]] = {}
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._wanted: dict[int, Watched] = {}
        self._with_errands: set[int] = set()
        self._returns: dict[int, float] = {}
        self._errands_at = self._look_at = 0.0
        self._wake = asyncio.Event()
        self._greet = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Begin to end."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Supervise until `stop`; ends within ten seconds of it, and other processes take over at once."""
        beside = [
            asyncio.create_task(work)
            for work in (
                self._again_and_again(self._renew, self.leases.seconds / 4),
                self._again_and_again(self._date_looks, LOOKED_SECONDS),
                self._greet_others(),
                listen(self._store, self._hear, self._listening),
            )
        ]
        await self._safely(self.leases.bury_dead)
        try:
            while not self._stopping:
                await self._safely(self._turn)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), CLAIM_SECONDS)
        finally:
            await self._end_all()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._safely(self._say_bye)

    async def _again_and_again(self, work: Work, seconds: float) -> None:
        while True:
            await self._safely(work)
            await asyncio.sleep(seconds)

    async def _safely(self, work: Work) -> None:
        """A fault of ours or of the database ends nothing: it is tried again."""
        try:
            await work()
        except Exception as error:
            log.warning("supervising: %s", type(error).__name__, exc_info=not isinstance(error, Error))

    # Looking around

    def _look_soon(self) -> None:
        self._look_at = 0.0
        self._wake.set()

    async def _turn(self) -> None:
        self._wake.clear()
        await self._give_back()
        if time.monotonic() >= self._look_at:
            # Set before: what is announced while we look wants another look.
            self._look_at = time.monotonic() + LOOK_SECONDS
            try:
                await self._look_around()
            except BaseException:
                self._look_at = 0.0
                raise
        if self._stopping:
            return
        for number in self.leases.surplus(len(self._wanted)):
            self._end(number)
        free = {n: box.signature for n, box in self._wanted.items() if n not in self._watchers}
        claimed = await self.leases.claim(free, self.leases.share(len(self._wanted)))
        for number in claimed:
            self._start(self._wanted[number], SPREAD_SECONDS_PER_HUNDRED * (len(claimed) - 1) / 100)

    async def _give_back(self) -> None:
        """Leases of watchers that have ended; what cannot be written now is written later."""
        returns = dict(self._returns)
        await self.leases.give_back(returns)
        for number in returns:
            del self._returns[number]

    async def _look_around(self) -> None:
        boxes = {box.id: box for box in await self._store.run(store.watched)}
        resting = [box.id for box in boxes.values() if not box.tracking]
        if time.monotonic() >= self._errands_at:
            self._errands_at = time.monotonic() + ERRANDS_SECONDS
            self._with_errands = set(await self._store.run(store.errands_among, resting))
        self._wanted = {n: box for n, box in boxes.items() if box.tracking or n in self._with_errands}
        for number, (watcher, task) in list(self._watchers.items()):
            now = self._wanted.get(number)
            if task.done() or now is None or now.signature != watcher.watched.signature:
                self._end(number)
        await self._store.run(store.forget_starts)
        for number in await self._store.run(store.waiting):
            self._start_probe(number)

    def _start(self, box: Watched, spread: float) -> None:
        """Watch a mailbox whose lease is held; those that come together begin one after the other."""
        watcher = Watcher(
            box,
            self.leases.held[box.id],
            self._hosts,
            poll_seconds=self._poll_seconds,
            quiet=self._quiet,
        )
        task = asyncio.create_task(_run_later(watcher, random.uniform(0, spread)))  # noqa: S311
        task.add_done_callback(self._a_watcher_ended)
        self._watchers[box.id] = (watcher, task)

    def _quiet(self) -> float:
        return quiet_seconds(len(self._watchers))

    def _a_watcher_ended(self, _: asyncio.Task[None]) -> None:
        self._look_soon()

    def _end(self, number: int, *, at_once: bool = False) -> None:
        """End a watcher politely, then give its lease back; `at_once`: however long it meant to wait."""
        if number not in self._watchers or number in self._ending:
            return
        watcher, task = self._watchers[number]
        watcher.stop()
        self._ending[number] = asyncio.create_task(self._ended(number, watcher, task, at_once))

    async def _ended(self, number: int, watcher: Watcher, task: asyncio.Task[None], at_once: bool) -> None:
        done, _ = await asyncio.wait({task}, timeout=POLITE_SECONDS)
        if not done:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        wait = PARKED_SECONDS if watcher.gave_up else watcher.wait_left
        self._returns[number] = 0.0 if at_once else wait
        if not watcher.gave_up:
            self._with_errands.discard(number)
            if number in self._wanted and not self._wanted[number].tracking:
                del self._wanted[number]  # its errands are done: no second visit before the next look
        self._watchers.pop(number, None)
        del self._ending[number]
        self._wake.set()

    async def _end_all(self) -> None:
        for number in list(self._watchers):
            self._end(number)
        for task in self._probes.values():
            task.cancel()
        await asyncio.gather(*self._ending.values(), *self._probes.values(), return_exceptions=True)
        await self._safely(self._give_back)

    # Beside it

    async def _renew(self) -> None:
        """Renew the leases; a mailbox that is another's now is dropped at once, without a word to anybody."""
        for number in await self.leases.renew():
            watcher, task = self._watchers.pop(number, (None, None))
            if watcher is not None and task is not None:
                log.warning("mailbox %s was taken over by another process", number)
                watcher.drop()
                task.cancel()

    async def _greet_others(self) -> None:
        while True:
            self._greet.clear()
            await self._safely(self._say_hello)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._greet.wait(), HELLO_SECONDS)

    async def _say_hello(self) -> None:
        await self.leases.say("hello")

    async def _say_bye(self) -> None:
        await self.leases.say("bye")

    async def _date_looks(self) -> None:
        looked = [number for number, (watcher, _) in self._watchers.items() if watcher.looked]
        for number in looked:
            self._watchers[number][0].looked = False
        if looked:
            await self._store.run(store.note_looked, looked)

    # Probes

    def _start_probe(self, number: int) -> None:
        if number not in self._probes and len(self._probes) < PROBES_AT_ONCE:
            task = asyncio.create_task(probe.run(self._store, number))
            self._probes[number] = task
            task.add_done_callback(lambda _: self._probe_ended(number))

    def _probe_ended(self, number: int) -> None:
        del self._probes[number]
        self._look_soon()  # another may have waited for the place

    # Hearing

    def _listening(self) -> None:
        """Whatever was announced while nobody listened is looked for."""
        self._errands_at = 0.0
        self._greet.set()
        self._look_soon()

    def _hear(self, notice: Notice) -> None:
        if notice.channel == store.CHANNEL:
            if self.leases.hear(notice.owner, notice.word):
                self._greet.set()
            if notice.word != "hello":
                self._wake.set()
            return
        if notice.channel == "postern_errands":
            if notice.mailbox in self._watchers:
                watcher = self._watchers[notice.mailbox][0]
                if notice.word == "compare":
                    watcher.compare()
                watcher.wake.set()
                return
            self._errands_at = 0.0
        if notice.channel == "postern_mailboxes":
            self._end(notice.mailbox, at_once=True)
        self._look_soon()


async def _run_later(watcher: Watcher, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await watcher.run()
