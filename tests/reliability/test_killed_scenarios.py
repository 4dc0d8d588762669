"""Every scenario with each of its visits killed at a durable step and resumed: the end is that of the unkilled run, here
and on the server, and a further visit changes nothing (R-001).

A dry run tells the steps of each visit. A visit that was to die lives only when it had fewer steps this time, which it
tells too. `./dev test` plays some rows on Dovecot and a few on each other server, each visit killed once somewhere,
`./dev soak` all rows on all: on Dovecot at each of thirty steps, on the others, which learn of changes in other ways, at
six.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import arriving, history, leaving, letters, sending  # noqa: F401  (add their rows)
from tests.reliability.scale import SOAK, amount, some
from tests.reliability.scenarios import ALL, Scenario
from tests.reliability.test_kills import Nursery, _set_leases_free
from tests.reliability.world import NotHere, World

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-001"), pytest.mark.rule("I6")]
STEPS = list(range(1, 31))
# The first ones connect, and most visits come to their end before the twentieth.
FIRST, EARLY = 8, 20
SHORT = {"dovecot": 3, "copying": 0, "pymap": 1, "cyrus": 1, "courier": 0}
CASES = [
    (kind, number)
    for seed, (kind, rows) in enumerate(SHORT.items(), 1)
    for number in some(list(range(len(ALL))), rows, seed=seed)
]
MOVED = next(number for number, row in enumerate(ALL) if row.name == "deleted here and moved to trash there")
MOVING = {"UID MOVE", "UID COPY", "UID STORE", "UID EXPUNGE"}
# Courier has no MOVE: three commands, each of which may be the last.
CASES += [("courier", MOVED)] * (("courier", MOVED) not in CASES)


@dataclasses.dataclass
class Mortal(World):
    """A world in which each visit dies first: at the step that `at_steps` has for it, a number or a name, or (0) not at all.

    `counted` are the steps by name of each visit that came to its end, `deaths` says how many did not.
    """

    nursery: Nursery = dataclasses.field(kw_only=True)
    at_steps: Iterator[int | str] = dataclasses.field(kw_only=True)
    counted: list[list[str]] = dataclasses.field(default_factory=list)
    deaths: int = 0

    def _die(self) -> None:
        step = next(self.at_steps)
        self.nursery.ask(f"step {self.box.mailbox.pk} {step}")
        ended = self.nursery.ask("reap")
        told = self.nursery.log.read_text()
        if ended == 0:
            names = told.splitlines()[-1].removeprefix("steps ").split(", ")
            self.counted.append(names)
            assert step == 0 or (isinstance(step, int) and len(names) < step), (
                f"not killed at {step}: {names}"
            )
        else:
            assert ended == -9, told[-2000:]
            self.deaths += 1
        _set_leases_free(self.acting_as)

    def sync(self, times: int = 1) -> None:
        """Die, then visit."""
        self._die()
        super().sync(times)

    def sync_afresh(self) -> None:
        """Die, then visit."""
        self._die()
        super().sync_afresh()

    def once_more(self) -> None:
        """Visit without dying."""
        super().sync()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory, database: None) -> Any:
    with Nursery(Path(tmp_path_factory.mktemp("nursery")) / "log") as started:
        yield started


def plans(kind: str, number: int, counted: list[list[str]]) -> list[list[int | str]]:
    """For each attempt at a row the step at which each of its visits is killed; 0 where a visit has fewer."""
    if not SOAK and number == MOVED:
        return _at_each(MOVING, counted)
    if not SOAK:
        dice = random.Random(number)
        return [[dice.randint(min(FIRST, len(names)), len(names)) for names in counted]]
    reached = STEPS[: max(map(len, counted)) - 2]  # some visits take one more or one less at the next time
    chosen = (
        some(reached, 1, seed=number) if kind == "dovecot" else random.sample(reached[:EARLY], amount(1, 6))
    )
    wanted: list[list[int | str]] = [
        [step if step <= len(names) else 0 for names in counted] for step in chosen
    ]
    return wanted + (_at_each(MOVING, counted) if number == MOVED else [])


def _at_each(wanted: set[str], counted: list[list[str]]) -> list[list[int | str]]:
    """An attempt for each command of those names."""
    found = [(n, name) for n, names in enumerate(counted) for name in names if name in wanted]
    assert found, f"none of {wanted} happened"
    return [[name if n == visit else 0 for n in range(len(counted))] for visit, name in found]


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
    row, server = ALL[number], servers(kind)

    def played(at_steps: Iterable[int | str]) -> Mortal:
        plain = World.open(server, kind, anyone(kind), as_sync)
        world = Mortal(**vars(plain), nursery=nursery, at_steps=iter(at_steps))
        row.do(world)
        return world

    try:
        unkilled = played(repeat(0))
    except NotHere as reason:
        pytest.skip(str(reason))
    truth, deaths = _settled(unkilled, row, "not killed"), 0
    attempts = plans(kind, number, unkilled.counted)
    for plan in attempts:
        world = played(plan)
        assert _settled(world, row, f"killed at {plan}") == truth, f"killed at {plan}"
        deaths += world.deaths
    assert deaths, f"no visit died; the steps are {unkilled.counted}"
    record_property("figure", f"R-001: {kind}: {row.name}: {deaths} kills in {len(attempts)} attempts")


def _settled(world: Mortal, row: Scenario, how: str) -> list[str]:
    """The end, as it was promised; a further visit leaves it as it is."""
    assert world.short() == row.then, how
    assert world.accounted() == [], how
    end = world.digest()
    world.once_more()
    assert world.digest() == end, f"{how}: a further visit changed something"
    return end
