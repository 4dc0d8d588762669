"""The servers of these tests, started when first asked for; each scenario has a user of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.servers import courier, cyrus, dovecot, running
from tests.servers.pocket import Pocket

USERS = {f"s{n:03}@example.test": "one-for-all" for n in range(150)}

ANYONE = """
passdb {
  driver = static
  args = password=one-for-all
}
userdb {
  driver = static
  args = uid=%d gid=%d home=%s/homes/%%u
}
"""


class Everybody(dict[str, str]):
    """Whoever asks has the same password."""

    def __missing__(self, _: str) -> str:
        return "one-for-all"


class OpenDovecot(dovecot.Dovecot):
    """A Dovecot on which every name is a user, so that each attempt has a fresh mailbox."""

    def _settings(self) -> str:
        me = running.mail_user()
        self.extra += ANYONE % (me.pw_uid, me.pw_gid, self.home)
        self.passwords = Everybody(self.passwords)
        return super()._settings()

    def add_users(self, users: Mapping[str, str]) -> None:
        """They are there already."""


KINDS = {
    "pymap": (lambda: "", lambda: Pocket(USERS)),
    "dovecot": (dovecot.available, lambda: OpenDovecot(USERS)),
    "copying": (dovecot.available, lambda: OpenDovecot(USERS, extra=f"{dovecot.WITHOUT_MOVE}\n")),
    "cyrus": (cyrus.available, lambda: cyrus.Cyrus(USERS)),
    "courier": (courier.available, lambda: courier.Courier(USERS)),
}


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Any]]:
    """Return a running server of a kind; skips, saying why, when it cannot run here."""
    started: dict[str, Any] = {}
    with ExitStack() as stack:

        def get(kind: str) -> Any:
            available, make = KINDS[kind]
            if kind not in started:
                if reason := available():
                    pytest.skip(reason)
                started[kind] = stack.enter_context(make())
            return started[kind]

        yield get


@pytest.fixture
def as_sync(db: None, acting_as, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A clean database, met as the sync process meets it; the operator allows any port of this machine."""
    from django.conf import settings

    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1,localhost")
    with acting_as("sync"):
        yield acting_as


NEWCOMERS = 20


@pytest.fixture(scope="session")
def anyone(servers: Callable[[str], Any]) -> Callable[..., str]:
    """Return the name of a user that no test has met, on the server of that kind; Dovecot unless told."""
    waiting: dict[str, list[str]] = {}

    def name(kind: str = "dovecot") -> str:
        if not waiting.get(kind):
            waiting[kind] = [f"r{secrets.token_hex(6)}@example.test" for _ in range(NEWCOMERS)]
            servers(kind).add_users(dict.fromkeys(waiting[kind], "one-for-all"))
        return waiting[kind].pop()

    return name
