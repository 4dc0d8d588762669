"""What changed, as tables: which question is asked, which answer adds up, and that a bad listing never deletes."""

from dataclasses import replace

import pytest

from postern.mail.flags import flag_letters
from postern.sync import changes
from postern.sync.changes import Question
from postern.sync.plan import Remembered, Said
from postern.wire.imap import Changed, UidSet

PLAIN = Remembered(uidvalidity=7, next_uid=100, first_uid=50, exists=60)
KNOWN = replace(PLAIN, modseq=900)
SEEN = (Changed(70, frozenset({"\\Seen"}), 901),)
NONE = UidSet()


@pytest.mark.parametrize(
    ("what", "folder", "said", "question"),
    [
        ("all as it was", KNOWN, Said(7, 100, 60, modseq=900), Question.NOTHING),
        ("all as it was, UIDNEXT not told", KNOWN, Said(7, None, 60, modseq=900), Question.NOTHING),
        ("all as it was, QRESYNC", KNOWN, Said(7, 100, 60, modseq=900, resynced=True), Question.NOTHING),
        ("QRESYNC told flags", KNOWN, Said(7, 100, 60, 0, 901, True, SEEN, NONE), Question.TOLD),
        ("QRESYNC told who left", KNOWN, Said(7, 100, 59, 0, 901, True, (), UidSet.of([70])), Question.TOLD),
        ("QRESYNC told nothing, but the count differs", KNOWN, Said(7, 100, 59, 0, 900, True), Question.TOLD),
        ("QRESYNC told of a MODSEQ without any change", KNOWN, Said(7, 100, 60, 0, 950, True), Question.TOLD),
        ("CONDSTORE: something changed", KNOWN, Said(7, 100, 60, modseq=901), Question.SINCE),
        ("CONDSTORE: a letter came", KNOWN, Said(7, 101, 61, modseq=905), Question.SINCE),
        (
            "CONDSTORE: one left, MODSEQ stayed (RFC 7162 allows it)",
            KNOWN,
            Said(7, 100, 59, modseq=900),
            Question.COUNT,
        ),
        (
            "one came, another left, a server that never counts MODSEQ on",
            KNOWN,
            Said(7, 101, 60, modseq=900),
            Question.COUNT,
        ),
        ("MODSEQ told for the first time", PLAIN, Said(7, 100, 60, modseq=900), Question.COUNT),
        ("no MODSEQ at all", PLAIN, Said(7, 100, 60), Question.COUNT),
        ("MODSEQ went back", KNOWN, Said(7, 100, 60, modseq=20), Question.ALL),
        ("MODSEQ went back, and QRESYNC was answered", KNOWN, Said(7, 100, 60, 0, 20, True), Question.ALL),
        ("NOMODSEQ: kept no longer", KNOWN, Said(7, 100, 60), Question.ALL),
    ],
)
def test_the_cheapest_question(what, folder, said, question):
    """R-018."""
    assert changes.question(folder, said) is question, what


@pytest.mark.parametrize(
    ("what", "before", "exists", "facts", "true"),
    [
        ("nothing", 60, 60, {"new": 0, "gone": 0}, True),
        ("ten came, ten left", 60, 60, {"new": 10, "gone": 10}, True),
        ("one came, none is told", 60, 61, {"new": 0, "gone": 0}, False),
        ("one left, none is told", 60, 59, {"new": 0, "gone": 0}, False),
        ("one is said to have left and is still counted", 60, 60, {"new": 0, "gone": 1}, False),
        ("letters from before the beginning left", 60, 57, {"new": 0, "gone": 1, "unknown": 2}, True),
        ("some of them had left long ago", 60, 58, {"new": 0, "gone": 1, "unknown": 2}, True),
        (
            "all is told to have vanished, a few remain",
            60,
            3,
            {"new": 0, "gone": 0, "unknown": 4_294_967_295},
            True,
        ),
        ("more are there than can be", 60, 61, {"new": 0, "gone": 1, "unknown": 2}, False),
        ("it is not known how many there were", None, 60, {"new": 0, "gone": 0}, False),
        ("nor is it when some came", None, 1, {"new": 1, "gone": 0}, False),
        ("nor when all may have left", None, 0, {"new": 0, "gone": 0, "unknown": 4_294_967_295}, False),
        ("fewer are there than can be", 60, 50, {"new": 0, "gone": 1, "unknown": 2}, False),
    ],
)
def test_what_is_told_must_add_up(what, before, exists, facts, true):
    assert changes.adds_up(before, exists, **facts) is true, what


@pytest.mark.parametrize(
    ("first_uid", "vanished", "gone", "unknown"),
    [
        (1, "1:40", [], 0),
        (50, "60:70", [60], 0),
        (50, "10:19,60", [60], 10),
        (50, "10:19", [10, 11], 8),
        (50, "1:4294967295", [], 49),
    ],
)
def test_letters_from_before_the_beginning(first_uid, vanished, gone, unknown):
    folder = replace(KNOWN, first_uid=first_uid)
    assert changes.before_the_beginning(folder, UidSet.parse(vanished), gone) == unknown


@pytest.mark.parametrize(
    ("next_uid", "listed", "gaps"),
    [(1, "", ""), (10, "", "1:9"), (10, "1:9", ""), (10, "1:3,5:20", "4"), (10, "2,8:9,12", "1,3:7")],
)
def test_the_gaps_of_a_listing(next_uid, listed, gaps):
    assert str(changes.gaps(replace(KNOWN, next_uid=next_uid), UidSet.parse(listed))) == gaps


def test_flags_as_the_ledger_keeps_them():
    assert flag_letters(["\\Seen", "\\FLAGGED", "$Work", "\\Recent", "\\answered"]) == "AFS"
    assert flag_letters([]) == ""


@pytest.mark.parametrize(
    ("what", "listed", "exists", "suspected", "gone", "missing", "believed"),
    [
        ("all as it was", [60, 61, 62], 3, False, set(), set(), True),
        ("one was deleted", [60, 62], 2, False, {61}, set(), True),
        ("the count does not fit: nothing is believed", [60, 62], 3, False, set(), set(), False),
        ("empty, but the count says otherwise", [], 3, False, set(), set(), False),
        ("empty, for the first time", [], 0, False, set(), set(), False),
        ("empty, for the second time", [], 0, True, {60, 61, 62}, set(), True),
        ("nothing left of what was here, for the first time", [70, 71], 2, False, set(), {70, 71}, False),
        ("one was overlooked", [60, 61, 62, 70], 4, False, set(), {70}, True),
        (
            "older and newer letters are no business of this",
            [4, 60, 61, 62, 100],
            5,
            False,
            set(),
            set(),
            True,
        ),
    ],
)
def test_a_bad_listing_never_deletes(what, listed, exists, suspected, gone, missing, believed):
    verdict = changes.compare(
        KNOWN, UidSet.of(listed), exists, here={60, 61, 62}, gone=set(), suspected=suspected
    )
    assert (set(verdict.gone), set(verdict.missing), verdict.believed) == (gone, missing, believed), what


def test_a_letter_that_is_listed_again_is_back():
    verdict = changes.compare(KNOWN, UidSet.of([60, 61]), 2, here={60}, gone={61})
    assert verdict.back == {61}


def test_a_listing_of_four_billion_letters_is_refused_not_walked_through():
    folder = replace(KNOWN, next_uid=2**32 - 1)
    listed = UidSet([(1, 2**32 - 1)])
    with pytest.raises(ValueError):
        changes.compare(folder, listed, len(listed), here=set(), gone=set())
