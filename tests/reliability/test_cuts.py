"""The session is ended after byte k, in either direction, by RST, FIN or silence: the next run ends as an uncut one (R-026).

`./dev test` takes some k of a fixed seed, `./dev soak` every k for RST, and every seventh for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from postern.wire.errors import MailError
from tests.faults import Between, Faults
from tests.reliability.scale import some
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
FEW = {("reset", "down"): 9, ("reset", "up"): 5, ("fin", "down"): 3}
"""How many of each are enough for `./dev test`; a kind that is not named has two."""


@dataclass
class Attempt:
    """A mailbox with work of every kind before it: new letters, one to mark read, one to file, one to move away."""

    world: World

    @classmethod
    def prepared(cls, server: Any, user: str, acting_as: Any, proxy: Between) -> Attempt:
        proxy.faults = Faults()
        world = World.open(server, "dovecot", user, acting_as, proxy.port)
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
        found = self.facts()
        self.world.sync()
        assert self.facts() == found, "a further visit changed something"
        return found

    def facts(self) -> list[str]:
        """Postern's state, and the server's."""
        lines = self.world.digest()
        for folder in ("INBOX", "Sent", "Trash"):
            there = sorted((subject, sorted(flags)) for subject, flags in self.world.there(folder).values())
            lines += [f"server {folder}: {subject} {flags}" for subject, flags in there]
        return lines


def points(last: int, kind: tuple[str, str]) -> list[int]:
    """The bytes after which to cut."""
    return some(list(range(1, last, 1 if kind[0] == "reset" else 7)), FEW.get(kind, 2), seed=26)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_cut_after_any_byte_the_end_is_the_same(
    kind: tuple[str, str],
    servers: Callable[[str], Any],
    anyone: Callable[[], str],
    as_sync: Any,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[..., None],
) -> None:
    server = servers("dovecot")
    _impatient(monkeypatch)
    with Between(server.port) as proxy:
        whole = Attempt.prepared(server, anyone(), as_sync, proxy)
        assert whole.visit(proxy, Faults()) == ""
        seen = proxy.connections[-1]
        expected = whole.end()
        last = len(seen.down if kind[1] == "down" else seen.up)
        codes: dict[str, int] = {}
        chosen = points(last, kind)
        for k in chosen:
            attempt = Attempt.prepared(server, anyone(), as_sync, proxy)
            code = attempt.visit(proxy, KINDS[kind](k))
            codes[code] = codes.get(code, 0) + 1
            assert attempt.end() == expected, f"{kind} after byte {k} of {last}: {code}"
    assert codes.keys() - {""}, "no cut was ever noticed"
    record_property("figure", f"R-026 {' '.join(kind)}: {len(chosen)} of {last} bytes, {codes}")


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after a second instead of half a minute."""
    from postern.wire.imap import open_session

    async def quick(*arguments: Any, **options: Any) -> Any:
        return await open_session(*arguments, **{**options, "timeout": 1.0})

    monkeypatch.setattr("tests.sync.box.open_session", quick)
