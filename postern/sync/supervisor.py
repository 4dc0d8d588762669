"""Which mailboxes are watched: one task each, started, restarted and ended as settings come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random

import psycopg

from postern.sync import probe, store
from postern.sync.store import Store, Watched
from postern.sync.watcher import Gates, Watcher

log = logging.getLogger(__name__)

DUTY_LOCK = 7010
DUTY_SECONDS = 3.0
CHANNELS = ("postern_mailboxes", "postern_errands", "postern_probes")
LOOK_SECONDS = 20.0
POLITE_SECONDS = 8.0
PROBES_AT_ONCE = 10
# A restart of the whole does not meet the providers with all mailboxes in the same second.
SPREAD_SECONDS_PER_HUNDRED = 5.0


class Supervisor:
    """Holds the watchers. Listens to the database, and looks itself every 20 seconds as a safety net.

    One supervisor of a database is on duty, by a lock of its listening session; others stand by. Two would
    do each errand twice. Who loses the session loses the duty and lets go of every mailbox.
    """

    def __init__(self, keeper: Store, *, poll_seconds: float = 30.0) -> None:
        self._store = keeper
        self._poll_seconds = poll_seconds
        self._gates = Gates()
        self._watchers: dict[int, tuple[Watcher, asyncio.Task[None]]] = {}
        self._parked: dict[int, str] = {}
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self._spread = True
        self._on_duty = False

    def stop(self) -> None:
        """Begin to end."""
        self._stopping.set()
        self._look.set()

    async def run(self) -> None:
        """Supervise until `stop`; ends within ten seconds of it."""
        listener = asyncio.create_task(self._listen())
        try:
            while not self._stopping.is_set():
                try:
                    await self._look_around()
                except Exception:
                    log.exception("looking at the mailboxes")
                self._look.clear()
                if self._stopping.is_set():
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), LOOK_SECONDS)
        finally:
            await self._end_all()
            listener.cancel()  # last: with its session goes the duty
            await asyncio.gather(listener, return_exceptions=True)

    async def _look_around(self) -> None:
        if not self._on_duty:
            for number in list(self._watchers):
                self._end(number)
            return
        wanted = {box.id: box for box in await self._store.run(store.watched)}
        for gone in set(self._watchers) - set(wanted):
            self._end(gone)
        for box in wanted.values():
            await self._consider(box)
        self._spread = False
        for number in await self._store.run(store.waiting):
            self._start_probe(number)

    async def _consider(self, box: Watched) -> None:
        running = self._watchers.get(box.id)
        if running is not None:
            watcher, task = running
            if task.done():
                del self._watchers[box.id]
                if watcher.gave_up:
                    self._parked[box.id] = watcher.watched.signature
            elif watcher.watched.signature != box.signature:
                self._end(box.id)
            else:
                return
        if box.id in self._ending:
            return  # never two connections of one mailbox; its end makes us look again
        if self._parked.get(box.id) == box.signature:
            return
        self._parked.pop(box.id, None)
        if not box.tracking:
            await self._store.run(store.forget_start, box.id)
        if box.tracking or box.has_errands:
            self._start(box)

    def _start(self, box: Watched) -> None:
        watcher = Watcher(box, self._store, self._gates, poll_seconds=self._poll_seconds)
        most = SPREAD_SECONDS_PER_HUNDRED * len(self._watchers) / 100 if self._spread else 0.0
        task = asyncio.create_task(self._run_later(watcher, random.uniform(0, most)))  # noqa: S311
        self._watchers[box.id] = (watcher, task)

    async def _run_later(self, watcher: Watcher, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await watcher.run()

    def _end(self, number: int) -> None:
        watcher, task = self._watchers.pop(number)
        watcher.stop()
        ending = asyncio.create_task(_ended(task))
        self._ending[number] = ending
        ending.add_done_callback(lambda _: self._has_ended(number))

    def _has_ended(self, number: int) -> None:
        del self._ending[number]
        self._look.set()

    async def _end_all(self) -> None:
        for number in list(self._watchers):
            self._end(number)
        for task in self._probes.values():
            task.cancel()
        await asyncio.gather(*self._ending.values(), *self._probes.values(), return_exceptions=True)

    # Probes

    def _start_probe(self, number: int) -> None:
        if number not in self._probes and len(self._probes) < PROBES_AT_ONCE:
            task = asyncio.create_task(probe.run(self._store, number))
            self._probes[number] = task
            task.add_done_callback(lambda _: self._probe_ended(number))

    def _probe_ended(self, number: int) -> None:
        del self._probes[number]
        self._look.set()  # another may have waited for the place

    # Listening

    async def _listen(self) -> None:
        """Hear what web and outbox announce; while the database is away, try again every few seconds."""
        while True:
            try:
                address = await self._store.run(store.listening_address)
                async with await psycopg.AsyncConnection.connect(address, autocommit=True) as db:
                    await _take_duty(db)
                    self._on_duty = True
                    for channel in CHANNELS:
                        await db.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    self._look.set()  # whatever was announced while nobody listened
                    async for notice in db.notifies():
                        self._hear(notice.channel, notice.payload)
            except (psycopg.Error, OSError) as error:
                log.warning("listening to the database: %s", type(error).__name__)
            if self._on_duty:
                self._on_duty = False
                self._look.set()
            await asyncio.sleep(2)

    def _hear(self, channel: str, payload: str) -> None:
        try:
            told = json.loads(payload)
            mailbox = int(told.get("mailbox") or 0)
        except (ValueError, AttributeError, TypeError):
            return
        if channel == "postern_errands" and mailbox in self._watchers:
            self._watchers[mailbox][0].wake.set()
            return
        if channel == "postern_mailboxes":
            self._parked.pop(mailbox, None)
            if mailbox in self._watchers:
                self._end(mailbox)
        self._look.set()


async def _take_duty(db: psycopg.AsyncConnection[tuple[bool]]) -> None:
    """Wait until no other supervisor is on duty; the lock goes with the session."""
    told = False
    while True:
        row = await (await db.execute("SELECT pg_try_advisory_lock(%s)", [DUTY_LOCK])).fetchone()
        if row is not None and row[0]:
            return
        if not told:
            log.warning("another sync process watches the mailboxes; this one stands by")
            told = True
        await asyncio.sleep(DUTY_SECONDS)


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a watcher to say goodbye, not for ever."""
    done, _ = await asyncio.wait({task}, timeout=POLITE_SECONDS)
    if not done:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
