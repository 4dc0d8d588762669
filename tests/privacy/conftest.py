"""What several files of this room begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # Django is not set up yet when this file is read
    from postern.people.models import Customer
    from tests.privacy.scene import Scene
    from tests.world import World

_kept: list[Scene] = []


@pytest.fixture
def scene(request: Any, database: None, acting_as: Any) -> Scene:
    """The owner's private things, the actors of the matrix with their twins, and the confidant.

    For tests that take back whatever they do: made once for a worker, and anew where another test emptied the tables.
    """
    from tests.privacy.scene import Scene
    from tests.privacy.twins import add_twins

    if not _kept or not _kept[0].still_there():
        request.getfixturevalue("db")
        _kept[:] = [Scene(acting_as)]
        add_twins(_kept[0])
        _kept[0].sign_in("confidant", _kept[0].confidant)
    return _kept[0]


@pytest.fixture
def trick(world: World, acting_as: Any) -> Customer:
    """The reader sees customers' mail only, and has put the owner's private correspondent on a customer (S-132)."""
    from tests.world import subjects, widen

    customer = widen(world, acting_as)
    assert subjects(world.reader) == {"Packet loss"}
    return customer
