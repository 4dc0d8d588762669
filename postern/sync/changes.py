"""What changed in a folder that is known: the cheapest question, and whether its answer can be true. Pure.

| remembered and told                            | question | costs                                    |
| ---------------------------------------------- | -------- | ---------------------------------------- |
| MODSEQ, count and UIDNEXT as they were         | NOTHING  | nothing                                  |
| the server took our QRESYNC parameters         | TOLD     | nothing: it came with the opening        |
| MODSEQ went on                                 | SINCE    | the flags that changed; UIDs as ranges   |
| no MODSEQ known                                | COUNT    | new UIDs; a listing where counts differ  |
| MODSEQ went back, or is kept no longer (R-018) | ALL      | a listing and all flags                  |

Nothing is believed that does not add up with the number of letters the server says there are (I7).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from postern.sync.plan import Remembered, Said
from postern.wire.imap import UidSet

MAX_UID = 2**32 - 1
# So many letters at most are taken for overlooked at once; a server that lists more has lost its mind.
MOST_OVERLOOKED = 1_000_000
# Where the server tells nothing of changed flags, those of the newest letters are looked at.
FLAGS_WINDOW = 200


class Question(StrEnum):
    """How to learn what changed."""

    NOTHING = "nothing changed"
    TOLD = "told with the opening"
    SINCE = "changed since"
    COUNT = "by the count"
    ALL = "compare everything"


def question(folder: Remembered, said: Said) -> Question:
    """Choose the question for a folder whose UIDVALIDITY is the one remembered."""
    if folder.modseq and said.modseq < folder.modseq:
        return Question.ALL
    if said.resynced and (said.changed or said.vanished):
        return Question.TOLD
    if folder.modseq and said.modseq == folder.modseq and said.exists == folder.exists:
        return Question.NOTHING if (said.uidnext or 0) <= folder.next_uid else Question.COUNT
    if said.resynced:
        return Question.TOLD
    if folder.modseq and said.modseq > folder.modseq:
        return Question.SINCE
    return Question.COUNT


def adds_up(before: int | None, exists: int, *, new: int, gone: int, unknown: int = 0) -> bool:
    """True when `exists` letters can be what is left of `before`.

    `new` came, `gone` of our ledger left; of `unknown` more the server says that they left, and nobody here
    knows whether they were there: letters from before the beginning have no line in the ledger. Where `before` is
    not known, nothing adds up.
    """
    if before is None:
        return False
    most = before + new - gone
    return max(0, most - unknown) <= exists <= most


def before_the_beginning(folder: Remembered, vanished: UidSet, gone: Iterable[int]) -> int:
    """How many of the `vanished` may have lain below the beginning without a line in the ledger."""
    if folder.first_uid <= 1:
        return 0
    below = vanished & UidSet([(1, folder.first_uid - 1)])
    return len(below) - sum(1 for uid in gone if uid < folder.first_uid)


def gaps(folder: Remembered, listed: UidSet) -> UidSet:
    """The UIDs that were given out and are not `listed`: whoever lay there has left."""
    if folder.next_uid <= 1:
        return UidSet()
    return UidSet([(1, min(folder.next_uid - 1, MAX_UID))]) - listed


@dataclass(frozen=True)
class Comparison:
    """What a whole listing of the folder says about the ledger.

    `suspect`: believed only when the next listing says the same (I7: a bad listing never deletes).
    """

    gone: frozenset[int] = frozenset()
    back: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()
    believed: bool = False
    suspect: bool = False


def compare(
    folder: Remembered,
    listed: UidSet,
    exists: int,
    *,
    here: Collection[int],
    gone: Collection[int],
    suspected: bool = False,
) -> Comparison:
    """Hold the ledger (`here` and `gone`, UIDs) against a listing of all UIDs and the count `exists`.

    A listing that does not match the count is not believed at all. One in which nothing is left of what
    was here is believed at the second time. Raises ValueError when the server lists an absurd number.
    """
    if len(listed) != exists:
        return Comparison(suspect=suspected)
    ours = (
        UidSet([(folder.first_uid, folder.next_uid - 1)]) if folder.next_uid > folder.first_uid else UidSet()
    )
    missing = frozenset(((listed & ours) - UidSet.of([*here, *gone])).listed(MOST_OVERLOOKED))
    left = frozenset(uid for uid in here if uid not in listed)
    back = frozenset(listed.among(gone))
    if left and len(left) == len(here) and not suspected:
        return Comparison(missing=missing, back=back, suspect=True)
    return Comparison(gone=left, back=back, missing=missing, believed=True)
