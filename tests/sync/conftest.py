"""A real Dovecot, and a mailbox of Postern that points to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.servers.dovecot import Dovecot, available
from tests.servers.running import USERS

if TYPE_CHECKING:
    from .box import Box

USER = next(iter(USERS))


@pytest.fixture(scope="session")
def running_dovecot() -> Iterator[Dovecot]:
    """One Dovecot for all tests of a worker."""
    if reason := available():
        pytest.skip(reason)
    with Dovecot() as server:
        yield server


@pytest.fixture
def dovecot(running_dovecot: Dovecot) -> Dovecot:
    """Dovecot with empty folders."""
    with running_dovecot.session(USER) as link:
        for name in ("Sent", "Trash", "INBOX"):
            _, (count,) = link.select(name)
            if count == b"0":
                continue
            link.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
            link.expunge()
    return running_dovecot


@pytest.fixture
def operator(settings_of_operator, dovecot: Dovecot) -> None:
    """The operator allows the test servers."""


@pytest.fixture
def settings_of_operator(monkeypatch: pytest.MonkeyPatch, running_dovecot: Dovecot) -> None:
    """MAIL_HOSTS for this Dovecot."""
    from django.conf import settings

    ports = (running_dovecot.port, running_dovecot.tls_port)
    monkeypatch.setattr(settings, "MAIL_HOSTS", ",".join(f"localhost:{port}" for port in ports))


@pytest.fixture
def box(db: None, dovecot: Dovecot, operator: None, acting_as) -> Iterator[Box]:
    """Marta's mailbox, not yet visited."""
    from .box import make_box

    made = make_box(dovecot)
    with acting_as("sync"):
        yield made


@pytest.fixture
def story(db, acting_as, monkeypatch):
    """Watch Marta's mailbox on a server that tells what the test says, while a coroutine goes on."""
    from django.conf import settings

    from .box import make_box

    monkeypatch.setattr("postern.sync.visit.SETTLE_SECONDS", (0.1, 0.2))
    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1,localhost")

    def play(server, scene, *, sent="Sent", **options):
        async def whole():
            async with server.running(), box.watched(**options) as watcher:
                await scene(box, watcher)

        box = make_box(server, host="127.0.0.1", sent_folder=sent)
        with acting_as("sync"):
            asyncio.run(whole())

    return play
