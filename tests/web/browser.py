"""A browser for tests of pages, at a host name that the settings allow."""

import functools
import re
from typing import Any

from django.test import Client
from django.test.client import ClientHandler


class Browser(Client):
    """Django's test client at localhost, as strict about CSRF tokens as asked for."""

    def __init__(self, **defaults: Any) -> None:
        super().__init__(**{"SERVER_NAME": "localhost", **defaults})
        self.handler = _handler(self.handler.enforce_csrf_checks)

    def token(self, path: str) -> str:
        """The CSRF token in the first form of a page."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).content.decode())
        assert found, f"no form on {path}"
        return found[1]


def browser_of(staff: Any, **headers: str) -> Browser:
    """A browser in which that person is signed in, which sends these headers along."""
    browser = Browser(headers=headers)
    browser.force_login(staff)
    return browser


@functools.cache
def _handler(enforce_csrf_checks: bool) -> ClientHandler:
    """The way through all middleware, made once as in a server: WhiteNoise reads every static file's name for it."""
    return ClientHandler(enforce_csrf_checks)
