"""An IMAP server in this process: pymap's dictionary backend with a way to put letters in from outside.

It speaks IMAP4rev1 with IDLE, UIDPLUS, MOVE and LITERAL+, and has no SPECIAL-USE: folders are known by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from argparse import Namespace
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from proxyprotocol.result import ProxyResultLocal
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement
from pymap.parsing.specials.flag import Flag
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

FOLDERS = ("Sent", "Drafts", "Trash", "Junk")
"""What every account has beside INBOX."""
LARGEST = 50_000_000  # bytes of one letter


@dataclass(frozen=True)
class Stored:
    """A letter as it lies on the server."""

    uid: int
    flags: frozenset[str]
    date: datetime
    raw: bytes


class _Config(Config):
    @property
    def greeting(self) -> bytes:
        return b"Northlink Fibre mail"  # pymap would ask the DNS for this machine's name


class _Inbox(MailboxData):
    """pymap tells a client that begins to IDLE nothing of what came just before; that letter would wait a minute.

    So would one after a DONE that comes while pymap has told of a letter and is about to wait again: it does not look
    whether the IDLE has ended meanwhile, and answers at the next letter.
    """

    async def update_selected(self, selected: Any, *, wait_on: Any = None) -> Any:
        """Wait for news only where there is none already, and while anybody still waits."""
        pending = selected.mod_sequence not in (None, self._mod_sequences.highest)
        ended = wait_on is not None and wait_on.is_set()
        return await super().update_selected(selected, wait_on=None if pending or ended else wait_on)


class Imap:
    """Accounts with their folders, in memory, and the server that shows them. Use it in one event loop.

    tls: offer STARTTLS, and refuse passwords before it; without, passwords travel in plain text.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        arguments = Namespace(passlib_cfg=None, proxy_protocol=None)
        self._config = _Config(
            arguments,
            demo_data=False,
            demo_user="",
            demo_password="",
            host=None,
            port=0,
            tls_enabled=tls is not None,
            ssl_context=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            hash_context=Cleartext(),  # a slow hash would protect nobody: everything here is invented
            max_append_len=LARGEST,
            invalid_user_sleep=0.0,
        )
        self._login = Login(self._config)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `self.port` is the port, also when 0 let the system choose."""
        self._config.apply_context()
        serve = IMAPServer(self._login, self._config)

        async def client(incoming: StreamReader, outgoing: StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._clients.add(task)
            try:
                info = SocketInfo.get(outgoing, ProxyResultLocal(), unique_id=uuid4().bytes)
                await serve(incoming, outgoing, info)
            except asyncio.CancelledError:
                pass  # we stop: the connection is closed, and asyncio would log a cancelled handler as a fault
            finally:
                self._clients.discard(task)
                outgoing.close()

        self._server = await asyncio.start_server(client, host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection. The mail stays; start() goes on at the same port."""
        if self._server is not None:
            self._server.close()
            await self.drop_connections()
            self._server = None

    async def drop_connections(self) -> None:
        """Close what is open, as a restart of the server would."""
        clients = list(self._clients)
        for task in clients:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.gather(*clients, return_exceptions=True)

    async def add_account(self, address: str, password: str) -> None:
        """Make an account with the usual folders, empty."""
        self._login.users_dict[address] = UserMetadata(self._config, address, password=password)
        folders = MailboxSet()
        folders._inbox = _Inbox(folders._content_cache, folders._thread_cache)
        for name in FOLDERS:
            await folders.add_mailbox(name)
            await folders.set_subscribed(name, True)
        self._config.set_cache[address] = (folders, FilterSet())

    def set_password(self, address: str, password: str) -> None:
        """Change a password: new sign-ins need it, open connections go on."""
        users = self._login.users_dict
        users[address] = replace(users[address], password=password)

    def right_password(self, address: str, password: str) -> bool:
        """True when this account exists and has this password."""
        user = self._login.users_dict.get(address)
        return user is not None and user.password == password

    def has(self, address: str) -> bool:
        """True when there is such an account."""
        return address in self._login.users_dict

    async def put(
        self,
        address: str,
        folder: str,
        raw: bytes,
        *,
        flags: Sequence[str] = (),
        date: datetime | None = None,
    ) -> int:
        """Put a letter into a folder and return its UID; idling clients are told. KeyError when not there."""
        box = await self._folder(address, folder)
        when = date or datetime.now(UTC)
        letter = AppendMessage(raw, when, frozenset(Flag(name.encode("ascii")) for name in flags))
        stored = await box.append(letter, recent=True)
        return int(stored.uid)

    async def letters(self, address: str, folder: str = "INBOX") -> list[Stored]:
        """Everything in a folder, oldest UID first. KeyError when it is not there."""
        box = await self._folder(address, folder)
        found = []
        async for message in box.messages():
            loaded = await message.load_content(FetchRequirement.CONTENT)
            flags = frozenset(bytes(flag).decode("ascii") for flag in message.permanent_flags)
            raw = bytes(loaded.get_body())
            found.append(Stored(message.uid, flags, message.internal_date, raw))
        return found

    async def _folder(self, address: str, folder: str) -> MailboxData:
        folders, _ = self._config.set_cache[address]
        return await folders.get_mailbox(folder)
