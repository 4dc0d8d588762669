"""Any bytes a letter may be, by hypothesis with a fixed small budget; `./dev soak` runs the long form (S-119)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mail.preparing import Arrival, prepare
from postern.mime.read import read
from tests.fuzz.longrun import SECONDS, long_run
from tests.fuzz.mime_target import NOON, SEEDS, WORDS, lexemes, one_letter, one_prepared

PIECES = st.lists(
    st.sampled_from(WORDS) | st.sampled_from([b"\n", b"\n\n"]) | st.binary(max_size=6), max_size=40
)
LETTERS = PIECES.map(b"".join) | PIECES.map(b"\n".join)


@given(LETTERS)
@settings(max_examples=250, deadline=None, derandomize=True)
def test_any_bytes_are_a_letter(data: bytes) -> None:
    """S-119."""
    one_letter(data)


def test_the_harness_reaches_the_rows_and_refuses_what_they_would() -> None:
    """A harness that nothing reaches finds nothing."""
    for seed in SEEDS:
        one_letter(seed)
    raw = b"Subject: caf\xc3\xa9 au lait\n\nbody"
    letter, one = read(raw), prepare(Arrival(1, frozenset(), NOON, raw))
    assert lexemes(one.vector) == [b"au", b"body", b"cafe", b"lait"]
    one_prepared(letter, one)
    for wrong in (
        replace(one, broken="ValueError: x"),
        replace(one, subject="a\nb"),
        replace(one, from_name="a\0b"),
        replace(one, preview="x" * 201),
        replace(one, vector=b"\0\0\0\2b\0\0\0a\0\0\0"),
    ):
        with pytest.raises(AssertionError):
            one_prepared(letter, wrong)


@pytest.mark.soak
def test_a_long_run() -> None:
    """S-119."""

    @given(LETTERS)
    @settings(max_examples=max(100, 50 * SECONDS), deadline=None)
    def instead(data: bytes) -> None:
        one_letter(data)

    long_run("mime", instead)
