"""What to do with a folder: what is remembered and what the server said, made into decisions. Pure.

Two cursors lie in a folder. New mail: every UID from `first_uid` up to `next_uid` is accounted for.
History: UIDs below `first_uid` that arrived on or after `history_since`, imported newest first.
No function here asks anybody anything; `visit.py` does, and `store.py` remembers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from postern.wire.imap import UNKNOWN_DATE, Changed, Selected, UidSet
from postern.wire.imap.uidset import NOTHING

MAX_LETTER_BYTES = 50 * 1024 * 1024

READ_ELSEWHERE = "Read elsewhere before it was met here."


class Listed(Protocol):
    """What the size pass tells of a letter; sizes in bytes, `internaldate` aware.

    `emailid` is the server's own name of its content, '' where it has none.
    """

    @property
    def uid(self) -> int: ...
    @property
    def flags(self) -> frozenset[str]: ...
    @property
    def internaldate(self) -> datetime: ...
    @property
    def size(self) -> int: ...
    @property
    def emailid(self) -> str: ...


@dataclass(frozen=True)
class Remembered:
    """A folder as the last visit left it. `uidvalidity` is None before the first visit.

    `exists` counts the letters on the server that the ledger explains, None where letters came in and it was not
    looked since who left. `rematching`: the server gave the
    folder a new UIDVALIDITY and its letters are being matched again with what is here. `modseq`: everything
    up to this mod-sequence (RFC 7162) is followed, 0 where the server told none.
    """

    uidvalidity: int | None = None
    next_uid: int = 1
    first_uid: int = 1
    history_since: date | None = None
    history_done: bool = True
    exists: int | None = 0
    rematching: bool = False
    modseq: int = 0


@dataclass(frozen=True)
class Said:
    """What the opening of a folder answered.

    `last_uid` is the highest UID in the folder, known where it was asked for. `resynced`: the server took
    our QRESYNC parameters, `changed` and `vanished` are all that happened since.
    """

    uidvalidity: int
    uidnext: int | None
    exists: int
    last_uid: int = 0
    modseq: int = 0
    resynced: bool = False
    changed: tuple[Changed, ...] = ()
    vanished: UidSet = NOTHING

    @classmethod
    def of(cls, selected: Selected) -> Said:
        """What the opening of a folder answered, as it concerns the plan."""
        return cls(
            selected.uidvalidity,
            selected.uidnext,
            selected.exists,
            modseq=selected.highestmodseq or 0,
            resynced=selected.resynced,
            changed=selected.changed,
            vanished=selected.vanished,
        )


@dataclass(frozen=True)
class Wishes:
    """The owner's settings as they concern one folder."""

    historic_since: date | None = None
    unread_only: bool = False
    only_customers: bool = False


class Case(StrEnum):
    """How a folder was met."""

    FIRST = "first visit"
    RECREATED = "new UIDVALIDITY"
    REWOUND = "UIDNEXT went back"
    KNOWN = "known"


@dataclass(frozen=True)
class Opening:
    """The folder's new state, to be remembered before anything is fetched."""

    case: Case
    folder: Remembered


def wants_last_uid(folder: Remembered, said: Said) -> bool:
    """True when UIDNEXT alone cannot be believed and the highest UID must be asked for.

    UIDNEXT may be missing (RFC 3501 allows it), nought, behind (chatmail #2188: GMX), or too high; the
    first visit builds on it for good.
    """
    if said.exists == 0:
        return False
    return folder.uidvalidity != said.uidvalidity or not said.uidnext or said.uidnext < folder.next_uid


def open_folder(
    folder: Remembered, said: Said, wishes: Wishes, *, window: date, anew: bool = False
) -> Opening:
    """Decide how to go on with a folder.

    `window` is the day from which its letters are matched again after a new UIDVALIDITY: the arrival of
    the first letter that was imported from it. `anew`: it was seen that the UIDs name other letters now
    although UIDVALIDITY is the old one (`numbered_anew`).
    """
    following = max(said.uidnext or 0, said.last_uid + 1, 1)
    if folder.uidvalidity is None and not folder.rematching:
        fresh = Remembered(said.uidvalidity, following, following, exists=said.exists)
        return Opening(Case.FIRST, _history(fresh, wishes))
    if folder.uidvalidity != said.uidvalidity and _never_held_a_letter(folder):
        # Courier 5.0 numbers such an INBOX anew at each look. Nothing is to be matched; all that lies there is new,
        # whatever its date: a letter moved here from elsewhere, or a server whose clock is late.
        return Opening(Case.KNOWN, _history(replace(folder, uidvalidity=said.uidvalidity, modseq=0), wishes))
    if anew or folder.uidvalidity != said.uidvalidity:
        since = min(window, wishes.historic_since) if wishes.historic_since else window
        fresh = Remembered(said.uidvalidity, following, following, since, False, said.exists, True)
        return Opening(Case.RECREATED, fresh)
    if said.uidnext and following < folder.next_uid:
        # A server restored from its backup: UIDs from here on will be given out a second time.
        back = replace(folder, next_uid=following, first_uid=min(folder.first_uid, following), modseq=0)
        return Opening(Case.REWOUND, _history(back, wishes))
    return Opening(Case.KNOWN, _history(folder, wishes))


