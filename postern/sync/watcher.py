"""The life of one mailbox: connect, go round, wait, and after a failure know whether and when to try again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from postern.mail.letterstore import LetterStoreDown
from postern.mailboxes.models import Mailbox, MailboxHealth
from postern.sync import errands, store
from postern.sync.backoff import SIGN_IN_REFUSED, STABLE_SECONDS, Backoff
from postern.sync.hosts import TURN_SECONDS, Hosts
from postern.sync.memory import Memories, Progress
from postern.sync.pace import Pace
from postern.sync.reconcile import reconcile_visit
from postern.sync.store import Account, LeaseLost, Store, Watched
from postern.sync.visit import LOOK_SECONDS, SENT_SECONDS, Visit, open_visit
from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.imap import Session, open_session

log = logging.getLogger(__name__)
State = MailboxHealth.State

TELL_SECONDS = 1.0
RECONCILE_SECONDS = 24 * 3600.0
NOTE_SECONDS = 60.0
_FINGERPRINT = re.compile(r"fingerprint ([0-9a-f]{64})")


def trouble_here(error: Exception) -> MailError:
    """What a failure on our side means for the mailbox: nothing is lost, and somebody has to be told (R-009)."""
    if isinstance(error, DatabaseError | LetterStoreDown):
        words = str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
        return MailError("store_failed", f"Postern cannot store mail at the moment: {words}.", temporary=True)
    return MailError("internal", f"Postern failed here: {type(error).__name__}.", temporary=True)


def _rests(limit: int) -> MailError:
    """What is told while old mail waits for the provider's day to pass (R-037). When it goes on is kept beside it."""
    return MailError(
        "history_rests",
        f"New mail comes in at once. The provider lets {limit // 1_000_000:,} MB a day be downloaded, so older"
        " messages wait.",
        "Nothing needs to be done; it goes on by itself.",
        temporary=True,
    )


