"""Marta, an administrator with a known password, and a browser that is not signed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # Django is not set up yet when this file is read
    from postern.people.models import Staff
    from tests.web.browser import Browser

PASSWORD = "a long pass phrase"


@pytest.fixture
def marta(db: None) -> Staff:
    from tests.roles import hire

    return hire(email="marta@northlink.example", name="Marta Lindqvist", password=PASSWORD)


@pytest.fixture
def client(db: None) -> Iterator[Browser]:
    """A browser; the counts of failed sign-ins start at zero."""
    from django.core.cache import cache

    from tests.web.browser import Browser

    cache.clear()
    yield Browser(enforce_csrf_checks=True)
    cache.clear()


@pytest.fixture
def inside(marta: Staff) -> Browser:
    """Marta's browser, signed in."""
    from tests.web.browser import Browser

    browser = Browser()
    browser.force_login(marta)
    return browser
