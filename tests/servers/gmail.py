"""What Gmail does beyond other servers, in front of one of them: X-GM-EXT-1, one name for a content in all folders.

    with Gmail(dovecot, "marta@example.test") as front:
        front.port                                 # IMAP without TLS, in front of that account
        front.bodies                               # (folder, UIDs as written) of each FETCH that asked for whole letters

It has neither QRESYNC nor NOTIFY, as Gmail has not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self

from tests.servers.looking import Looking

_OPEN = re.compile(rb'^\S+ (?:SELECT|EXAMINE) "?([^"\r\n(]+?)"?[ \r]', re.IGNORECASE)
_BODIES = re.compile(rb"^\S+ UID FETCH (\S+) \(.*BODY\.PEEK\[\]\)", re.IGNORECASE)
_LISTED = re.compile(rb"^\* \d+ FETCH \((?=.*RFC822\.SIZE)(?=.*UID (\d+))", re.IGNORECASE)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


@dataclass
class _Client:
    folder: str = "INBOX"


class Gmail:
    """Runs in a thread of its own. `msgids`: names (letters by their bytes) to give instead of the usual ones."""

    host = "127.0.0.1"

    def __init__(self, behind: Looking, user: str) -> None:
        self.passwords = behind.passwords
        self.bodies: list[tuple[str, str]] = []
        self.msgids: dict[bytes, int] = {}
        self._behind = behind
        self._user = user
        self._names: dict[tuple[str, int], int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="gmail")
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, self.host, 0, limit=1 << 24))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def msgid(self, folder: str, uid: int) -> int:
        """The name of the letter there: that of its bytes, whatever the folder."""
        if (folder, uid) not in self._names:
            raw = self._behind.fetch_raw(self._user, folder, uid)
            usual = int.from_bytes(hashlib.sha256(raw).digest()[:7]) + 1
            self._names[folder, uid] = self.msgids.get(raw, usual)
        return self._names[folder, uid]

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = _Client()
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind.port)
        ways = [
            asyncio.create_task(self._up(client, reader, behind_writer)),
            asyncio.create_task(self._down(client, behind_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in (writer, behind_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    each.close()
            self._tasks.discard(task)

    async def _up(self, client: _Client, reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            if opened := _OPEN.match(line):
                client.folder = opened[1].decode()
            if asked := _BODIES.match(line):
                self.bodies.append((client.folder, asked[1].decode()))
            writer.write(line.replace(b" X-GM-MSGID X-GM-LABELS", b""))
            await writer.drain()

    async def _down(self, client: _Client, reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            if listed := _LISTED.match(line):
                name = await asyncio.to_thread(self.msgid, client.folder, int(listed[1]))
                told = b"X-GM-MSGID %d X-GM-LABELS () " % name
                line = line[: listed.end()] + told + line[listed.end() :]
            if b"IMAP4rev1" in line:
                line = line.replace(b"IMAP4rev1", b"IMAP4rev1 X-GM-EXT-1", 1)
                line = line.replace(b" QRESYNC", b"").replace(b" NOTIFY", b"")
            writer.write(line)
            if literal := _LITERAL.search(line):
                writer.write(await reader.readexactly(int(literal[1])))
            await writer.drain()
