"""The session is ended after byte k, in either direction, by RST, FIN or silence: the next run ends as an uncut one (R-026).

On a server with MOVE, and on one that copies, marks and expunges instead. `./dev test` takes some k of a fixed seed, `./dev soak` every k for RST, and every seventh for the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from postern.wire.errors import MailError
from tests.faults import Between, Faults, Seen
from tests.reliability.scale import SOAK, some
from tests.reliability.scenarios import days_ago
from tests.reliability.world import World, letter

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-026"), pytest.mark.rule("R-003")]

KINDS = {
    ("reset", "down"): lambda k: Faults(cut_down=k),
    ("reset", "up"): lambda k: Faults(cut_up=k),
    ("fin", "down"): lambda k: Faults(cut_down=k, polite=True),
    ("fin", "up"): lambda k: Faults(cut_up=k, polite=True),
    ("silence", "down"): lambda k: Faults(drop_down_after=k),
    ("silence", "up"): lambda k: Faults(drop_up_after=k),
}
FEW = {("reset", "down"): 7, ("reset", "up"): 4}
"""How many of each are enough for `./dev test`; a kind that is not named has two."""
MOVING = {b"UID COPY": b"Trash", b"UID STORE": b"Deleted", b"UID EXPUNGE": b""}
"""The commands of a move without MOVE, and what stands in them."""
CASES = [("dovecot", kind) for kind in KINDS] + [
    ("copying", kind) for kind in (KINDS if SOAK else [("reset", "down"), ("fin", "up")])
]


@dataclass
class Attempt:
    """A mailbox with work of every kind before it: new letters, one to mark read, one to file, one to move away."""

    world: World

    @classmethod
    def prepared(cls, server: Any, server_kind: str, user: str, acting_as: Any, proxy: Between) -> Attempt:
        proxy.faults = Faults()
        world = World.open(server, server_kind, user, acting_as, proxy.port)
        world.settings(mark_as_read=True, historic=True, historic_since=days_ago(2))
        world.put("goes", flags=("\\Seen",))
        world.sync()
        world.put("one")
        world.put("two", body="Two.\r\n" * 30)
        world.put("phone", "Sent", flags=("\\Seen",))
        world.sent(letter("mine", From="marta@example.test", To="greta@brandt.example"), errand=True)
        world.to_trash("goes")
        return cls(world)

    def visit(self, proxy: Between, faults: Faults) -> str:
        """Visit with faults on the line; the error's code, or ''."""
        proxy.faults = faults
        try:
            self.world.sync()
            return ""
        except MailError as error:
            return error.code
        finally:
            proxy.faults = Faults()

    def end(self) -> list[str]:
        """What is here and there after an uncut visit; another one changes nothing."""
        for errand in self.world.box.errands():
            with self.world.acting_as("superuser"):  # its next attempt is due in seconds
                type(errand).objects.filter(pk=errand.pk).update(not_before=errand.message.received_at)
        self.world.sync()
        assert self.world.accounted() == []
        found = self.world.digest()
        self.world.sync()
        assert self.world.digest() == found, "a further visit changed something"
        return found


def points(seen: Seen, server_kind: str, kind: tuple[str, str]) -> list[int]:
    """The bytes after which to cut: some, or around the three commands that a move is made of."""
    last = len(seen.down if kind[1] == "down" else seen.up)
    if server_kind == "copying" and not SOAK:
        return [around(seen, name, kind[1]) for name in MOVING]
    return some(list(range(1, last, 1 if kind[0] == "reset" else 7)), FEW.get(kind, 2), seed=26)


def around(seen: Seen, name: bytes, way: str) -> int:
    """The last byte of that command to Trash, or the first of its answer's end: it is done, and we are not told."""
    asked = re.search(rb"([^\r\n]*) %s [^\r\n]*%s[^\r\n]*\r\n" % (name, MOVING[name]), bytes(seen.up))
    assert asked, "it was not moved by copying"
    return asked.end() if way == "up" else bytes(seen.down).index(b"\r\n%s OK" % asked[1]) + 3


@pytest.mark.parametrize(("server_kind", "kind"), CASES, ids=["-".join((one, *two)) for one, two in CASES])
def test_cut_after_any_byte_the_end_is_the_same(
    server_kind: str,
    kind: tuple[str, str],
    servers: Callable[[str], Any],
    anyone: Callable[[str], str],
    as_sync: Any,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[..., None],
) -> None:
    server = servers(server_kind)
    _impatient(monkeypatch)
    with Between(server.port) as proxy:
        whole = Attempt.prepared(server, server_kind, anyone(server_kind), as_sync, proxy)
        assert whole.visit(proxy, Faults()) == ""
        seen = proxy.connections[-1]
        expected = whole.end()
        codes: dict[str, int] = {}
        chosen = points(seen, server_kind, kind)
        for k in chosen:
            attempt = Attempt.prepared(server, server_kind, anyone(server_kind), as_sync, proxy)
            code = attempt.visit(proxy, KINDS[kind](k))
            codes[code] = codes.get(code, 0) + 1
            assert attempt.end() == expected, f"{kind} after byte {k}: {code}"
    assert codes.keys() - {""}, "no cut was ever noticed"
    record_property("figure", f"R-026 {server_kind} {' '.join(kind)}: {len(chosen)} cuts, {codes}")


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after a second instead of half a minute."""
    from postern.wire.imap import open_session

    async def quick(*arguments: Any, **options: Any) -> Any:
        return await open_session(*arguments, **{**options, "timeout": 1.0})

    monkeypatch.setattr("tests.sync.box.open_session", quick)
