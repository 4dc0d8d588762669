"""One whole conversation, ended after every byte in either direction, in pieces of every kind, and mutated (R-026).

The next run can only reach the same state when this one never tells a wrong letter, never hangs, and ends in
one clear error that says whether waiting helps.
"""

import asyncio
import os
import random
import re
import socket
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.imap import Login, open_session, spool

SOAK = bool(os.environ.get("POSTERN_SOAK"))
LETTERS = {uid: (b"Subject: %d\r\n\r\n* 1 EXISTS\r\n%d OK)\r\n" % (uid, uid)) * uid for uid in (1, 2, 3)}
HOT = b'* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE "01-Jan-2024 00:00:00 +0000" BODY[] {%d}\r\n%s)\r\n'
GREETING = b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n"
SCRIPT: list[tuple[bytes, bytes]] = [
    (b"LOGIN", b"TAG OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
    (
        b"SELECT",
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n* OK [UIDNEXT 9] .\r\nTAG OK [READ-WRITE] open\r\n",
    ),
    (b"UID SEARCH", b"* SEARCH 1 2 3\r\nTAG OK .\r\n"),
    (b"UID FETCH", b"".join(HOT % (u, u, len(t), t) for u, t in LETTERS.items()) + b"TAG OK .\r\n"),
    (b"APPEND", b"+ go on\r\n"),
    (b"Subject", b"TAG OK [APPENDUID 7 9] .\r\n"),
    (b"IDLE", b"+ idling\r\n* 4 EXISTS\r\n"),
    (b"DONE", b"TAG OK .\r\n"),
    (b"LOGOUT", b"* BYE\r\nTAG OK\r\n"),
]


@dataclass
class Plan:
    """How one connection ends: after ``down`` bytes said or ``up`` bytes heard, by ``way``; ``step`` at a time."""

    down: int | None = None
    up: int | None = None
    way: str = "fin"
    step: int = 0
    mutate: tuple[tuple[int, int], ...] = ()
    said: int = 0
    heard: int = 0


@dataclass
class Server:
    """Plays the conversation, one connection after the other, each by its own plan."""

    plan: Plan = field(default_factory=Plan)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        plan, tag = self.plan, b""
        steps = iter(SCRIPT)
        try:
            await self._say(writer, plan, GREETING)
            while line := await reader.readline():
                plan.heard += len(line)
                if plan.up is not None and plan.heard >= plan.up:
                    raise EOFError
                found = re.match(rb"([0-9A-F]{12}[0-9]+) (.*)", line)
                tag = found[1] if found else tag
                words = found[2] if found else line
                if words.strip() in (b"", b"hello"):
                    continue
                awaited, answer = next(steps)
                assert words.startswith(awaited), (words, awaited)
                await self._say(writer, plan, answer.replace(b"TAG", tag))
        except (EOFError, StopIteration):
            if plan.way == "silence":
                await reader.read()
            elif plan.way == "rst":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01" + bytes(7))
        except ConnectionError:
            pass
        finally:
            writer.transport.abort() if plan.way == "rst" else writer.close()

    async def _say(self, writer: asyncio.StreamWriter, plan: Plan, text: bytes) -> None:
        changed = bytearray(text)
        for at, byte in plan.mutate:
            if plan.said <= at < plan.said + len(text):
                changed[at - plan.said] = byte
        end = len(text) if plan.down is None else max(0, plan.down - plan.said)
        text = bytes(changed)[:end]
        for at in range(0, len(text), plan.step or len(text) or 1):
            writer.write(text[at : at + (plan.step or len(text))])
            await writer.drain()
            if plan.step:
                await asyncio.sleep(0)
        plan.said += len(text)
        if plan.down is not None and plan.said >= plan.down:
            raise EOFError


@dataclass
class Outcome:
    """What the client has of it."""

    letters: dict[int, bytes] = field(default_factory=dict)
    appended: tuple[int, int] | None = None
    error: MailError | None = None
    finished: bool = False


async def client(port: int, timeout: float) -> Outcome:
    """The whole conversation from our side."""
    outcome = Outcome()
    endpoint, policy = Endpoint("127.0.0.1", port, Security.NONE), Policy.from_setting(f"127.0.0.1:{port}")
    session = None
    try:
        session = await open_session(endpoint, policy, Login("anna", "secret"), timeout=timeout)
        await session.select("INBOX")
        found = await session.uid_search("ALL")
        async for letter in session.uid_fetch_bodies(found):
            outcome.letters[letter.uid] = letter.raw[:]
        outcome.appended = await session.append("Sent", b"Subject: x\r\n\r\nhello\r\n")
        outcome.finished = await session.idle(seconds=timeout)
        await session.logout()
    except MailError as error:
        outcome.error = error
    finally:
        if session is not None:
            session.abort()
    return outcome


def play(plans: list[Plan], *, timeout: float = 5) -> list[Outcome]:
    """One run for each plan, against one server."""

    async def run() -> list[Outcome]:
        player = Server()
        server = await asyncio.start_server(player.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        outcomes = []
        for plan in plans:
            player.plan = plan
            outcomes.append(await asyncio.wait_for(client(port, timeout), 30))
        server.close()
        return outcomes

    return asyncio.run(run())


@pytest.fixture(scope="module")
def whole() -> Plan:
    """The uncut conversation, and how long it is."""
    plan = Plan()
    [outcome] = play([plan])
    assert (outcome.letters, outcome.appended, outcome.finished) == (LETTERS, (7, 9), True)
    assert outcome.error is None
    return plan


def right(outcome: Outcome, plan: Plan) -> None:
    """Nothing wrong was told, and an unfinished run says so."""
    assert all(LETTERS[uid] == raw for uid, raw in outcome.letters.items()), plan
    assert outcome.finished or outcome.error is not None, plan
    assert outcome.appended in (None, (7, 9)), plan
    if outcome.error is not None:
        assert outcome.error.code in ("connection_lost", "timeout"), (outcome.error, plan)
        assert outcome.error.temporary


def every(length: int, stride: int) -> range:
    return range(1, length + 1, 1 if SOAK else stride)


@pytest.mark.parametrize("way", ["fin", "rst"])
@pytest.mark.parametrize("small", [False, True], ids=["in memory", "in files"])
def test_ended_after_every_byte_from_the_server(
    whole: Plan, way: str, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        monkeypatch.setattr(spool, "IN_PLACE_FROM", 40)
        monkeypatch.setattr(spool, "SPOOL_FROM", 80)
    plans = [Plan(down=k, way=way) for k in every(whole.said, 2 if way == "fin" and not small else 5)]
    for outcome, plan in zip(play(plans), plans, strict=True):
        right(outcome, plan)
    assert play([Plan()])[0].letters == LETTERS


@pytest.mark.parametrize("way", ["fin", "rst"])
def test_ended_after_every_byte_to_the_server(whole: Plan, way: str) -> None:
    plans = [Plan(up=k, way=way) for k in every(whole.heard, 3)]
    for outcome, plan in zip(play(plans), plans, strict=True):
        right(outcome, plan)


def test_silence_after_a_byte_is_a_timeout(whole: Plan) -> None:
    """R-027: the slot is freed, whatever the server was about to say."""
    plans = [Plan(down=k, way="silence") for k in every(whole.said, 45)]
    for outcome, plan in zip(play(plans, timeout=0.15), plans, strict=True):
        right(outcome, plan)
        assert outcome.finished or (outcome.error is not None and outcome.error.code == "timeout"), plan


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50])
def test_in_pieces_of_every_size(whole: Plan, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for thresholds in (spool.IN_PLACE_FROM, spool.SPOOL_FROM), (40, 80):
        monkeypatch.setattr(spool, "IN_PLACE_FROM", thresholds[0])
        monkeypatch.setattr(spool, "SPOOL_FROM", thresholds[1])
        [outcome] = play([Plan(step=step)])
        assert (outcome.letters, outcome.finished, outcome.error) == (LETTERS, True, None)


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=6), st.integers(0, 30))
@settings(max_examples=1500 if SOAK else 150, deadline=None)
def test_a_mutated_conversation_is_an_answer_or_a_mail_error(
    changes: list[tuple[int, int]], step: int
) -> None:
    """Bytes changed anywhere: no other exception, no hang, and only letters that were asked for."""
    [outcome] = play([Plan(mutate=tuple(changes), step=step)], timeout=0.1)
    assert outcome.letters.keys() <= LETTERS.keys() | set(range(1, 1000))
    assert outcome.finished or outcome.error is not None or outcome.appended is not None


def test_random_cuts_within_the_greeting_say_what_is_wrong() -> None:
    [outcome] = play([Plan(down=random.Random(3).randrange(1, len(GREETING)))])
    assert outcome.error is not None
    assert outcome.error.code == "connection_lost"
