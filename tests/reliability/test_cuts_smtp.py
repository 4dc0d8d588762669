"""A letter on its way out, the connection ended after byte k: it arrives once, or nobody says that it did (R-026, R-040, I3).

`./dev test` takes some k of a fixed seed, `./dev soak` every k.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults import Between, Faults
from tests.outbox.server import Server
from tests.outbox.worked import Outbox
from tests.reliability.scale import SOAK, some

pytestmark = [pytest.mark.rule("R-026"), pytest.mark.rule("R-040"), pytest.mark.rule("R-041")]

FIRST, SECOND = "a@a.example", "b@b.example"
KINDS = {
    ("reset", "down"): lambda k: Faults(cut_down=k),
    ("reset", "up"): lambda k: Faults(cut_up=k),
    ("fin", "down"): lambda k: Faults(cut_down=k, polite=True),
    ("fin", "up"): lambda k: Faults(cut_up=k, polite=True),
    ("silence", "down"): lambda k: Faults(drop_down_after=k),
    ("silence", "up"): lambda k: Faults(drop_up_after=k),
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def line(server: Server) -> Iterator[Between]:
    with Between(server.port) as between:
        yield between


@pytest.fixture
def outbox(db: None, line: Between, acting_as: Any, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """Marta, whose letters go to the server over that line."""
    from django.conf import settings

    from postern.mail.access import viewing_as
    from postern.mailboxes.save import save_mailbox
    from tests.roles import hire

    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1")
    marta = hire(email="marta@northlink.example", name="Marta", password=None)
    data = {
        "address": "marta@northlink.example",
        "imap_username": "marta",
        "imap_password": "correct horse",
        "smtp_host": "127.0.0.1",
        "smtp_port": line.port,
        "smtp_security": "none",
    }
    with viewing_as(marta):
        return Outbox(marta, save_mailbox(staff=marta, mailbox=None, data=data), acting_as)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_it_arrives_once_or_nobody_says_so(
    kind: tuple[str, str],
    outbox: Outbox,
    server: Server,
    line: Between,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[..., None],
) -> None:
    _impatient(monkeypatch)
    assert outbox.work(outbox.queue()).state == "accepted"
    chosen, last = _cuts(kind, line, seed=40)
    ends: Counter[str] = Counter()
    for k in chosen:
        ends[_one(outbox, server, line, KINDS[kind](k), f"{kind} after byte {k} of {last}")] += 1
    record_property("figure", f"R-026 SMTP {' '.join(kind)}: {len(chosen)} of {last} bytes, {dict(ends)}")


@pytest.mark.rule("R-046")
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_cut_at_the_second_attempt_who_has_it_never_gets_it_twice(
    kind: tuple[str, str],
    outbox: Outbox,
    server: Server,
    line: Between,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[..., None],
) -> None:
    _impatient(monkeypatch)
    row = outbox.work_later(_part_sent(outbox, server))
    assert (row.state, row.accepted) == ("accepted", [FIRST, SECOND])
    chosen, last = _cuts(kind, line, seed=41)
    ends: Counter[str] = Counter()
    for k in chosen:
        row = _part_sent(outbox, server)
        line.faults = KINDS[kind](k)
        first = outbox.work_later(row).state
        line.faults = Faults()
        for _ in range(2):
            row = outbox.work_later(row)
        what = f"{kind} after byte {k} of {last}: {first}, then {row.state} {row.problem}"
        got = [one.recipients for one in server.taken]
        assert got[0] == [FIRST] and got[1:] in ([], [[SECOND]]), f"{what}: {got}"
        assert len({one.data for one in server.taken}) == 1, f"{what}: different bytes were sent"
        assert row.state == ("unknown" if first == "unknown" else "accepted"), what
        assert row.accepted == ([FIRST] if first == "unknown" else [FIRST, SECOND]), what
        ends[first if first == row.state else f"{first}, then {row.state}"] += 1
    record_property("figure", f"R-046 SMTP {' '.join(kind)}: {len(chosen)} of {last} bytes, {dict(ends)}")


def _part_sent(outbox: Outbox, server: Server) -> Any:
    """A letter that the first has, and for which the second is to be tried again."""
    server.taken.clear()
    server.says = {f"RCPT {SECOND}": "451 later"}
    row = outbox.work(outbox.queue(to=f"{FIRST}, {SECOND}"))
    server.says = {}
    assert (row.state, row.accepted) == ("queued", [FIRST])
    return row


def _cuts(kind: tuple[str, str], line: Between, *, seed: int) -> tuple[list[int], int]:
    """After which bytes of the conversation just had it is cut, those around the final dot among them; its length.

    Two after the last that matters: the letter is accepted, and only QUIT is lost.
    """
    up, down = bytes(line.connections[-1].up), bytes(line.connections[-1].down)
    if kind[1] == "up":
        last, around = len(up), up.index(b"\r\n.\r\n") + 5
    else:
        last, around = len(down), down.index(b"250 taken") + 1
    return sorted({*some(list(range(1, last)), 2, seed=seed), around - 1, around, around + 1}), last


def _one(outbox: Outbox, server: Server, line: Between, faults: Faults, what: str) -> str:
    """Send one letter over a faulty line, then over a good one as often as it likes; what became of it."""
    server.taken.clear()
    line.faults = faults
    row = outbox.work(outbox.queue())
    first = row.state
    line.faults = Faults()
    for _ in range(3 if SOAK else 2):
        row = outbox.work_later(row)
    letters = {one.data for one in server.taken}
    assert len(letters) <= 1, f"{what}: different bytes were sent"
    assert row.state in ("accepted", "unknown"), f"{what}: {row.state} {row.problem}"
    if first == "unknown":
        assert row.state == "unknown" and len(server.taken) <= 1, f"{what}: sent again unasked"
    else:
        assert (row.state, len(server.taken)) == ("accepted", 1), f"{what}: {first}, then {row.state}"
    return f"{first}, then {row.state}" if first != row.state else first


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after half a second instead of a minute."""
    from postern.wire import smtp

    send = smtp.send

    async def quick(*arguments: Any, **options: Any) -> Any:
        return await send(*arguments, **{**options, "timeout": 0.5})

    monkeypatch.setattr("postern.outbox.deliver.smtp.send", quick)
    monkeypatch.setattr("postern.wire.smtp.line.FINAL_REPLY_SECONDS", 0.5)
