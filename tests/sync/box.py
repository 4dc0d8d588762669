"""A mailbox of Postern that points to a test server, ways to visit it, and ways to look at what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Errand, Message, Sighting
from postern.mailboxes.models import DenyEntry, Folder, Mailbox, MailboxHealth
from postern.mailboxes.save import save_mailbox
from postern.mailboxes.secrets import store_secret
from postern.people.models import Staff
from postern.sync import store
from postern.sync.backoff import Backoff
from postern.sync.hosts import Hosts
from postern.sync.memory import Memories, Progress
from postern.sync.store import Store
from postern.sync.visit import open_visit
from postern.sync.watcher import Watcher
from postern.wire.imap import open_session
from tests.roles import acting_as, hire
from tests.servers.dovecot import Dovecot

USER = "marta@example.test"
_numbers = count(1)


def letter(
    subject: str = "Packet loss", *, body: str = "Hello.", sender: str = "greta@brandt.example"
) -> bytes:
    """Raw bytes of a letter with a Message-ID of its own."""
    lines = [
        f"From: Greta Brandt <{sender}>",
        f"To: {USER}",
        f"Subject: {subject}",
        "Date: Mon, 23 Nov 2026 10:31:00 +0000",
        f"Message-ID: <{next(_numbers)}.sync@brandt.example>",
        "",
        body,
        "",
    ]
    return "\r\n".join(lines).encode()


@dataclass
class Box:
    """A mailbox and ways to look at it. Everything here runs as the worker does."""

    mailbox: Mailbox
    server: Dovecot
    owner: Staff
    memories: Memories = field(default_factory=Memories)

    def change(self, **fields: Any) -> None:
        """Change settings without the form, as their owner; no worker may."""
        with acting_as("superuser", everywhere=False):
            Mailbox.objects.filter(pk=self.mailbox.pk).update(**fields)

    def enter_password(self, password: str) -> None:
        """Save another password for reading, for the settings as they are now; no worker may."""
        self.mailbox.refresh_from_db()
        with acting_as("superuser", everywhere=False):
            store_secret(self.mailbox, "imap", password)

    def deny(self, pattern: str) -> None:
        """Put a line on the deny list."""
        with acting_as("superuser", everywhere=False):
            DenyEntry.objects.create(mailbox=self.mailbox, pattern=pattern)

    def visit(self, rounds: int = 20) -> Progress:
        """Connect, go round until nothing is left to do, leave."""
        return asyncio.run(asyncio.wait_for(self._visit(rounds), 60))

    async def _visit(self, rounds: int) -> Progress:
        keeper = Store(2)
        try:
            account = await keeper.run(store.load, self.mailbox.pk)
            assert account is not None
            session = await open_session(account.endpoint, account.policy, account.login)
            progress = Progress()
            try:
                visit = await open_visit(
                    session, keeper, account.mailbox, memories=self.memories, progress=progress
                )
                for _ in range(rounds):
                    if not await visit.round():
                        return progress
                raise AssertionError("the visit never ends")
            finally:
                await session.logout()
        finally:
            keeper.close()

    @contextlib.asynccontextmanager
    async def watched(self, hosts: Hosts | None = None, **options: Any):
        """A watcher at work."""
        keeper = Store(2)
        (found,) = [one for one in await keeper.run(store.watched) if one.id == self.mailbox.pk]
        watcher = Watcher(found, keeper, hosts or Hosts(), **options)
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            watcher.stop()
            done, _ = await asyncio.wait({task}, timeout=8)
            if not done:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            keeper.close()
            assert done, "the watcher does not stop"

    def subjects(self, **narrow: Any) -> list[str]:
        """Subjects of the messages here, in order of arrival in Postern."""
        with at_mailbox(self.mailbox.pk):
            return list(Message.objects.filter(**narrow).order_by("pk").values_list("subject", flat=True))

    def ledger(self, folder: str = "INBOX") -> dict[int, str]:
        """UID to outcome, of what is on the server as far as we know."""
        with at_mailbox(self.mailbox.pk):
            rows = Sighting.objects.filter(folder__name=folder, gone_at=None)
            return dict(rows.order_by("uid").values_list("uid", "outcome"))

    def errand(self, kind: str, subject: str) -> Errand:
        """Ask for something."""
        with at_mailbox(self.mailbox.pk):
            message = Message.objects.get(subject=subject)
            return Errand.objects.create(
                mailbox=self.mailbox, kind=kind, message=message, not_before=datetime.now(UTC)
            )

    def errands(self) -> list[Errand]:
        """What is still to be done, or was given up."""
        with at_mailbox(self.mailbox.pk):
            return list(Errand.objects.order_by("pk"))

    @property
    def health(self) -> MailboxHealth:
        """As it stands now."""
        return MailboxHealth.objects.get(mailbox=self.mailbox)

    def folder(self, name: str = "INBOX") -> Folder:
        """The folder's row."""
        return Folder.objects.get(mailbox=self.mailbox, name=name)


def make_box(
    server: Any, host: str = "localhost", port: int | None = None, *, user: str = USER, **settings: Any
) -> Box:
    """Save a mailbox for a user of the server, as web does."""
    name = user.partition("@")[0]
    owner = hire(email=f"{name}@isp.example", name=name.title(), password=None)
    data = {
        "address": user,
        "imap_username": user,
        "imap_password": server.passwords[user],
        "imap_host": host,
        "imap_port": port or server.port,
        "imap_security": "none",
        "sent_folder": "Sent",
        "sending": "",
    }
    with viewing_as(owner):
        mailbox = save_mailbox(staff=owner, mailbox=None, data=data | settings)
    return Box(mailbox, server, owner)


def quick(**options: Any) -> Backoff:
    """A backoff for tests that cannot wait."""
    return Backoff(dice=lambda: -0.49, **options)
