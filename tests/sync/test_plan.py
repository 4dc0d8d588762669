"""The decisions of sync, as tables. No server, no database."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from postern.sync import plan
from postern.sync.plan import Case, Remembered, Said, Wishes

MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
NO_HISTORY = Wishes()
SINCE_JUNE = Wishes(historic_since=JUNE)
KNOWN = Remembered(uidvalidity=7, next_uid=100, first_uid=50, exists=60)


@dataclass(frozen=True)
class Letter:
    uid: int
    flags: frozenset[str] = frozenset()
    internaldate: datetime = datetime(2026, 6, 15, 12, tzinfo=UTC)
    size: int = 1000


@pytest.mark.parametrize(
    ("what", "before", "said", "wishes", "case", "after"),
    [
        (
            "first visit: the moment is stored as UIDNEXT, nothing older is wanted",
            Remembered(),
            Said(7, 31, 12),
            NO_HISTORY,
            Case.FIRST,
            Remembered(7, 31, 31, None, True, 12),
        ),
        (
            "first visit, server without UIDNEXT: the last UID counts",
            Remembered(),
            Said(7, None, 12, last_uid=30),
            NO_HISTORY,
            Case.FIRST,
            Remembered(7, 31, 31, None, True, 12),
        ),
        (
            "first visit, UIDNEXT behind the last UID: the last UID is believed",
            Remembered(),
            Said(7, 3, 12, last_uid=30),
            NO_HISTORY,
            Case.FIRST,
            Remembered(7, 31, 31, None, True, 12),
        ),
        (
            "first visit of an empty folder",
            Remembered(),
            Said(7, 1, 0),
            NO_HISTORY,
            Case.FIRST,
            Remembered(7, 1, 1, None, True, 0),
        ),
        (
            "first visit of an empty folder, server without UIDNEXT",
            Remembered(),
            Said(7, None, 0),
            NO_HISTORY,
            Case.FIRST,
            Remembered(7, 1, 1, None, True, 0),
        ),
        (
            "first visit with history",
            Remembered(),
            Said(7, 31, 12),
            SINCE_JUNE,
            Case.FIRST,
            Remembered(7, 31, 31, JUNE, False, 12),
        ),
        ("nothing new", KNOWN, Said(7, 100, 60), NO_HISTORY, Case.KNOWN, KNOWN),
        ("UIDNEXT missing later", KNOWN, Said(7, None, 60, last_uid=99), NO_HISTORY, Case.KNOWN, KNOWN),
        ("UIDNEXT nought later", KNOWN, Said(7, 0, 60, last_uid=99), NO_HISTORY, Case.KNOWN, KNOWN),
        (
            "history switched on later",
            KNOWN,
            Said(7, 100, 60),
            SINCE_JUNE,
            Case.KNOWN,
            replace(KNOWN, history_since=JUNE, history_done=False),
        ),
        (
            "the date is moved back: the gap is imported",
            replace(KNOWN, history_since=JUNE),
            Said(7, 100, 60),
            Wishes(historic_since=MAY),
            Case.KNOWN,
            replace(KNOWN, history_since=MAY, history_done=False),
        ),
        (
            "the date is moved forward: what is here stays",
            replace(KNOWN, history_since=JUNE),
            Said(7, 100, 60),
            Wishes(historic_since=JULY),
            Case.KNOWN,
            replace(KNOWN, history_since=JUNE),
        ),
        (
            "an interrupted import goes on",
            replace(KNOWN, history_since=JUNE, history_done=False),
            Said(7, 100, 60),
            SINCE_JUNE,
            Case.KNOWN,
            replace(KNOWN, history_since=JUNE, history_done=False),
        ),
        (
            "history switched off in the middle: given up, and later begun anew",
            replace(KNOWN, history_since=JUNE, history_done=False),
            Said(7, 100, 60),
            NO_HISTORY,
            Case.KNOWN,
            KNOWN,
        ),
        (
            "history switched off when all is here: remembered",
            replace(KNOWN, history_since=JUNE),
            Said(7, 100, 60),
            NO_HISTORY,
            Case.KNOWN,
            replace(KNOWN, history_since=JUNE),
        ),
        (
            "new UIDVALIDITY: all in the window is matched again",
            KNOWN,
            Said(8, 70, 69, last_uid=69),
            NO_HISTORY,
            Case.RECREATED,
            Remembered(8, 70, 70, MAY, False, 69, rematching=True),
        ),
        (
            "new UIDVALIDITY with history from before the window",
            KNOWN,
            Said(8, 70, 69, last_uid=69),
            Wishes(historic_since=date(2026, 1, 1)),
            Case.RECREATED,
            Remembered(8, 70, 70, date(2026, 1, 1), False, 69, rematching=True),
        ),
        (
            "new UIDVALIDITY in the middle of matching",
            Remembered(8, 70, 70, MAY, False, 69, rematching=True),
            Said(9, 5, 4, last_uid=4),
            NO_HISTORY,
            Case.RECREATED,
            Remembered(9, 5, 5, MAY, False, 4, rematching=True),
        ),
        (
            "matching goes on although no history is wanted",
            Remembered(8, 70, 70, MAY, False, 69, rematching=True),
            Said(8, 70, 69),
            NO_HISTORY,
            Case.KNOWN,
            Remembered(8, 70, 70, MAY, False, 69, rematching=True),
        ),
        (
            "UIDNEXT went back: those UIDs will be given out again",
            KNOWN,
            Said(7, 90, 55, last_uid=89),
            NO_HISTORY,
            Case.REWOUND,
            replace(KNOWN, next_uid=90),
        ),
        (
            "UIDNEXT went back below the beginning",
            KNOWN,
            Said(7, 20, 5, last_uid=19),
            NO_HISTORY,
            Case.REWOUND,
            replace(KNOWN, next_uid=20, first_uid=20),
        ),
        (
            "UIDNEXT went back, but the last letter proves it wrong",
            KNOWN,
            Said(7, 90, 60, last_uid=99),
            NO_HISTORY,
            Case.KNOWN,
            KNOWN,
        ),
        (
            "the last letters were deleted, UIDNEXT missing: that is no going back",
            KNOWN,
            Said(7, None, 55, last_uid=80),
            NO_HISTORY,
            Case.KNOWN,
            KNOWN,
        ),
    ],
)
def test_opening_a_folder(what, before, said, wishes, case, after):
    opening = plan.open_folder(before, said, wishes, window=MAY)
    assert (opening.case, opening.folder) == (case, after), what


@pytest.mark.parametrize(
    ("before", "said", "asked"),
    [
        (Remembered(), Said(7, 31, 12), True),
        (Remembered(), Said(7, 1, 0), False),
        (KNOWN, Said(7, 100, 60), False),
        (KNOWN, Said(7, 120, 70), False),
        (KNOWN, Said(7, 90, 60), True),
        (KNOWN, Said(7, None, 60), True),
        (KNOWN, Said(7, 0, 60), True),
        (KNOWN, Said(8, 70, 69), True),
    ],
)
def test_the_last_uid_is_asked_for_where_uidnext_cannot_be_believed(before, said, asked):
    assert plan.wants_last_uid(before, said) is asked


@pytest.mark.parametrize(
    ("found", "new"),
    [([99], []), ([], []), ([100, 102, 101], [100, 101, 102]), ([99, 100, 100], [100])],
)
def test_a_range_with_a_star_also_names_the_last_old_letter(found, new):
    assert plan.new_uids(KNOWN, found) == new


def test_history_is_newest_first_and_without_what_is_known():
    assert plan.history_uids(KNOWN, [10, 12, 11, 49, 50, 120], {11}) == [49, 12, 10]


def uids(letters):
    return [letter.uid for letter in letters]


@pytest.mark.parametrize(
    ("unread_only", "rematching", "flags", "expected"),
    [
        (False, False, {"\\Seen"}, ([1], [], [])),
        (True, False, set(), ([1], [], [])),
        (True, False, {"\\Seen"}, ([], [], [(1, plan.READ_ELSEWHERE)])),
        (True, False, {"\\SEEN", "\\Flagged"}, ([], [], [(1, plan.READ_ELSEWHERE)])),
        (True, True, {"\\Seen"}, ([], [1], [])),
        (True, True, set(), ([1], [], [])),
    ],
)
def test_read_elsewhere_is_skipped_and_said(unread_only, rematching, flags, expected):
    letter = Letter(1, frozenset(flags))
    done = plan.sort_out([letter], Wishes(unread_only=unread_only), rematching=rematching)
    assert (uids(done.fetch), uids(done.recognise), done.skipped) == expected


@pytest.mark.rule("R-021")
@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (datetime(2026, 6, 1, 0, 0, tzinfo=UTC), True),
        (datetime(2026, 5, 31, 23, 59, tzinfo=UTC), False),
        # 1 June where the server stands, though still May in Greenwich.
        (datetime(2026, 6, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 5, 31, 23, 0, tzinfo=timezone(timedelta(hours=-5))), False),
        (datetime(2030, 1, 1, tzinfo=UTC), True),
        # No date at all: a letter is never lost for that.
        (datetime(1970, 1, 1, tzinfo=UTC), True),
    ],
)
def test_the_day_is_that_of_internaldate_in_its_own_zone(moment, inside):
    done = plan.sort_out([Letter(1, internaldate=moment)], NO_HISTORY, since=JUNE)
    assert bool(done.fetch) is inside
    assert done.skipped == []


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0, ""),
        (plan.MAX_LETTER_BYTES, ""),
        (plan.MAX_LETTER_BYTES + 1, "Too large: 51 MB, at most 50 MB is read."),
        (73 * 2**20, "Too large: 73 MB, at most 50 MB is read."),
        (2**63 - 1, "Too large: 8796093022208 MB, at most 50 MB is read."),
    ],
)
def test_what_is_too_large_to_come_whole_says_so_with_its_size(size, reason):
    assert plan.too_large(size) == reason


@pytest.mark.rule("R-022")
def test_a_large_letter_is_wanted_or_not_like_any_other():
    large = [Letter(1, size=73 * 2**20), Letter(2, frozenset({"\\Seen"}), size=73 * 2**20)]
    done = plan.sort_out(large, Wishes(unread_only=True))
    assert (uids(done.fetch), done.skipped) == ([1], [(2, plan.READ_ELSEWHERE)])