def _never_held_a_letter(folder: Remembered) -> bool:
    return (
        folder.uidvalidity is not None
        and folder.next_uid == 1
        and folder.exists == 0
        and not folder.rematching
    )


def numbered_anew(
    listed: Iterable[Listed],
    known: Mapping[int, datetime | None],
    *,
    first_uid: int,
    window: datetime,
) -> bool:
    """True when the letters at known UIDs are others: a folder deleted and made again under its old UIDVALIDITY.

    `known` are the UIDs of the ledger with the arrival of their letters, None where it proves nothing;
    `window` is when the first letter of this folder arrived that is here. Dovecot 2.3 does so when UIDVALIDITY
    was once set by hand (`doveadm mailbox update`, seen November 2026).
    """
    agrees = False
    strangers = []
    for letter in listed:
        if letter.uid not in known:
            strangers.append(letter)
        elif letter.internaldate != UNKNOWN_DATE and (arrived := known[letter.uid]) is not None:
            if arrived != letter.internaldate:
                return True
            agrees = True
    # Below the beginning lies what arrived before us: unless nothing that we know is left to say so.
    return any(one.uid >= first_uid or (not agrees and one.internaldate >= window) for one in strangers)


def _history(folder: Remembered, wishes: Wishes) -> Remembered:
    """Begin, widen, go on with or give up importing what arrived before processing was switched on."""
    since = wishes.historic_since
    if folder.rematching:
        if since and folder.history_since and since < folder.history_since:
            return replace(folder, history_since=since, history_done=False)
        return folder
    if since is None:
        return folder if folder.history_done else replace(folder, history_since=None, history_done=True)
    if folder.history_since is None or since < folder.history_since:
        return replace(folder, history_since=since, history_done=False)
    return folder


def new_uids(folder: Remembered, found: Iterable[int]) -> list[int]:
    """UIDs of new letters, oldest first. `n:*` also names the last letter when it lies below n."""
    return sorted({uid for uid in found if uid >= folder.next_uid})


def history_uids(folder: Remembered, found: Iterable[int], accounted: Collection[int]) -> list[int]:
    """UIDs of older letters that are still to be imported, newest first."""
    return sorted({uid for uid in found if uid < folder.first_uid} - set(accounted), reverse=True)


@dataclass(frozen=True)
class Sorted:
    """Letters to fetch, letters to fetch only to recognise them, and UIDs skipped with the reason."""

    fetch: list[Listed]
    recognise: list[Listed]
    skipped: list[tuple[int, str]]

    def any(self) -> bool:
        """True when some letter concerns us at all."""
        return bool(self.fetch or self.recognise or self.skipped)

    def without(self, uids: Collection[int]) -> Sorted:
        """The same letters but for those."""
        return Sorted(
            [one for one in self.fetch if one.uid not in uids],
            [one for one in self.recognise if one.uid not in uids],
            [one for one in self.skipped if one[0] not in uids],
        )


def sort_out(
    listed: Iterable[Listed],
    wishes: Wishes,
    *,
    since: date | None = None,
    not_before: datetime | None = None,
    rematching: bool = False,
) -> Sorted:
    """Decide for each letter of a size pass.

    Letters that arrived before the day `since` (by INTERNALDATE in its own zone) or the moment
    `not_before` are outside the promise and appear nowhere; one of unknown date is not lost for that. While rematching, a read letter may be one
    that was read after it came here, so it is fetched and kept only if it is known.
    """
    result = Sorted([], [], [])
    for letter in listed:
        if letter.internaldate != UNKNOWN_DATE and (
            (since and letter.internaldate.date() < since)
            or (not_before and letter.internaldate < not_before)
        ):
            continue
        if wishes.unread_only and "\\seen" in {flag.lower() for flag in letter.flags}:
            if rematching:
                result.recognise.append(letter)
            else:
                result.skipped.append((letter.uid, READ_ELSEWHERE))
        else:
            result.fetch.append(letter)
    return result


def too_large(size: int) -> str:
    """Why only the header of a letter of `size` bytes is brought in; '' for one that comes whole."""
    if size <= MAX_LETTER_BYTES:
        return ""
    megabytes = -(-size // 1024 // 1024)
    return f"Too large: {megabytes} MB, at most {MAX_LETTER_BYTES // 1024 // 1024} MB is read."
