"""The demo's mail server: IMAP and SMTP in one process, and customers who answer what is sent to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from postern.demo.answers import answer
from postern.demo.imap import Imap, Stored
from postern.demo.smtp import Smtp
from postern.mime.addresses import domain_of, normalise
from postern.mime.read import read

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Submitted:
    """A letter taken by SMTP."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes


class MailServer:
    """Accounts by address and password, IMAP at `imap_port`, SMTP at `smtp_port`, both on loopback.

    Mail to an account lands in its INBOX. Mail to an unknown name in a domain of the accounts is refused.
    Mail to anybody else is answered by that simulated person after a random time between the two numbers of
    `answer_after` (seconds); None: nobody answers. words: (address, text of the letter) -> text of the answer.
    names: address -> how that person signs.
    """

    def __init__(
        self,
        accounts: Mapping[str, str],
        *,
        answer_after: tuple[float, float] | None = (20, 40),
        words: Callable[[str, str], str] | None = None,
        names: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.accounts = dict(accounts)
        self.answer_after = answer_after
        self.submitted: list[Submitted] = []
        self._words = words
        self._names = dict(names or {})
        self._answers: set[asyncio.Task[None]] = set()
        self._imap = Imap(tls=tls)
        self._smtp = Smtp(
            right_password=self._imap.right_password, refuse=self._refuse, accept=self._accept, tls=tls
        )

    @property
    def imap_port(self) -> int:
        """Where IMAP listens; plain text, with STARTTLS when a TLS context was given."""
        return self._imap.port

    @property
    def smtp_port(self) -> int:
        """Where SMTP listens; likewise."""
        return self._smtp.port

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on both ports. After a stop() it is the same ports and the same mail again."""
        for address, password in self.accounts.items():
            if not self._imap.has(address):
                await self._imap.add_account(address, password)
        await self._imap.start(HOST)
        await self._smtp.start(HOST)

    async def stop(self) -> None:
        """Stop listening, drop the connections, forget answers not yet given."""
        for task in self._answers:
            task.cancel()
        await self._smtp.stop()
        await self._imap.stop()

    async def deliver(
        self, address: str, raw: bytes, *, seen: bool = False, date: datetime | None = None
    ) -> int:
        """Put a letter into an account's INBOX and return its UID. KeyError when there is no such account."""
        return await self.put(address, "INBOX", raw, flags=["\\Seen"] if seen else [], date=date)

    async def put(
        self,
        address: str,
        folder: str,
        raw: bytes,
        *,
        flags: Sequence[str] = (),
        date: datetime | None = None,
    ) -> int:
        """Put a letter into any folder with flags and INTERNALDATE; returns its UID."""
        return await self._imap.put(address, folder, raw, flags=flags, date=date)

    async def letters(self, address: str, folder: str = "INBOX") -> list[Stored]:
        """Everything in a folder, oldest first."""
        return await self._imap.letters(address, folder)

    async def drop_connections(self) -> None:
        """Close every IMAP connection, as a restart of the server would."""
        await self._imap.drop_connections()

    def set_password(self, address: str, password: str) -> None:
        """Change an account's password at the provider."""
        self.accounts[address] = password
        self._imap.set_password(address, password)

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """A time in which the server does not answer."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()

    def _refuse(self, recipient: str) -> str:
        address = normalise(recipient)
        if not address:
            return "553 5.1.3 The recipient's address is malformed"
        ours = {domain_of(account) for account in self.accounts}
        if address not in self.accounts and domain_of(address) in ours:
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        return ""

    async def _accept(self, sender: str, recipients: list[str], raw: bytes) -> None:
        self.submitted.append(Submitted(sender, tuple(recipients), raw))
        strangers = []
        for recipient in dict.fromkeys(normalise(one) for one in recipients):
            if recipient in self.accounts:
                await self.deliver(recipient, raw)
            else:
                strangers.append(recipient)
        if strangers and self.answer_after is not None:
            task = asyncio.create_task(self._answer_later(sender, strangers[0], raw))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer_later(self, sender: str, person: str, raw: bytes) -> None:
        """The first stranger among the recipients answers; who is only copied does not."""
        letter = read(raw)
        back_to = [one.address for one in (*letter.reply_to, *letter.from_)] + [sender]
        account = next((normalise(one) for one in back_to if normalise(one) in self.accounts), None)
        if account is None or letter.automatic or self.answer_after is None:
            return
        await asyncio.sleep(random.uniform(*self.answer_after))  # noqa: S311 no secret
        words = self._words(person, letter.text) if self._words else "Thank you, got it."
        name = self._names.get(person, "")
        raw = answer(letter, person=person, name=name, words=words, now=datetime.now(UTC))
        await self.deliver(account, raw)
