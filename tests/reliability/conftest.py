"""The servers of these tests, started when first asked for; each scenario has a user of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.servers import courier, cyrus, dovecot
from tests.servers.pocket import Pocket

USERS = {f"s{n:03}@example.test": "one-for-all" for n in range(150)}

KINDS = {
    "pymap": (lambda: "", lambda: Pocket(USERS)),
    "dovecot": (dovecot.available, lambda: dovecot.Dovecot(USERS)),
    "cyrus": (cyrus.available, lambda: cyrus.Cyrus(USERS)),
    "courier": (courier.available, lambda: courier.Courier(USERS)),
}


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Any]]:
    """Return a running server of a kind; skips, saying why, when it cannot run here."""
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def get(kind: str) -> Any:
            available, make = KINDS[kind]
            if kind not in running:
                if reason := available():
                    pytest.skip(reason)
                running[kind] = stack.enter_context(make())
            return running[kind]

        yield get


@pytest.fixture
def as_sync(db: None, acting_as, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A clean database, met as the sync process meets it; the operator allows any port of this machine."""
    from django.conf import settings

    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1,localhost")
    with acting_as("sync"):
        yield acting_as
