"""One signed-in connection to one mailbox: go round the folders, do the errands, wait for news."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from postern.mailboxes.models import Mailbox
from postern.sync import errands, store
from postern.sync.allowance import Allowance
from postern.sync.memory import Memories, Memory, Progress
from postern.sync.plan import Wishes
from postern.sync.reading import Reading
from postern.sync.sentfolder import USED_OTHERWISE, require_sent_folder
from postern.sync.store import Store
from postern.wire.errors import MailError
from postern.wire.imap import Session
from postern.wire.imap.waiting import UNANSWERED

# IDLE is never reliable: so often at least the folders are opened anew and looked at.
LOOK_SECONDS = 9 * 60.0
# So often the sent folder is asked about between two looks; with thousands of mailboxes less often.
SENT_SECONDS = 60.0
# An errand that falls due ends the wait (a letter goes to Trash when Undo is over), but never in a tight circle.
# What came between our last look and IDLE some servers tell only at its end (pymap: it waits for the next
# change), and what came between two IDLEs at the end of the second. The first ones after a look are short, so that
# such a letter is late by seconds, not minutes.
SETTLE_SECONDS = (2.0, 8.0)
SHORTEST_WAIT = 1.0
# A connection that breaks so soon after IDLE was asked for breaks because of it. After the second time in a row, after
# a refusal and where IDLE was not answered at all, the mailbox is polled for an hour as if there were no IDLE.
IDLE_BREAKS_SECONDS = 1.0
IDLE_BREAKS = 2
WITHOUT_IDLE_SECONDS = 3600.0
# Errands are announced; should an announcement get lost, they are found after so long.
ERRANDS_SECONDS = 30 * 60.0

# A sent folder at which the connection ends so often in a row, and brings nothing, is left alone for a while.
PARKED_AFTER = 5
PARKED_SECONDS = 15 * 60.0
LONGEST_PARKED = 6 * 3600.0

# What the server may say of the sent folder without any harm to INBOX.
_FOLDER_ONLY = {"folder_missing", "server_refused", "server_busy", USED_OTHERWISE}


def _named(error: MailError, folder: str) -> MailError:
    """The error, with the name of a sent folder that is not there."""
    if error.code != "folder_missing":
        return error
    return MailError(
        error.code,
        f"There is no folder “{folder}” for sent messages on the server; other mail is read.",
        "Press Load in My Profile → Email → IMAP settings, and save.",
        temporary=False,
        server_text=error.server_text,
    )


def _ends_the_connection(folder: str) -> MailError:
    return MailError(
        "connection_lost",
        f"The mail server ends the connection whenever “{folder}” is opened; other mail is read.",
        "Postern looks again from time to time. Tell whoever runs the mail server.",
        temporary=True,
    )


class Visit:
    """Made for each connection. `trouble` is what is wrong with the sent folder while INBOX works."""

    def __init__(
        self,
        session: Session,
        keeper: Store,
        mailbox_id: int,
        readings: list[Reading],
        progress: Progress,
        allowance: Allowance,
        *,
        poll_seconds: float,
        memories: Memories | None = None,
    ) -> None:
        self.trouble: MailError | None = None
        self._session = session
        self._left_inbox = False
        self._is_sent_folder = False  # as the server said over this connection
        self._store = keeper
        self._mailbox_id = mailbox_id
        self.readings = readings
        self._progress = progress
        self.allowance = allowance
        self._poll_seconds = poll_seconds
        self._memories = memories or Memories()
        self._asked_to_tell = False
        self._hinted = True
        self._stored_before = 0
        self._settled = 0  # short IDLEs since the last look
        self._look_again = False
        self._errand_at: float | None = None
        self._ask_errands_at = 0.0

    @property
    def has_history(self) -> bool:
        """True while a first sync is under way, and does not rest."""
        return any(reading.has_history for reading in self.readings)

    @property
    def history_done(self) -> bool:
        """True when all old mail that is wished is here."""
        return all(reading.state.history_done for reading in self.readings)

    async def round(self) -> bool:
        """Look at every folder and do the errands; True when there is more to do at once. Raises MailError."""
        try:
            return await self._go_round()
        except MailError:
            await self.allowance.note()
            raise

    async def _go_round(self) -> bool:
        more = False
        self.trouble = None
        self._left_inbox, self._settled = False, 0
        before = self.readings[0].seen
        for reading in self.readings:
            if reading.incoming:
                more = await reading.read() or more
            else:
                more = await self._read_sent(reading) or more
        worked = await self._errands()
        await self.allowance.note()
        self._look_again = self.readings[0].seen != before or worked.tried
        if more or worked.more:
            return True
        return (self._left_inbox or worked.tried) and not await self._back_in_inbox()

    async def _read_sent(self, reading: Reading) -> bool:
        memory, stored = reading.memory, self._progress.stored
        if self._now() < memory.parked_until:
            self.trouble = memory.parked
            return False
        try:
            if not self._is_sent_folder:
                await require_sent_folder(self._session, reading.name)
                self._is_sent_folder = True
            if await reading.unchanged():
                return False
            self._left_inbox = True
            more = await reading.read()
        except MailError as error:
            if self._session.closed and self._progress.stored == stored:
                self._broke(memory, reading.name)
            if self._session.closed or error.code not in _FOLDER_ONLY:
                raise
            self.trouble = _named(error, reading.name)
            if error.code == USED_OTHERWISE:
                self._park(memory, PARKED_SECONDS, error)
            return False
        memory.broke = 0
        return more

    def _broke(self, memory: Memory, folder: str) -> None:
        """The connection ended at the sent folder; when it does so each time, INBOX is read without it for a while."""
        memory.broke += 1
        if memory.broke >= PARKED_AFTER:
            longer = 2 ** min(memory.broke - PARKED_AFTER, 10)
            self._park(memory, min(LONGEST_PARKED, PARKED_SECONDS * longer), _ends_the_connection(folder))

    def _park(self, memory: Memory, seconds: float, why: MailError) -> None:
        memory.parked_until, memory.parked = self._now() + seconds, why

    async def _back_in_inbox(self) -> bool:
        """Open INBOX for the wait; False when something happened there meanwhile."""
        inbox = self.readings[0]
        return inbox.as_left(await inbox.look())

    async def wait(
        self, wake: asyncio.Event, *, quiet: float = SENT_SECONDS, longest: float = LOOK_SECONDS
    ) -> bool:
        """Wait for news, for `wake`, or until an errand falls due; False after `quiet` seconds without any.

        Where the server tells of all folders it is `longest` instead. Then the sent folder was asked about, and
        it is time to wait again or to look. Raises MailError.
        """
        if wake.is_set() or self._errands_due():
            return True
        sent = next((one for one in self.readings if not one.incoming and self.trouble is None), None)
        if sent is not None and await self._ask_to_tell(sent) and not await sent.unchanged():
            return True  # between the last look and the question
        seconds = longest if self._still_told() or sent is None else quiet
        if self._errand_at is not None:
            seconds = min(seconds, max(SHORTEST_WAIT, self._errand_at - self._now()))
        if await (self._in_idle if self._idles else self._polling)(seconds, wake):
            return True
        return sent is not None and not await sent.unchanged()

    @property
    def _idles(self) -> bool:
        """True where the server knows IDLE and bears it."""
        return "IDLE" in self._session.capabilities and self._now() >= self._memories.idle_after

    async def _polling(self, seconds: float, wake: asyncio.Event) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), min(self._poll_seconds, seconds))
        return True

    async def _in_idle(self, seconds: float, wake: asyncio.Event) -> bool:
        seconds = min(seconds, self._session.longest_idle)
        while self._settled < len(SETTLE_SECONDS):
            self._settled += 1
            if await self._news(min(seconds, SETTLE_SECONDS[self._settled - 1]), wake):
                return True
        if self._look_again:
            # What came while letters were fetched, some never tell: one more look, where that took its time.
            self._look_again = False
            if not await self._back_in_inbox():
                return True
        return await self._news(seconds, wake)

    async def _ask_to_tell(self, sent: Reading) -> bool:
        """Have the server tell of the sent folder while INBOX is open (NOTIFY); True when it does so from now on.

        It is asked once a connection; one that goes away at the question is not asked on the next.
        """
        if self._asked_to_tell or not self._idles or not self._memories.notify:
            return False
        self._asked_to_tell, self._memories.notify = True, False
        self._memories.notify = await self._session.watch([sent.name])
        return self._memories.notify

    def _still_told(self) -> bool:
        """True while the server tells. Raises connection_lost when it gave that up: the next connection does without."""
        told = self._session.watching
        if self._asked_to_tell and self._memories.notify and not told:
            self._memories.notify = False
            self._session.abort()
            raise MailError(
                "connection_lost", "The mail server tells no more of other folders.", temporary=True
            )
        return told

    async def _news(self, seconds: float, wake: asyncio.Event) -> bool:
        """IDLE; True on news, for `wake`, or when an errand is due. A server that cannot bear it is asked by polling."""
        begun = self._now()
        try:
            news = await self._session.idle(seconds=seconds, wake=wake)
        except MailError as error:
            at_once = self._now() - begun < IDLE_BREAKS_SECONDS
            self._memories.idle_broke = self._memories.idle_broke + 1 if at_once else 0
            unborne = error.code == UNANSWERED or self._memories.idle_broke >= IDLE_BREAKS
            if not self._session.closed or unborne:
                self._memories.idle_after = self._now() + WITHOUT_IDLE_SECONDS
            if self._session.closed:
                raise
            return await self._polling(seconds, wake)
        self._memories.idle_broke = 0
        return news or wake.is_set() or self._errands_due()

    def _errands_due(self) -> bool:
        return self._errand_at is not None and self._errand_at <= self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _errands(self) -> errands.Worked:
        """Work off what is due; without a hint that something is, the database is asked now and then only."""
        stored = self._progress.stored
        hinted = self._hinted or stored != self._stored_before or self._errands_due()
        if not hinted and self._now() < self._ask_errands_at:
            return errands.Worked(False, False)
        self._stored_before = stored
        sent = next((r.name for r in self.readings if not r.incoming), "")
        worked = await errands.work_off(self._session, self._store, self._mailbox_id, sent)
        due = await self._store.run(store.seconds_to_errand, self._mailbox_id)
        self._errand_at = None if due is None else self._now() + due
        self._ask_errands_at = self._now() + ERRANDS_SECONDS
        self._hinted = worked.more
        return worked

    def hint(self) -> None:
        """An errand may have been asked for."""
        self._hinted = True


async def open_visit(
    session: Session,
    keeper: Store,
    mailbox: Mailbox,
    *,
    memories: Memories | None = None,
    progress: Progress | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    poll_seconds: float = 30.0,
) -> Visit:
    """Return the visit of a mailbox over an open session."""
    memories = memories or Memories()
    progress = progress or Progress()
    allowance = Allowance(session, keeper, mailbox.pk)
    readings = [
        Reading(
            session,
            keeper,
            place,
            wishes(mailbox, incoming=place.row.role == "inbox"),
            memory=memories.of(place.row.pk),
            progress=progress,
            allowance=allowance,
            on_progress=on_progress,
        )
        for place in await keeper.run(store.places, mailbox)
    ]
    return Visit(
        session,
        keeper,
        mailbox.pk,
        readings,
        progress,
        allowance,
        poll_seconds=poll_seconds,
        memories=memories,
    )


def wishes(mailbox: Mailbox, *, incoming: bool) -> Wishes:
    """Return the settings as they concern a folder: sent mail is read whatever its flags (row 2)."""
    return Wishes(
        historic_since=store.history_date(mailbox),
        unread_only=incoming and mailbox.process == Mailbox.Process.UNREAD,
        only_customers=mailbox.only_customers,
    )
