"""The demo's mail server in a thread of its own, filled with letters and fed while the demo runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from uuid import uuid4

from postern.demo.accounts import MARTA, PASSWORDS
from postern.demo.arrivals import ARRIVALS, arriving, words
from postern.demo.inboxes import BOXES
from postern.demo.letters import Letter, arrival, as_bytes, ids, person
from postern.demo.server import MailServer

Result = TypeVar("Result")
PATIENCE = 20  # seconds for whatever the server is asked to do


class PostOffice:
    """`with PostOffice() as post:` has both servers listening and every mailbox filled."""

    def __init__(self, *, answer_after: tuple[float, float] = (20, 40)) -> None:
        everybody = [letter for box in BOXES.values() for letter in box] + list(ARRIVALS)
        authors = [person(letter.sender) for letter in everybody]
        names = {author.address: author.name for author in authors if author.name}
        self.server = MailServer(PASSWORDS, answer_after=answer_after, words=words, names=names)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="demo mail server")
        self._next = arriving()
        self._known = ids(everybody)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.server.start())
        self._fill(datetime.now(UTC))
        return self

    def __exit__(self, *error: object) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def imap_port(self) -> int:
        """Where IMAP listens on loopback, in plain text."""
        return self.server.imap_port

    @property
    def smtp_port(self) -> int:
        """Where SMTP listens, likewise."""
        return self.server.smtp_port

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the server's thread and return what it returns."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    def _fill(self, now: datetime) -> None:
        for account, letters in BOXES.items():
            for letter in sorted(letters, key=lambda one: -one.hours):
                raw = as_bytes(letter, now=now, known=self._known)
                flags = ["\\Seen"] if letter.seen else []
                self.run(self.server.put(account, letter.folder, raw, flags=flags, date=arrival(letter, now)))

    def next_letter(self) -> Letter:
        """Let the next customer write to Marta now, and return the letter."""
        letter, copy = next(self._next)
        raw = as_bytes(letter, now=datetime.now(UTC), known=self._known, copy=copy)
        self.run(self.server.deliver(MARTA, raw))
        return letter

    def say(self, sender: str, subject: str, text: str = "Hello.\n") -> None:
        """Let anybody write to Marta now."""
        letter = Letter(uuid4().hex, sender, subject, text)
        self.run(self.server.deliver(MARTA, as_bytes(letter, now=datetime.now(UTC), known=self._known)))
