"""The same scenarios on four servers end in equal state (R-025), each by the capabilities it has.

Among the rows are folders made anew (R-013), letters under two labels (R-019), shared and missing Message-IDs (R-020),
wishes about dates and flags (R-021) and names of folders (R-023).

Every row runs on the demo's own server. `./dev test` adds every eighth on Dovecot and every thirtieth on each other;
`.ci/run` another share each time (POSTERN_SHARE=k/n); `./dev soak` all on all, and prints for each row which way of
learning changes each server was asked by.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.reliability import arriving, history, leaving, letters, sending  # noqa: F401  (add their rows)
from tests.reliability.scale import SOAK
from tests.reliability.scenarios import ALL, Scenario
from tests.reliability.world import NotHere, World, ladder

OTHERS = ("dovecot", "cyrus", "courier")


def share(number: int, kind: str) -> bool:
    """Whether a row runs on a server in this run. Pure but for the environment."""
    if SOAK:
        return True
    part, _, of = os.environ.get("POSTERN_SHARE", "0/30").partition("/")
    if kind == "dovecot" and not os.environ.get("POSTERN_SHARE"):
        of = "8"
    return (number + OTHERS.index(kind)) % int(of) == int(part) % int(of)


@pytest.mark.rule("R-025")
@pytest.mark.rule("R-017")
@pytest.mark.parametrize("number", range(len(ALL)), ids=[row.name.replace(" ", "-") for row in ALL])
def test_equal_state_on_every_server(
    number: int, servers: Callable[[str], Any], as_sync: Any, record_property: Callable[..., None]
) -> None:
    row = ALL[number]
    wanted = ["pymap", *(kind for kind in OTHERS if share(number, kind))]
    states = {kind: _play(row, number, kind, servers, as_sync, record_property) for kind in wanted}
    played = {kind: state for kind, state in states.items() if state is not None}
    if not played:
        pytest.skip(f"none of {', '.join(wanted)} plays “{row.name}”")
    first = next(iter(played))
    for kind, state in played.items():
        assert state == played[first], f"{kind} differs from {first}"


def _play(
    row: Scenario,
    number: int,
    kind: str,
    servers: Callable[[str], Any],
    acting_as: Any,
    record_property: Callable[..., None],
) -> list[str] | None:
    """The digest of a row on one server; None where the server cannot run or be brought into it, and that is told."""
    try:
        server = servers(kind)
    except pytest.skip.Exception as reason:
        record_property("not run", f"{row.name} on {kind}: {reason}")
        return None
    user = f"s{number:03}@example.test"
    rung = _rung(server, kind, acting_as)
    record_property("ladder", f"{row.name:56} {kind:8} {rung}" if SOAK else f"{kind}: {rung}")
    world = World.open(server, kind, user, acting_as)
    try:
        row.do(world)
    except NotHere as reason:
        record_property("not here", f"{row.name}: {kind} {reason}")
        return None
    assert world.short() == row.then, kind
    assert world.accounted() == [], kind
    return world.digest()


_rungs: dict[str, str] = {}


def _rung(server: Any, kind: str, acting_as: Any) -> str:
    if kind not in _rungs:
        _rungs[kind] = ladder(server, kind, "s149@example.test", acting_as)
    return _rungs[kind]


def test_there_are_sixty_and_each_has_a_name_of_its_own() -> None:
    assert len(ALL) >= 60
    assert len({row.name for row in ALL}) == len(ALL)
