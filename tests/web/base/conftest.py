"""Marta, an administrator with a known password, and a browser that is not signed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # Django is not set up yet when this file is read
    from django.test import Client

    from postern.people.models import Staff

PASSWORD = "a long pass phrase"


@pytest.fixture
def marta(db: None) -> Staff:
    from postern.people.models import Staff

    return Staff.objects.create_staff(email="marta@northlink.example", name="Marta Lindqvist", password=PASSWORD)


@pytest.fixture
def client(db: None) -> Iterator[Client]:
    """A browser; the counts of failed sign-ins start at zero."""
    from django.core.cache import cache
    from django.test import Client

    cache.clear()
    yield Client(enforce_csrf_checks=True)
    cache.clear()


@pytest.fixture
def inside(marta: Staff) -> Client:
    """Marta's browser, signed in."""
    from django.test import Client

    browser = Client()
    browser.force_login(marta)
    return browser
