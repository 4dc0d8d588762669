"""The office whose pages are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.office import Office


@pytest.fixture
def office(db: None, acting_as: Any) -> Office:
    """People, a mailbox and mail."""
    from tests.web.office import furnish  # models, once Django is set up

    return furnish(acting_as)
