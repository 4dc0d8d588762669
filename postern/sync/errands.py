"""What we owe the server, and what we want of it: marks, copies in the sent folder, moves to Trash, whole letters.

Each may end after any of its steps; done again, it does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from postern.mail.models import Errand
from postern.mail.preparing import Arrival
from postern.sync import store
from postern.sync.moving import move
from postern.sync.sentfolder import require_sent_folder
from postern.sync.spots import where_they_still_are
from postern.sync.store import Spot, Store, Task
from postern.wire.errors import MailError, quoted
from postern.wire.imap import Session, choose_trash_folder

AT_ONCE = 500
# These are about the connection, not about the one errand.
_CONNECTION = {"connection_lost", "timeout", "protocol_error"}
# Somebody makes room, and then it goes.
_PASSES = {"mailbox_full"}


class NoRoomToday(Exception):
    """The provider's day has no room for this letter (R-037)."""

    def __init__(self, limit: int, until: datetime) -> None:
        super().__init__(
            f"The provider lets {limit // 1_000_000:,} MB a day be uploaded, and there is no room for it today."
        )
        self.until = until


class Worked(NamedTuple):
    """`tried`: folders were opened; `more`: errands are left, or the sent folder may have got a letter."""

    tried: bool
    more: bool


async def work_off(session: Session, keeper: Store, mailbox_id: int, sent_folder: str) -> Worked:
    """Do every errand whose time has come.

    A refusal stays with its errand; MailError is raised only when the connection is over.
    """
    appended = False
    tasks = await keeper.run(store.due_errands, mailbox_id, AT_ONCE)
    seen = [task for task in tasks if task.kind == Errand.Kind.SEEN]
    groups = [seen] if seen else []
    groups += [[task] for task in tasks if task.kind != Errand.Kind.SEEN]
    for group in groups:
        try:
            moved = await _do(session, keeper, mailbox_id, group, sent_folder)
        except NoRoomToday as full:
            ids = [task.id for task in group]
            await keeper.run(store.errand_waits, mailbox_id, ids, str(full), full.until)
            continue
        except MailError as error:
            final = not error.temporary and error.code not in _CONNECTION | _PASSES
            await keeper.run(store.errand_failed, mailbox_id, group, _words(error), final=final)
            if session.closed:
                raise
            continue
        await keeper.run(store.errand_done, mailbox_id, [task.id for task in group], moved)
        appended = appended or group[0].kind == Errand.Kind.APPEND
    return Worked(bool(groups), appended or len(tasks) == AT_ONCE)


def _words(error: MailError) -> str:
    return f"{error} {quoted(error.server_text)}".strip()


async def _do(
    session: Session, keeper: Store, mailbox_id: int, group: Sequence[Task], sent_folder: str
) -> list[Spot]:
    """Carry out errands of one kind; returns the places that letters were moved away from.

    Right before each change on the server the lease is looked at: a process that was frozen meanwhile
    must not do what its successor has done already (R-004).
    """
    if group[0].kind == Errand.Kind.SEEN:
        await _mark_seen(session, keeper, group)
    elif group[0].kind == Errand.Kind.FETCH:
        await _bring_in_whole(session, keeper, mailbox_id, group[0])
    elif group[0].kind == Errand.Kind.TRASH:
        return await _move_to_trash(session, keeper, mailbox_id, group[0])
    else:
        await _append(session, keeper, mailbox_id, group[0], sent_folder)
    return []


async def _mark_seen(session: Session, keeper: Store, tasks: Iterable[Task]) -> None:
    spots = [spot for task in tasks for spot in task.spots if spot.incoming]
    for here in await where_they_still_are(session, spots):
        keeper.check()
        await session.uid_store([spot.uid for spot in here], add=["\\Seen"])


async def _move_to_trash(session: Session, keeper: Store, mailbox_id: int, task: Task) -> list[Spot]:
    if not task.spots:
        return []
    trash = choose_trash_folder(await session.list_folders())
    if trash is None:
        raise MailError(
            "folder_missing",
            "The mail server has no folder for deleted messages.",
            "Move the message with another mail program.",
            temporary=False,
        )
    moved: list[Spot] = []
    for folder in {spot.folder for spot in task.spots}:
        for here in await where_they_still_are(session, [s for s in task.spots if s.folder == folder]):
            moved += await move(session, keeper, mailbox_id, task, here, trash.name)
    return moved


async def _bring_in_whole(session: Session, keeper: Store, mailbox_id: int, task: Task) -> None:
    """Fetch a letter of which only the header is here."""
    for spot in task.spots:
        await where_they_still_are(session, [spot], readonly=True)
        found = [letter async for letter in session.uid_fetch_bodies([spot.uid])]
        for letter in found:
            arrival = Arrival(letter.uid, letter.flags, task.received_at, letter.raw)
            await keeper.run(store.whole_letter, mailbox_id, task.id, arrival)
            return
    raise MailError(
        "folder_missing",
        "It is no longer where it was in the mailbox.",
        "Look for it with another mail program.",
        temporary=False,
    )


async def _append(session: Session, keeper: Store, mailbox_id: int, task: Task, sent_folder: str) -> None:
    if not sent_folder:
        raise MailError(
            "folder_missing",
            "No folder for sent messages is set, so the copy exists here only.",
            "Choose it in My Profile → Email with Load.",
            temporary=False,
        )
    await require_sent_folder(session, sent_folder)
    raw = await keeper.run(store.letter_of, mailbox_id, task.id)
    if raw is None or await _is_there(session, sent_folder, task.message_id):
        return
    await _require_room(session, keeper, mailbox_id, len(raw))
    keeper.check()
    await session.append(sent_folder, raw, flags=["\\Seen"], internaldate=task.received_at)


async def _require_room(session: Session, keeper: Store, mailbox_id: int, size: int) -> None:
    """Raise NoRoomToday where more than a provider lets be uploaded would be. It is counted before it goes."""
    limit = session.bytes_up_a_day
    if limit and (until := await keeper.run(store.count_upload, mailbox_id, size, limit)):
        raise NoRoomToday(limit, until)


async def _is_there(session: Session, folder: str, message_id: str) -> bool:
    """Look for our own letter: the provider may have filed it, or we did and died before noting it (R-047)."""
    # Not read-only: Courier 5.0 then refuses an APPEND to the same folder ("selected READ-ONLY", November 2026).
    await session.select(folder)
    if not message_id:
        return False
    return bool(await session.uid_search(["HEADER", "Message-ID", f"<{message_id}>"]))
