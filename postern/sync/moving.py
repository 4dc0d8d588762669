"""Letters go into another folder of their mailbox: at once by MOVE, else by COPY, STORE and EXPUNGE.

After each of the three the connection may break or the process die, and a second COPY would leave a second letter.
So an errand is noted as begun before its first COPY, and one that was begun looks in the other folder first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postern.sync import store
from postern.sync.spots import where_they_still_are
from postern.sync.store import Spot, Store, Task
from postern.wire.errors import MailError
from postern.wire.imap import Listed, Session

DELETED = "\\Deleted"
# Errands that are worked off meanwhile put other letters on top of the one we look for.
NEWEST = 1000
# Each may have a header of 256 KB.
MOST_COMPARED = 50


async def move(
    session: Session, keeper: Store, mailbox_id: int, task: Task, spots: Sequence[Spot], target: str
) -> Sequence[Spot]:
    """Move letters of the open folder into `target`, once however often it is tried; the spots they left.

    Raises MailError, before anything is done, on a server without MOVE and UIDPLUS.
    """
    uids = [spot.uid for spot in spots]
    if not session.moves_by_copying:
        keeper.check()
        await session.uid_move(uids, target)
        return spots
    to_copy = uids
    if task.attempts:
        uids, to_copy = await _still_to_do(session, spots, target, task.message_id)
    elif not await keeper.run(store.errand_begun, mailbox_id, task.id):
        return []
    if not uids:
        return spots
    if to_copy:
        keeper.check()
        await session.uid_copy(to_copy, target)
    keeper.check()
    await session.uid_store(uids, add=[DELETED])
    keeper.check()
    await session.uid_expunge(uids)
    return spots


@dataclass(frozen=True)
class Look:
    """A letter as a folder shows it: what the server lists of it, and its header; None where it gives none."""

    listed: Listed
    head: bytes | None

    def may_be_copy_of(self, other: Look) -> bool:
        """Whether a COPY of `other` would look like this.

        A copy has the same bytes and the same INTERNALDATE. Servers estimate sizes and some date a copy anew, so
        one of the two is enough beside a header with its own Message-ID. COPY takes flags along: a letter on its
        way out of Trash is not the copy of one that stays.
        """
        if self.head is None or self.head != other.head:
            return False
        named = b"message-id:" in self.head.lower()
        alike = (self.listed.size == other.listed.size, self.listed.internaldate == other.listed.internaldate)
        leaves = DELETED in self.listed.flags and DELETED not in other.listed.flags
        return (any(alike) if named else all(alike)) and not leaves


def without_a_copy(ours: Iterable[Look], there: Iterable[Look]) -> list[int]:
    """The UIDs of our letters to which nothing over there answers; each letter there answers for one of ours."""
    left, missing = list(there), []
    for one in ours:
        copy = next((other for other in left if other.may_be_copy_of(one)), None)
        if copy is None:
            missing.append(one.listed.uid)
        else:
            left.remove(copy)
    return missing


async def _still_to_do(
    session: Session, spots: Sequence[Spot], target: str, message_id: str
) -> tuple[list[int], list[int]]:
    """Which letters the open folder still shows, and which of them have no copy in `target`.

    Nothing else may be deleted. Afterwards the folder is open again.
    """
    listed = await session.uid_fetch_headers([spot.uid for spot in spots])
    if not listed:
        return [], []
    ours = await _looks(session, listed)
    await session.select(target, readonly=True)
    found = await session.uid_fetch_headers(await _candidates(session, message_id))
    sizes, dates = {one.size for one in listed}, {one.internaldate for one in listed}
    likely = [one for one in found if one.size in sizes or one.internaldate in dates]
    there = await _looks(session, likely[-MOST_COMPARED:])
    await where_they_still_are(session, spots)
    return [one.uid for one in listed], without_a_copy(ours, there)


async def _candidates(session: Session, message_id: str) -> list[int]:
    """The newest letters of the open folder, and those of that Message-ID.

    A search alone would not do: some letters have no Message-ID, and Exchange may miss what was put there just now.
    """
    found = (await session.uid_search("ALL"))[-NEWEST:]
    if message_id:
        try:
            found += (await session.uid_search(["HEADER", "Message-ID", f"<{message_id}>"]))[-NEWEST:]
        except MailError:
            if session.closed:
                raise
    return sorted(set(found))


async def _looks(session: Session, listed: Sequence[Listed]) -> list[Look]:
    heads = await session.uid_fetch_beginnings([one.uid for one in listed])
    return [Look(one, heads.get(one.uid)) for one in listed]
