"""Folding quotes: both halves are always the whole text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.mime.quoting import split_quote

ATTRIBUTION = "On Mon, 23 Nov 2026 at 10:00, Bob <b@x.org> wrote:\n"
CASES = [
    ("Yes.\n\n" + ATTRIBUTION + "> Is it?\n> Bob\n", "Yes.\n\n"),
    ("Yes.\n\nOn Mon, 23 Nov 2026 at 10:00, A Very Long Name\n<b@x.org> wrote:\n\n> Is it?\n", "Yes.\n\n"),
    ("Ja.\n\nAm 23.11.2026 um 10:00 schrieb Bob:\n> Wirklich?\n", "Ja.\n\n"),
    ("Oui.\nLe 23/11/2026 à 10:00, Bob a écrit :\n> Vraiment ?\n", "Oui.\n"),
    ("Ok\n-----Original Message-----\nFrom: Bob\nhello\n", "Ok\n"),
    ("Ok\n________________________________\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nhello", "Ok\n"),
    ("Ok\nVon: Bob\nGesendet: Montag\nAn: Ann\nBetreff: x\n\nhallo", "Ok\n"),
    ("Fwd\n---------- Forwarded message ---------\nFrom: x\n", "Fwd\n"),
    ("Ok\n" + ATTRIBUTION + "\nunmarked text of a converted letter\n", "Ok\n"),
    ("fresh\n> quoted at the end\n", "fresh\n"),
    # answers between and below quotes stay fresh
    ("> question\nanswer\n> another\nanswer too\n", "> question\nanswer\n> another\nanswer too\n"),
    (ATTRIBUTION + "> question\n\nAnswer below\n", ATTRIBUTION + "> question\n\nAnswer below\n"),
    # nothing quoted
    ("On the road again\nno one wrote: it\n", "On the road again\nno one wrote: it\n"),
    ("From: here to there\nwe go\n", "From: here to there\nwe go\n"),
    ("", ""),
    ("> only\n> quote\n", ""),
]


@pytest.mark.parametrize(("text", "fresh"), CASES)
def test_split(text: str, fresh: str) -> None:
    assert split_quote(text) == (fresh, text[len(fresh) :])


@given(st.text("> OnFrom:wrote\n_- 1", max_size=200))
def test_nothing_is_ever_lost(text: str) -> None:
    fresh, quoted = split_quote(text)
    assert fresh + quoted == text
