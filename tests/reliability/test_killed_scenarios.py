"""Every scenario with each of its visits killed at a durable step and resumed: the end is that of the uncut run (R-001).

`./dev test` plays some rows at one step each, `./dev soak` all rows at thirty; a visit that has fewer is not killed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import arriving, history, leaving, letters, sending  # noqa: F401  (add their rows)
from tests.reliability.scale import SOAK, some
from tests.reliability.scenarios import ALL
from tests.reliability.test_kills import Nursery, _set_leases_free
from tests.reliability.world import NotHere, World

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-001"), pytest.mark.rule("I6")]
STEPS = list(range(1, 31))
ROWS = some(list(range(len(ALL))), 6, seed=1)


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


@pytest.mark.parametrize("number", ROWS, ids=[ALL[number].name.replace(" ", "-") for number in ROWS])
def test_killed_at_a_step_of_each_visit_the_end_is_the_same(
    number: int,
    servers: Callable[[str], Any],
    anyone: Callable[[], str],
    as_sync: Any,
    nursery: Nursery,
    record_property: Callable[..., None],
) -> None:
    row, server, deaths = ALL[number], servers("dovecot"), 0
    uncut = World.open(server, "uncut", anyone(), as_sync)
    try:
        row.do(uncut)
    except NotHere as reason:
        pytest.skip(str(reason))
    truth = uncut.digest()
    chosen = some(STEPS, 1, seed=number) if SOAK else [random.Random(number).randrange(8, 16)]
    for step in chosen:
        user = anyone()
        plain = World.open(server, f"killed-{step}", user, as_sync)
        world = Mortal(**vars(plain), nursery=nursery, step=step)
        row.do(world)
        assert world.short() == row.then, f"killed at step {step}"
        assert world.accounted() == [], f"killed at step {step}"
        assert world.digest() == truth, f"killed at step {step}"
        deaths += world.deaths
    assert deaths or len(chosen) < len(STEPS), "no visit died"
    record_property("figure", f"R-001: {row.name}: {deaths} kills at {len(chosen)} steps")
