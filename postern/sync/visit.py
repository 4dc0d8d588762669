"""One signed-in connection to one mailbox: go round the folders, do the errands, wait for news."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from postern.mailboxes.models import Mailbox
from postern.sync import errands, store
from postern.sync.memory import Memories, Progress
from postern.sync.plan import Wishes
from postern.sync.reading import Reading
from postern.sync.store import Store
from postern.wire.errors import MailError
from postern.wire.imap import Session

# IDLE is never reliable (ENGINE.md): it is renewed, and the folders are looked at, this often.
IDLE_SECONDS = 55.0
# An errand that falls due ends the wait (a letter goes to Trash when Undo is over), but never in a tight circle.
SHORTEST_WAIT = 1.0

# What the server may say of the sent folder without any harm to INBOX.
_FOLDER_ONLY = {"folder_missing", "server_refused", "server_busy"}


class Visit:
    """Made for each connection. `trouble` is what is wrong with the sent folder while INBOX works."""

    def __init__(
        self,
        session: Session,
        keeper: Store,
        mailbox: Mailbox,
        readings: list[Reading],
        *,
        poll_seconds: float,
    ) -> None:
        self.trouble: MailError | None = None
        self._session = session
        self._left_inbox = False
        self._store = keeper
        self._mailbox = mailbox
        self.readings = readings
        self._poll_seconds = poll_seconds

    @property
    def has_history(self) -> bool:
        """True while a first sync is under way."""
        return any(not reading.state.history_done for reading in self.readings)

    async def round(self) -> bool:
        """Look at every folder and do the errands; True when there is more to do at once. Raises MailError."""
        more = False
        self.trouble = None
        self._left_inbox = False
        for reading in self.readings:
            if reading.incoming:
                more = await reading.read() or more
            else:
                more = await self._read_sent(reading) or more
        sent = next((r.name for r in self.readings if not r.incoming), "")
        worked = await errands.work_off(self._session, self._store, self._mailbox.pk, sent)
        if more or worked.more:
            return True
        return (self._left_inbox or worked.tried) and not await self._back_in_inbox()

    async def _read_sent(self, reading: Reading) -> bool:
        try:
            if await reading.unchanged():
                return False
            self._left_inbox = True
            return await reading.read()
        except MailError as error:
            if self._session.closed or error.code not in _FOLDER_ONLY:
                raise
            self.trouble = error
            return False

    async def _back_in_inbox(self) -> bool:
        """Open INBOX for the wait; False when something happened there meanwhile."""
        inbox = self.readings[0]
        return inbox.as_left(await inbox.look())

    async def wait(self, wake: asyncio.Event) -> None:
        """Wait for news, for `wake`, until an errand falls due, or until it is time to look again.

        Raises MailError.
        """
        due = await self._store.run(store.seconds_to_errand, self._mailbox.pk)
        longest = IDLE_SECONDS if due is None else max(SHORTEST_WAIT, due)
        if "IDLE" in self._session.capabilities:
            seconds = min(IDLE_SECONDS, self._session.longest_idle, longest)
            await self._session.idle(seconds=seconds, wake=wake)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), min(self._poll_seconds, longest))


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
    readings = [
        Reading(
            session,
            keeper,
            place,
            wishes(mailbox, incoming=place.row.role == "inbox"),
            memory=memories.of(place.row.pk),
            progress=progress,
            on_progress=on_progress,
        )
        for place in await keeper.run(store.places, mailbox)
    ]
    return Visit(session, keeper, mailbox, readings, poll_seconds=poll_seconds)


def wishes(mailbox: Mailbox, *, incoming: bool) -> Wishes:
    """Return the settings as they concern a folder: sent mail is read whatever its flags (row 2)."""
    return Wishes(
        historic_since=store.history_date(mailbox),
        unread_only=incoming and mailbox.process == Mailbox.Process.UNREAD,
    )