class Watcher:
    """Runs until `stop`, or until only its owner can help; the supervisor then waits for new settings."""

    def __init__(
        self,
        watched: Watched,
        keeper: Store,
        hosts: Hosts,
        *,
        poll_seconds: float = 30.0,
        backoff: Backoff | None = None,
        quiet: Callable[[], float] = lambda: SENT_SECONDS,
    ) -> None:
        self.watched = watched
        self.wake = asyncio.Event()
        self.gave_up = False
        self.looked = False
        self.again_at = 0.0
        self.backoff = backoff or Backoff()
        self._store = keeper
        self._hosts = hosts
        self._poll_seconds = poll_seconds
        self._quiet = quiet
        self._memories = Memories()
        self._pace = Pace()
        self._stopping = False
        self._dropped = False
        self._synced = False
        self._known_host = ""
        self._noted: tuple[object, ...] = ()
        self._noted_at = 0.0
        self._reconcile_at = 0.0
        self._told_at = 0.0
        self._telling: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End politely: the server is told goodbye."""
        self._stopping = True
        self.wake.set()

    def drop(self) -> None:
        """The mailbox is another's now: nothing more is said to anybody. The task is to be cancelled as well."""
        self._stopping = self._dropped = True

    def compare(self) -> None:
        """Compare ledger and server as soon as the mailbox is in sync."""
        self._reconcile_at = time.monotonic()

    @property
    def wait_left(self) -> float:
        """Seconds until this mailbox should be tried again, by whomever."""
        return max(0.0, self.again_at - time.monotonic())

    async def run(self) -> None:
        """Watch. Raises nothing but cancellation."""
        while not self._stopping:
            in_sync = self._synced
            try:
                await self._once()
                if not self.watched.tracking:
                    return
                continue
            except LeaseLost:
                log.info("mailbox %s is another process's now", self.watched.id)
                return
            except MailError as found:
                error = self._judged(found)
                seconds = self.backoff.after(error, was_in_sync=in_sync and self._synced)
                await self._failed(error)
            except Exception as error:
                # A fault of ours or of the database: this mailbox waits, the others never notice.
                log.exception("mailbox %s", self.watched.id)
                ours = trouble_here(error)
                seconds = self.backoff.after(ours)
                await self._failed(ours)
            if seconds is None:
                self.gave_up = True
                return
            self.again_at = time.monotonic() + seconds
            await self._sleep()

    def _judged(self, error: MailError) -> MailError:
        """What an error means for this mailbox: a name that was found before is not misspelt (R-031)."""
        if error.code == "host_not_found" and self._known_host == self.watched.host:
            return errors.host_vanished(self.watched.host)
        return error

    async def _sleep(self) -> None:
        """Wait before the next try; an errand does not cut it short, the end does."""
        while not self._stopping and (left := self.wait_left) > 0:
            self.wake.clear()
            await self._woken(left)

    async def _woken(self, seconds: float) -> None:
        """Wait so long, or until somebody wakes us."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), seconds)

    async def _once(self) -> None:
        """One connection, from sign-in until the end or an error."""
        async with self._hosts.connection(self.watched.host, self.watched.user):
            if self._stopping:
                return
            account = await self._store.run(store.load, self.watched.id)
            if account is None:
                self._stopping = True
                return
            if self._paused(account):
                self._stopping = self.gave_up = True
                return
            async with self._hosts.start(self.watched.host, self.watched.user):
                self._known_host = account.health.known_host
                session = await open_session(account.endpoint, account.policy, account.login)
            if self._known_host != self.watched.host:
                await self._store.run(store.note_known, self.watched.id, self.watched.host)
            if not self._reconcile_at:
                self._plan_reconcile(account.health.reconciled_at)
            mailbox, remember = account.mailbox, account.endpoint.skip_validation
            del account  # with the password: neither is needed for the hours that follow
            try:
                if settings.IMAP_COMPRESS:
                    await session.compress()
                if remember and session.certificate is not None:
                    await self._store.run(store.pin, self.watched.id, session.certificate.sha256)
                await self._signed_in(session, mailbox)
            finally:
                await self._leave(session)

    async def _signed_in(self, session: Session, mailbox: Mailbox) -> None:
        if self.watched.tracking:
            await self._watch(session, mailbox)
            return
        sent = mailbox.sent_folder
        while (await errands.work_off(session, self._store, self.watched.id, sent)).more:
            pass

    def _paused(self, account: Account) -> bool:
        """A refused password is not tried again before the settings changed, not even by a new process (R-034)."""
        health = account.health
        return (
            health.state == State.PASSWORD_REJECTED
            and health.settings_version == account.mailbox.settings_version
            and self.backoff.refused_passwords == 0
        )

    async def _watch(self, session: Session, mailbox: Mailbox) -> None:
        progress = Progress()
        visit = await open_visit(
            session,
            self._store,
            mailbox,
            memories=self._memories,
            progress=progress,
            on_progress=self._progressed,
            poll_seconds=self._poll_seconds,
        )
        connected = time.monotonic()
        while not self._stopping and not self._turn_is_over(connected):
            if not self.wake.is_set():
                await self._woken(self._pace.look(time.monotonic()))
            if self.wake.is_set():
                self.wake.clear()
                visit.hint()
                self._noted = ()  # whoever woke us may wait for the word that all is well
            if await self._round(visit):
                if visit.has_history:
                    await self._note(State.FIRST_SYNC, done=progress.done, total=progress.total)
                continue
            self.backoff.finished()
            self._synced = True
            await self._well(visit, progress)
            if not await self._reconciled(visit):
                await self._wait(visit, connected)

    def _turn_is_over(self, connected: float) -> bool:
        """True when another mailbox of a crowded host shall have the place, however much is left to do here."""
        crowded = self._hosts.of(self.watched.host).connected.crowded
        return crowded and time.monotonic() - connected >= TURN_SECONDS

    async def _round(self, visit: Visit) -> bool:
        """Go round the folders; a long import waits for one of the host's few places, news never do (R-033)."""
        if not visit.has_history:
            return await visit.round()
        async with self._hosts.of(self.watched.host).working.place():
            return await visit.round()

    async def _reconciled(self, visit: Visit) -> bool:
        """Once a day compare ledger and server; True when that was done and the folders are to be looked at again."""
        if time.monotonic() < self._reconcile_at or visit.trouble is not None or not visit.history_done:
            return False
        async with self._hosts.of(self.watched.host).working.place():
            report = await reconcile_visit(self._store, visit.readings)
        if not report.complete:
            log.warning("mailbox %s is not complete", self.watched.id)
        self._reconcile_at = time.monotonic() + RECONCILE_SECONDS
        return True

    def _plan_reconcile(self, last: datetime | None) -> None:
        """The next comparison: a day after the last, or in the first hours; never all mailboxes together."""
        age = (datetime.now(UTC) - last).total_seconds() if last else RECONCILE_SECONDS * 0.9
        wait = max(0.0, RECONCILE_SECONDS - max(0.0, age)) + RECONCILE_SECONDS / 10 * random.random()  # noqa: S311
        self._reconcile_at = time.monotonic() + wait

    async def _wait(self, visit: Visit, connected: float) -> None:
        """Wait for news, until it is time to look again, or until another mailbox shall have the place."""
        look_at = time.monotonic() + LOOK_SECONDS
        host = self._hosts.of(self.watched.host)
        news = False
        while not (news or self._stopping or self._turn_is_over(connected)):
            left = max(1.0, look_at - time.monotonic())
            # A connection proves itself first, and gives its place up where others wait for one.
            proven = time.monotonic() - connected >= STABLE_SECONDS and not host.connected.crowded
            longest = left if proven else min(left, STABLE_SECONDS, TURN_SECONDS)
            news = await visit.wait(self.wake, quiet=min(self._quiet(), left), longest=longest)
            self.looked = True
            now = time.monotonic()
            if now - connected >= STABLE_SECONDS:
                self.backoff.reset()
            if now >= min(look_at, self._reconcile_at):
                return

    async def _leave(self, session: Session) -> None:
        if self._dropped:
            session.abort()
            return
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
        elif (goes_on := visit.allowance.goes_on) is not None and not visit.history_done:
            rests = _rests(visit.allowance.limit)
            await self._note(State.FIRST_SYNC, rests, goes_on_at=goes_on, last_sync_at=now, **counts)
        else:
            await self._note(State.IN_SYNC, last_sync_at=now, **counts)

    async def _failed(self, error: MailError) -> None:
        log.info("mailbox %s: %s", self.watched.id, error.code)
        if error.code in SIGN_IN_REFUSED:
            state = State.PASSWORD_REJECTED
        elif error.code == "certificate_changed":
            state = State.CERTIFICATE_CHANGED
        else:
            state = State.RECONNECTING if error.temporary else State.FAILED
        brief = state == State.RECONNECTING and self._synced and self.backoff.failures == 1
        if brief and error.code != "over_limit":
            return  # Servers drop connections every day; seconds later all is well.
        seen = _FINGERPRINT.search(error.message) if state == State.CERTIFICATE_CHANGED else None
        try:
            await self._told()
            await self._note(state, error, seen_sha256=seen.group(1) if seen else "")
        except LeaseLost:
            self._stopping = True
        except Exception:
            log.exception("health of mailbox %s", self.watched.id)

    async def _note(
        self, state: str, error: MailError | None = None, *, goes_on_at: datetime | None = None, **facts: Any
    ) -> None:
        """Write health when it changed."""
        words = {
            "state": state,
            "code": error.code if error else "",
            "message": error.message if error else "",
            "advice": error.advice if error else "",
            "server_text": error.server_text if error else "",
            "goes_on_at": goes_on_at,
        }
        now = time.monotonic()
        same = (*words.values(), facts.get("done"), facts.get("total")) == self._noted
        if same and state == State.IN_SYNC:
            self.looked = True  # the supervisor dates the looks of all mailboxes together
            return
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
