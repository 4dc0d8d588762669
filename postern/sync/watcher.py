"""The life of one mailbox: connect, go round, wait, and after a failure know whether and when to try again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from postern.mailboxes.models import MailboxHealth
from postern.sync import errands, store
from postern.sync.backoff import Backoff
from postern.sync.memory import Memories, Progress
from postern.sync.store import Account, Store, Watched
from postern.sync.visit import Visit, open_visit
from postern.wire.errors import MailError
from postern.wire.imap import Session, open_session

log = logging.getLogger(__name__)
State = MailboxHealth.State

CONNECTIONS_AT_ONCE_PER_HOST = 5
TELL_SECONDS = 1.0
NOTE_SECONDS = 60.0
_FINGERPRINT = re.compile(r"fingerprint ([0-9a-f]{64})")


class Gates:
    """How many mailboxes of one host sign in and fetch at the same time. Waiting in IDLE needs no place."""

    def __init__(self, at_once: int = CONNECTIONS_AT_ONCE_PER_HOST) -> None:
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(at_once))

    @contextlib.asynccontextmanager
    async def through(self, host: str) -> AsyncIterator[None]:
        """Wait for a place at the host, in order of arrival."""
        async with self._gates[host.lower()]:
            yield


class Watcher:
    """Runs until `stop`, or until only its owner can help; the supervisor then waits for new settings."""

    def __init__(
        self,
        watched: Watched,
        keeper: Store,
        gates: Gates,
        *,
        poll_seconds: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.watched = watched
        self.wake = asyncio.Event()
        self.gave_up = False
        self.backoff = backoff or Backoff()
        self._store = keeper
        self._gates = gates
        self._poll_seconds = poll_seconds
        self._memories = Memories()
        self._stopping = False
        self._synced = False
        self._noted: tuple[object, ...] = ()
        self._noted_at = 0.0
        self._told_at = 0.0
        self._telling: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End politely: the server is told goodbye."""
        self._stopping = True
        self.wake.set()

    async def run(self) -> None:
        """Watch. Raises nothing but cancellation."""
        while not self._stopping:
            try:
                await self._once()
                if not self.watched.tracking:
                    return
                continue
            except MailError as error:
                seconds = self.backoff.after(error)
                await self._failed(error)
            except Exception as error:
                # A fault of ours or of the database: this mailbox waits, the others never notice.
                log.exception("mailbox %s", self.watched.id)
                ours = MailError("internal", f"Postern failed here: {type(error).__name__}.", temporary=True)
                seconds = self.backoff.after(ours)
            if seconds is None:
                self.gave_up = True
                return
            await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        """Wait before the next try; an errand does not cut it short, the end does."""
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self.wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), left)

    async def _once(self) -> None:
        """One connection, from sign-in until the end or an error."""
        account = await self._store.run(store.load, self.watched.id)
        if account is None or self._stopping:
            self._stopping = True
            return
        if self._paused(account):
            self._stopping = self.gave_up = True
            return
        async with self._gates.through(account.endpoint.host):
            session = await open_session(account.endpoint, account.policy, account.login)
        try:
            if account.endpoint.skip_validation and session.certificate is not None:
                await self._store.run(store.pin, self.watched.id, session.certificate.sha256)
            if self.watched.tracking:
                await self._watch(session, account)
            else:
                sent = account.mailbox.sent_folder
                while (await errands.work_off(session, self._store, self.watched.id, sent)).more:
                    pass
        finally:
            await self._leave(session)

    def _paused(self, account: Account) -> bool:
        """A refused password is not tried again before the settings changed, not even by a new process (R-034)."""
        health = account.health
        return (
            health.state == State.PASSWORD_REJECTED
            and health.settings_version == account.mailbox.settings_version
            and self.backoff.refused_passwords == 0
        )

    async def _watch(self, session: Session, account: Account) -> None:
        progress = Progress()
        visit = await open_visit(
            session,
            self._store,
            account.mailbox,
            memories=self._memories,
            progress=progress,
            on_progress=self._progressed,
            poll_seconds=self._poll_seconds,
        )
        while not self._stopping:
            self.wake.clear()
            async with self._gates.through(account.endpoint.host):
                more = await visit.round()
            if more:
                if visit.has_history:
                    await self._note(State.FIRST_SYNC, done=progress.done, total=progress.total)
                continue
            self.backoff.reset()
            self._synced = True
            await self._well(visit, progress)
            if not self._stopping:
                await visit.wait(self.wake)

    async def _leave(self, session: Session) -> None:
        await self._told()
        with contextlib.suppress(Exception):
            await asyncio.shield(session.logout())

    # Health

    async def _told(self) -> None:
        """Let the last word about progress be written before a newer one."""
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _well(self, visit: Visit, progress: Progress) -> None:
        await self._told()
        now = datetime.now(UTC)
        counts: dict[str, Any] = {"done": progress.done, "total": progress.total} if progress.total else {}
        if visit.trouble is not None:
            await self._note(State.FAILED, visit.trouble, last_sync_at=now, **counts)
        else:
            await self._note(State.IN_SYNC, last_sync_at=now, **counts)

    async def _failed(self, error: MailError) -> None:
        log.info("mailbox %s: %s", self.watched.id, error.code)
        if error.code == "password_rejected":
            state = State.PASSWORD_REJECTED
        elif error.code == "certificate_changed":
            state = State.CERTIFICATE_CHANGED
        else:
            state = State.RECONNECTING if error.temporary else State.FAILED
        if state == State.RECONNECTING and self._synced and self.backoff.failures == 1:
            return  # Servers drop connections every day; seconds later all is well.
        seen = _FINGERPRINT.search(error.message) if state == State.CERTIFICATE_CHANGED else None
        try:
            await self._told()
            await self._note(state, error, seen_sha256=seen.group(1) if seen else "")
        except Exception:
            log.exception("health of mailbox %s", self.watched.id)

    async def _note(self, state: str, error: MailError | None = None, **facts: Any) -> None:
        """Write health when it changed, and the time of the last sync once a minute."""
        words = {
            "state": state,
            "code": error.code if error else "",
            "message": error.message if error else "",
            "advice": error.advice if error else "",
            "server_text": error.server_text if error else "",
        }
        now = time.monotonic()
        same = (*words.values(), facts.get("done"), facts.get("total")) == self._noted
        if same and now - self._noted_at < NOTE_SECONDS:
            return
        await self._store.run(store.note_health, self.watched.id, quiet=same, **words, **facts)
        self._noted = (*words.values(), facts.get("done"), facts.get("total"))
        self._noted_at = now

    def _progressed(self, progress: Progress) -> None:
        """Tell how far the first sync is, at most once a second."""
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS or (self._telling and not self._telling.done()):
            return
        self._told_at = now
        self._telling = asyncio.create_task(
            self._note(State.FIRST_SYNC, done=progress.done, total=progress.total)
        )
