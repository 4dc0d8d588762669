"""Any bytes a server may send, by hypothesis with a fixed small budget; `./dev soak` runs the long forms (S-119)."""

import asyncio
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postern.wire.imap import Selected, Session
from tests.fuzz.imap_target import ACTIONS, WORDS, one_input, one_protocol, one_session, talk
from tests.fuzz.longrun import SECONDS, long_run

PIECES = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=30).map(b"".join)
NUMBERS = st.binary(min_size=3, max_size=3)


@given(st.integers(1, 60), PIECES)
@settings(max_examples=250, deadline=None, derandomize=True)
@example(1, b"* 1 FETCH (UID 1 BODY[] {2}\r\nab)\r\n")
def test_any_bytes_are_events_or_a_mail_error(step: int, said: bytes) -> None:
    """S-119."""
    one_protocol(bytes([step]) + b"* OK hello\r\n" + said)


def test_the_harness_answers() -> None:
    """A harness that nothing reaches finds nothing."""
    said = [
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\nTAG OK\r\n",
        b"* SEARCH 5\r\nTAG OK\r\n",
        b"TAG NO no\r\n",
    ]
    actions = [lambda one: one.select("INBOX"), lambda one: one.uid_search("ALL"), Session.noop, Session.noop]
    selected, found, refused, gone = asyncio.run(talk(actions, said))
    assert isinstance(selected, Selected)
    assert (selected.exists, found, refused, gone) == (3, [5], "server_refused", "connection_lost")


@given(NUMBERS, st.tuples(PIECES, PIECES, PIECES))
@settings(max_examples=250, deadline=None, derandomize=True)
def test_any_answers_are_an_answer_or_a_mail_error(numbers: bytes, said: tuple[bytes, ...]) -> None:
    """S-119."""
    one_session(numbers + b"\xff".join(said))


@pytest.mark.parametrize("number", range(len(ACTIONS)))
def test_every_action_meets_noise(number: int) -> None:
    """S-119: a hundred noisy answers for each, always the same ones."""
    dice = random.Random(number)
    for _ in range(40):
        said = b"".join(dice.choice(WORDS) for _ in range(dice.randrange(20)))
        end = dice.choice([b"TAG OK done\r\n", b"TAG NO no\r\n", b"\r\nTAG OK\r\n", b""])
        one_session(bytes([number] * 3) + (b"* " + said + b"\r\n" + end + b"\xff") * 3)


@pytest.mark.soak
def test_a_long_run() -> None:
    """S-119."""

    @given(st.binary(min_size=1, max_size=1), NUMBERS, st.tuples(PIECES, PIECES, PIECES))
    @settings(max_examples=max(100, 100 * SECONDS), deadline=None)
    def instead(kind: bytes, numbers: bytes, said: tuple[bytes, ...]) -> None:
        one_input(kind + numbers + b"\xff".join(said))

    long_run("imap", instead)
