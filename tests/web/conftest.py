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


@pytest.fixture
def closed_office(db: None, acting_as: Any) -> Office:
    """The same where nobody may read anybody else's mail."""
    from django.core.cache import cache

    from postern.mailboxes.models import Reader
    from tests.web.office import furnish

    cache.clear()
    office = furnish(lambda role: acting_as(role, everywhere=False))
    with office.acting_as("superuser"):
        Reader.objects.all().delete()
    return office
