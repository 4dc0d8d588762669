"""One mailbox on one real server, what people do to it there, and what Postern made of it, comparable between servers.

world = World.open(server, "dovecot", "s01@example.test")
world.put("one"); world.sync(); world.flag("one", "\\\\Seen")
world.short()      # "in one | seen one"
world.digest()     # every fact that must be equal, whatever the server
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import imaplib
import re
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from typing import Any

from django.db.models import QuerySet

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.intake import record_sent
from postern.mail.models import Errand, Message, Sighting
from postern.mailboxes.models import DenyEntry, Folder, Mailbox
from postern.mailboxes.save import save_mailbox
from postern.people.models import Address, Customer
from postern.sync.run import sync_once
from postern.wire.imap.mutf7 import encode_mutf7
from tests.roles import hire
from tests.servers.looking import Looking
from tests.sync.box import Box

Acting = Callable[[str], AbstractContextManager[None]]
NOW = datetime.now(UTC).replace(microsecond=0)


class NotHere(Exception):
    """This server cannot be brought into the situation; says why."""


def letter(subject: str, *, body: str = "Hello.", mid: str | None = None, **headers: str) -> bytes:
    """A plain letter. The same words give the same bytes; `mid` is its Message-ID ("" leaves it out)."""
    mid = f"<{hashlib.sha256(subject.encode()).hexdigest()[:20]}@brandt.example>" if mid is None else mid
    fields = {
        "From": "Greta Brandt <greta@brandt.example>",
        "To": "Marta <marta@example.test>",
        "Subject": subject,
        "Date": "Mon, 23 Nov 2026 10:31:00 +0000",
        "Message-ID": mid,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([*lines, "", body, ""]).encode()


@dataclass
class World:
    """See above. Folder names are Dovecot's in scenarios; `at` translates them."""

    server: Any
    kind: str
    user: str
    box: Box
    acting_as: Acting

    @classmethod
    def open(cls, server: Any, kind: str, user: str, acting_as: Acting, port: int | None = None) -> World:
        """Save a mailbox for a user of the server, not yet visited. `port`: Postern's way to it is another."""
        with acting_as("web"):
            return cls(server, kind, user, cls._box(server, kind, user, port or server.port), acting_as)

    @staticmethod
    def _box(server: Any, kind: str, user: str, port: int) -> Box:
        owner = hire(email=f"{kind}.{user}", name=kind, password=None)
        data = {
            "address": user,
            "imap_username": user,
            "imap_password": server.passwords[user],
            "imap_host": "127.0.0.1",
            "imap_port": port,
            "imap_security": "none",
            "sent_folder": getattr(server, "sent", "Sent"),
            "sending": "",
        }
        with viewing_as(owner):
            mailbox = save_mailbox(staff=owner, mailbox=None, data=data)
        return Box(mailbox, server, owner)

    # What happens on the server

    @property
    def look(self) -> Looking:
        """The server as another mail program sees it."""
        looking: Looking = self.server
        return looking

    def at(self, folder: str) -> str:
        """A folder's name on this server: Courier puts all below INBOX."""
        if folder == "Sent":
            return str(getattr(self.server, "sent", "Sent"))
        return folder if folder == "INBOX" or self.kind != "courier" else f"INBOX.{folder}"

    def put(
        self,
        subject: str,
        folder: str = "INBOX",
        *,
        flags: tuple[str, ...] = (),
        days: float = 0,
        raw: bytes | None = None,
        **about: str,
    ) -> bytes:
        """Put a letter there, `days` ago by the server's clock. NotHere when the server refuses such bytes."""
        raw = letter(subject, **about) if raw is None else raw
        when = datetime.now(UTC) - timedelta(days=days)
        try:
            self.look.append(self.user, self.at(folder), raw, flags=flags, date=when)
        except (imaplib.IMAP4.error, OSError) as error:
            raise NotHere(f"refuses the letter: {error}") from error
        return raw

    def put_many(self, count: int, folder: str = "INBOX") -> None:
        """Put letters n1, n2, … over one connection."""
        with self.look.session(self.user) as link:
            for n in range(1, count + 1):
                kind, _ = link.append(
                    f'"{self.at(folder)}"', "()", imaplib.Time2Internaldate(NOW), letter(f"n{n}")
                )
                assert kind == "OK"

    def where(self, subject: str, folder: str = "INBOX") -> list[int]:
        """The UIDs of the letters of that subject."""
        return [uid for uid, (found, _) in self.there(folder).items() if found == subject]

    def there(self, folder: str = "INBOX") -> dict[int, tuple[str, frozenset[str]]]:
        """UID to subject and flags of all that lies in a folder."""
        found: dict[int, tuple[str, frozenset[str]]] = {}
        with self.look.session(self.user, self.at(folder)) as link:
            _, answer = link.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for item, tail in zip(answer, [*answer[1:], b""], strict=True):
            if isinstance(item, tuple):
                line = item[0] + b" " + (tail if isinstance(tail, bytes) else b"")
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                uid = re.search(rb"UID (\d+)", line)
                assert flags and uid, line
                words = frozenset(flags[1].decode().split()) - {"\\Recent"}
                text = re.sub(rb"\r\n(?=[ \t])", b"", item[1]).partition(b":")[2].strip()
                with contextlib.suppress(UnicodeDecodeError, LookupError):
                    found[int(uid[1])] = (str(make_header(decode_header(text.decode()))), words)
        return found

    def one(self, subject: str, folder: str = "INBOX") -> int:
        """The UID of a letter."""
        (uid,) = self.where(subject, folder)
        return uid

    def flag(self, subject: str, add: str = "", remove: str = "", folder: str = "INBOX") -> None:
        """Change flags of every letter of that subject."""
        for uid in self.where(subject, folder):
            self.look.store(self.user, self.at(folder), uid, add=add, remove=remove)

    def expunge(self, subject: str, folder: str = "INBOX") -> None:
        """Delete one letter of that subject for good."""
        self.look.expunge(self.user, self.at(folder), self.where(subject, folder)[0])

    def move(self, subject: str, folder: str, target: str) -> None:
        """COPY and EXPUNGE."""
        self.look.move(self.user, self.at(folder), self.one(subject, folder), self.at(target))

    def copy(self, subject: str, folder: str, target: str) -> None:
        """COPY alone."""
        with self.look.session(self.user, self.at(folder), readonly=False) as link:
            kind, said = link.uid("COPY", str(self.where(subject, folder)[0]), f'"{self.at(target)}"')
            assert kind == "OK", said

    def make(self, folder: str) -> None:
        """Make a folder; NotHere when this server has no such names."""
        try:
            self.look.create_folder(self.user, self.at(folder))
        except imaplib.IMAP4.error as error:
            raise NotHere(f"refuses the folder {folder!r}: {error}") from error

    def remove(self, folder: str) -> None:
        """Delete a folder with all in it."""
        try:
            self.look.delete_folder(self.user, self.at(folder))
        except imaplib.IMAP4.error as error:
            raise NotHere(f"does not delete {folder!r}: {error}") from error

    def rename(self, folder: str, name: str) -> None:
        """Rename a folder."""
        with self.look.session(self.user) as link:
            kind, said = link.rename(f'"{self.at(folder)}"', f'"{self.at(name)}"')
        if kind != "OK":
            raise NotHere(f"does not rename {folder!r}: {said!r}")

    # What happens in Postern

    def sync(self, times: int = 1) -> None:
        """Visit as the watcher does, remembering what it remembers; doubts and the wait for flags are over each time."""
        for _ in range(times):
            for memory in self.box.memories.folders.values():
                memory.listing_after = memory.flags_after = 0.0
            self.box.visit()

    def sync_afresh(self) -> None:
        """Visit as a process just started."""
        said = sync_once(self.box.mailbox.pk)
        assert "is in sync" in said, said

    def settings(self, **fields: Any) -> None:
        """Change settings of the mailbox."""
        with self.acting_as("superuser"):
            self.box.change(**fields)

    def deny(self, pattern: str) -> None:
        """A line on the deny list."""
        with self.acting_as("superuser"):
            DenyEntry.objects.create(mailbox=self.box.mailbox, pattern=pattern)

    def customer(self, address: str) -> None:
        """A customer with that address."""
        with self.acting_as("superuser"):
            Address.objects.filter(email=address).delete()
            Address.objects.create(customer=Customer.objects.create(name="Brandt"), email=address)

    def sent(self, raw: bytes, errand: bool = False) -> None:
        """Our SMTP server took a letter; `errand`: it is to be filed in the sent folder."""
        with self.acting_as("superuser"), at_mailbox(self.box.mailbox.pk):
            message = record_sent(mailbox=self.box.mailbox, raw=raw, sent_at=NOW, bcc=[])
            if errand:
                Errand.objects.create(
                    mailbox=self.box.mailbox, kind="append", message=message, not_before=NOW
                )

    def to_trash(self, subject: str) -> None:
        """Deleted here, and to be moved to Trash on the server."""
        with at_mailbox(self.box.mailbox.pk):
            message = Message.objects.get(mailbox=self.box.mailbox, subject=subject)
            with self.acting_as("superuser"):
                Message.objects.filter(pk=message.pk).update(deleted_at=NOW)
            Errand.objects.create(mailbox=self.box.mailbox, kind="trash", message=message, not_before=NOW)

    # What came of it

    def short(self) -> str:
        """In words: what is in and out and gone, what was not taken, and what is read on the server."""
        with at_mailbox(self.box.mailbox.pk):
            rows = list(self._messages().order_by("subject", "pk"))
            ledger = Counter(self._ledger().filter(gone_at=None).values_list("outcome", flat=True))
        here = [row for row in rows if row.gone_at is None and row.deleted_at is None]
        parts = [
            ("in", [row.subject for row in here if not row.outgoing]),
            ("out", [row.subject for row in here if row.outgoing]),
            ("gone", [row.subject for row in rows if row.gone_at and row.deleted_at is None]),
            ("deleted", [row.subject for row in rows if row.deleted_at]),
            *((kind, [str(n)]) for kind, n in sorted(ledger.items()) if kind != "imported"),
            ("seen", sorted(subject for subject, flags in self.there().values() if "\\Seen" in flags)),
        ]
        return " | ".join(f"{name} {_several(words)}" for name, words in parts if words)

    def digest(self) -> list[str]:
        """Every fact that must be equal on every server, here and there, as lines in a fixed order."""
        with at_mailbox(self.box.mailbox.pk):
            rows = list(self._messages().select_related("raw").prefetch_related("attachments", "parties"))
            together: dict[int, list[str]] = {}
            for row in rows:
                together.setdefault(row.conversation_id, []).append(bytes(row.sha256).hex()[:8])
            lines = [self._message(row, sorted(together[row.conversation_id])) for row in rows]
            lines += [self._sighting(row) for row in self._ledger().select_related("folder", "message")]
            lines += [
                f"errand {e.kind} {bool(e.failed_at)}"
                for e in Errand.objects.filter(mailbox=self.box.mailbox)
            ]
            folders = list(Folder.objects.filter(mailbox=self.box.mailbox))
        for folder in folders:
            lines.append(f"folder {folder.role}: history done {folder.history_done}")
        return sorted(lines + self.on_server())

    def on_server(self) -> list[str]:
        """What lies on the server, a line for each letter with its flags. Servers part the names of folders differently."""
        return [
            f"server {folder.removeprefix('INBOX.').replace('.', '/')}: {hashlib.sha256(raw).hexdigest()[:12]} {sorted(flags)}"
            for folder, raw, flags in self.look.holdings(self.user)
        ]

    def _messages(self) -> QuerySet[Message]:
        return Message.objects.filter(mailbox=self.box.mailbox)

    def _ledger(self) -> QuerySet[Sighting]:
        return Sighting.objects.filter(mailbox=self.box.mailbox)

    def _message(self, row: Message, with_it: list[str]) -> str:
        kept = hashlib.sha256(row.raw.letter()).digest() == bytes(row.sha256)
        facts = [
            bytes(row.sha256).hex()[:12],
            f"raw whole {kept}",
            row.subject,
            row.from_address,
            row.preview,
            "out" if row.outgoing else "in",
            f"customer {bool(row.parties.all())}",
            f"size {row.size}",
            f"attachments {[(a.name, a.content_type, a.size) for a in row.attachments.all()]}",
            f"conversation of {with_it}",
            f"quarantined {row.quarantined!r} defects {row.defects}",
            f"gone {row.gone_at is not None} deleted {row.deleted_at is not None}",
        ]
        return "message " + " · ".join(facts)

    def _sighting(self, row: Sighting) -> str:
        subject = row.message.subject if row.message else "nothing"
        # The flags of what was left out are nobody's business: not every server tells them again.
        state = "gone" if row.gone_at else f"flags {row.flags if row.message else ''}"
        return f"ledger {row.folder.role}: {row.outcome} {row.reason} {subject}, {state}"

    def accounted(self) -> list[str]:
        """I1: each UID of the server is in the ledger exactly once, or lies before the beginning; else the faults."""
        faults = []
        for folder in self._folders():
            name = encode_mutf7(folder.name).decode()
            with contextlib.suppress(imaplib.IMAP4.error), at_mailbox(self.box.mailbox.pk):
                uids = set(self.look.uids(self.user, name))
                rows = Sighting.objects.filter(folder=folder, uidvalidity=folder.uidvalidity)
                known = Counter(rows.filter(gone_at=None).values_list("uid", flat=True))
                faults += [f"{name}: UID {uid} twice" for uid, n in known.items() if n > 1]
                faults += [f"{name}: UID {uid} is not there" for uid in set(known) - uids]
                faults += [f"{name}: UID {u} unknown" for u in uids - set(known) if u >= folder.first_uid]
        return faults

    def _folders(self) -> list[Folder]:
        """The rows of the folders that are read now."""
        mailbox = Mailbox.objects.get(pk=self.box.mailbox.pk)
        rows = Folder.objects.filter(mailbox=mailbox, uidvalidity__isnull=False)
        return list(rows.filter(name__in=["INBOX", mailbox.sent_folder]))


def ladder(server: Any, kind: str, user: str, acting_as: Acting) -> str:
    """What the server lets a sync use: the rung that the session chose."""
    from postern.sync import store
    from postern.sync.store import Store
    from postern.wire.imap import open_session

    async def ask(mailbox_id: int) -> str:
        keeper = Store(1)
        try:
            account = await keeper.run(store.load, mailbox_id)
            assert account is not None
            session = await open_session(account.endpoint, account.policy, account.login)
            try:
                return str(getattr(session, "ladder", "plain"))
            finally:
                await session.logout()
        finally:
            keeper.close()

    return asyncio.run(ask(World.open(server, f"rung-{kind}", user, acting_as).box.mailbox.pk))


def _several(words: list[str]) -> str:
    counted = Counter(words)
    if len(words) > 12:
        return f"({len(words)})"
    return " ".join(word if n == 1 else f"{word}×{n}" for word, n in sorted(counted.items()))
