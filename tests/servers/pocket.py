"""The demo's own mail server in a thread, for tests that run everywhere: no Dovecot, no Postfix, no root.

    with Pocket() as server:
        server.deliver("marta@example.test", raw)
        server.port, server.smtp_port              # plain text on loopback; Security.NONE
        server.submitted                           # what was sent through it

Looks at mail with the same methods as Dovecot does (uids, fetch_raw, flags, append, ...). It has no
SPECIAL-USE; folders are INBOX, Sent, Drafts, Trash and Junk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from postern.demo.server import MailServer, Submitted
from tests.servers.looking import Looking
from tests.servers.running import USERS


class Pocket(Looking):
    """MailServer for synchronous tests. answer_after: seconds until a simulated customer answers, or None."""

    host = "127.0.0.1"

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        answer_after: float | None = None,
        words: Callable[[str, str], str] | None = None,
        tls: Any = None,
    ) -> None:
        self.passwords = dict(USERS if users is None else users)
        wait = None if answer_after is None else (answer_after, answer_after)
        self.server = MailServer(self.passwords, answer_after=wait, words=words, tls=tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="pocket mail server")

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        self.port, self.smtp_port = self.server.imap_port, self.server.smtp_port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def submitted(self) -> list[Submitted]:
        """Every letter taken by SMTP, in order."""
        return self.server.submitted

    def start(self) -> None:
        """Start again after stop(): same ports, same mail."""
        self._run(self.server.start())

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._run(self.server.stop())

    def add_users(self, users: Mapping[str, str]) -> None:
        """Make accounts with the usual folders."""
        for user, password in users.items():
            self.passwords[user] = self.server.accounts[user] = password
            self._run(self.server._imap.add_account(user, password))

    def deliver(self, user: str, raw: bytes, *, date: datetime | None = None) -> None:
        """Put a letter into the INBOX as a mail server does; an idling client is told."""
        self._run(self.server.deliver(user, raw, date=date))

    def set_password(self, user: str, password: str) -> None:
        """Change a password at the provider."""
        self.passwords[user] = password
        self._loop.call_soon_threadsafe(self.server.set_password, user, password)

    def kick(self, user: str = "") -> None:
        """Drop all IMAP connections."""
        self._run(self.server.drop_connections())

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)
