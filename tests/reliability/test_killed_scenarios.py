"""Every scenario with each of its visits killed at a durable step and resumed: the end is that of the uncut run (R-001).

`./dev test` plays some rows on Dovecot and a few on each other server at one step each, `./dev soak` all rows on all:
on Dovecot at thirty steps, on the others, which learn of changes in other ways, at six. A visit that has fewer steps is
not killed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import arriving, history, leaving, letters, sending  # noqa: F401  (add their rows)
from tests.reliability.scale import SOAK, amount, some
from tests.reliability.scenarios import ALL
from tests.reliability.test_kills import Nursery, _set_leases_free
from tests.reliability.world import NotHere, World

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-001"), pytest.mark.rule("I6")]
STEPS = list(range(1, 31))
# Most visits come to their end before the twentieth.
EARLY = STEPS[:20]
SHORT = {"dovecot": 6, "pymap": 2, "cyrus": 1, "courier": 1}
CASES = [
    (kind, number)
    for seed, (kind, rows) in enumerate(SHORT.items(), 1)
    for number in some(list(range(len(ALL))), rows, seed=seed)
]


@dataclasses.dataclass
class Mortal(World):
    """A world in which each visit dies at a step first; `deaths` says how many did."""

    nursery: Nursery = dataclasses.field(kw_only=True)
    step: int = dataclasses.field(kw_only=True)
    deaths: int = 0

    def _die(self) -> None:
        self.nursery.ask(f"step {self.box.mailbox.pk} {self.step}")
        ended = self.nursery.ask("reap")
        assert ended in (0, -9), self.nursery.log.read_text()[-2000:]
        self.deaths += ended == -9
        _set_leases_free(self.acting_as)

    def sync(self, times: int = 1) -> None:
        """Die, then visit."""
        self._die()
        super().sync(times)

    def sync_afresh(self) -> None:
        """Die, then visit."""
        self._die()
        super().sync_afresh()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory, database: None) -> Any:
    with Nursery(Path(tmp_path_factory.mktemp("nursery")) / "log") as started:
        yield started


def steps(kind: str, number: int) -> list[int]:
    """At which steps a row is killed on a server of this kind."""
    if not SOAK:
        return [random.Random(number).randrange(8, 16)]
    return some(STEPS, 1, seed=number) if kind == "dovecot" else random.sample(EARLY, amount(1, 6))


@pytest.mark.parametrize(
    ("kind", "number"),
    CASES,
    ids=[f"{kind}-{ALL[number].name.replace(' ', '-')}" for kind, number in CASES],
)
def test_killed_at_a_step_of_each_visit_the_end_is_the_same(
    kind: str,
    number: int,
    servers: Callable[[str], Any],
    anyone: Callable[[str], str],
    as_sync: Any,
    nursery: Nursery,
    record_property: Callable[..., None],
) -> None:
    row, server, deaths = ALL[number], servers(kind), 0
    uncut = World.open(server, kind, anyone(kind), as_sync)
    try:
        row.do(uncut)
    except NotHere as reason:
        pytest.skip(str(reason))
    truth = uncut.digest()
    chosen = steps(kind, number)
    for step in chosen:
        plain = World.open(server, kind, anyone(kind), as_sync)
        world = Mortal(**vars(plain), nursery=nursery, step=step)
        row.do(world)
        assert world.short() == row.then, f"killed at step {step}"
        assert world.accounted() == [], f"killed at step {step}"
        assert world.digest() == truth, f"killed at step {step}"
        deaths += world.deaths
    assert deaths or len(chosen) < len(STEPS), "no visit died"
    record_property("figure", f"R-001: {kind}: {row.name}: {deaths} kills at {len(chosen)} steps")
