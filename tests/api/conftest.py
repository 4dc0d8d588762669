"""The people of tests/world.py with a customer's letter, a stranger's and a sent one, each with a token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # Django is not set up yet when this file is read
    from postern.mail.models import Message
    from tests.api.caller import Caller
    from tests.world import World

FILE = (
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
    "--b\r\nContent-Type: text/plain\r\n\r\nSee the plan.\r\n"
    '--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="plan.html"\r\n\r\n'
    "<b>plan</b>\r\n--b--\r\n",
)


@dataclass
class Scene:
    """A world with mail in it, and a caller for each person."""

    world: World
    known: Message
    stranger: Message
    sent: Message
    owner: Caller
    reader: Caller
    noimap: Caller
    colleague: Caller
    boss: Caller

    @property
    def outsiders(self) -> dict[str, Caller]:
        """Those who may not know that the owner's mail exists."""
        return {"noimap": self.noimap, "colleague": self.colleague, "boss": self.boss}


@pytest.fixture
def scene(db, acting_as) -> Iterator[Scene]:
    from django.core.cache import cache

    from tests.api.caller import Caller
    from tests.world import arrive, letter, make_world

    cache.clear()
    world = make_world(acting_as)
    [known] = arrive(acting_as, world.inbox, letter(subject="Packet loss", headers=FILE[0], body=FILE[1]))
    [stranger] = arrive(acting_as, world.inbox, letter(sender="Dan <d@tiling.example>", subject="New line"))
    [sent] = arrive(
        acting_as,
        world.sent,
        letter(
            sender="owner@isp.example",
            to="greta@brandt-bakery.example",
            subject="Our answer",
            headers="Bcc: hidden@isp.example\r\n",
        ),
    )
    people = [world.owner, world.reader, world.reader_without_imap, world.colleague, world.boss]
    yield Scene(world, known, stranger, sent, *(Caller(staff) for staff in people))
    cache.clear()
