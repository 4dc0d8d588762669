"""A small IMAP server on loopback with two folders: what it tells of them, and when, is the test's to say."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

_NUMBER = re.compile(rb"\d+")
_DATE = b'"23-Nov-2026 12:00:00 +0000"'


@dataclass
class Talk:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    opened: str = "INBOX"
    told: int = 0
    handed_over: int = 0
    idles: int = 0
    heard: list[str] = field(default_factory=list)

    async def say(self, *lines: bytes) -> None:
        """Send lines."""
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        await self.writer.drain()


Tells = Callable[[Talk], Awaitable[None]]


async def nothing(_: Talk) -> None:
    """Never a word."""
    await asyncio.Event().wait()


@dataclass
class Teller:
    """Letters by folder; a letter's UID is its place there. `asked` counts the commands, `talks` are the connections,
    `opened` are folders, `refused` are some by name, `uses` what a folder is for (RFC 6154), `drops` are folders at
    whose opening the connection ends, which it also does behind `breaks_after` letters; `withholds` are items by UID
    that FETCH leaves out and then says NO.

    `tells` is what it does in IDLE, which is over when that ends; `deaf_to_idle`: it never says that it waits.
    `before_idle` happens when IDLE was asked for and has not begun: its argument counts the IDLEs since a folder was
    opened.
    """

    capabilities: bytes = b"IMAP4rev1 IDLE"
    tells: Tells = nothing
    refused: Mapping[str, bytes] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)
    uses: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int = 0
    deaf_to_idle: bool = False
    withholds: dict[int, bytes] = field(default_factory=dict)
    before_idle: Callable[[int], None] = lambda _: None
    folders: dict[str, list[bytes]] = field(default_factory=lambda: {"INBOX": [], "Sent": []})
    asked: Counter[str] = field(default_factory=Counter)
    opened: set[str] = field(default_factory=set)
    talks: list[Talk] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # asyncio: no delay
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.passwords = defaultdict(lambda: "secret")
        self._came = asyncio.Event()

    @property
    def looks(self) -> int:
        """How often a folder was opened."""
        return self.asked["EXAMINE"] + self.asked["SELECT"]

    def add(self, raw: bytes, folder: str = "INBOX") -> None:
        """A letter comes."""
        self.folders[folder].append(raw)
        self._came.set()

    async def what_comes(self, talk: Talk) -> None:
        """For `tells`: letters that come during IDLE, and none that came before it."""
        talk.told = len(self.folders[talk.opened])
        await self.honestly(talk)

    async def honestly(self, talk: Talk) -> None:
        """For `tells`: letters that were not told of."""
        while True:
            self._came.clear()
            if talk.told < (count := len(self.folders[talk.opened])):
                talk.told = count
                await talk.say(b"* %d EXISTS" % count)
            await self._came.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Teller]:
        """Serve on `port`; once."""
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
                await self._talk(Talk(reader, writer))
            writer.close()

        server = await asyncio.start_server(serve, sock=self._socket)
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self, talk: Talk) -> None:
        self.talks.append(talk)
        await talk.say(b"* OK [CAPABILITY IMAP4rev1] ready")
        while line := await talk.reader.readline():
            tag, _, words = line.strip().partition(b" ")
            name = words.removeprefix(b"UID ").split(b" ")[0].decode().upper()
            self.asked[name] += 1
            talk.heard.append(name)
            refusal = self.refused.get(name, b"")
            if not refusal:
                refusal = await getattr(self, f"_{name.lower()}")(talk, words) or b""
            await talk.say(tag + b" " + (refusal or b"OK done"))

    async def _login(self, talk: Talk, _: bytes) -> None:
        await talk.say(b"* CAPABILITY " + self.capabilities)

    async def _logout(self, talk: Talk, _: bytes) -> None:
        await talk.say(b"* BYE bye")

    async def _notify(self, talk: Talk, _: bytes) -> None:
        await talk.say(self.status("Sent"))

    async def _examine(self, talk: Talk, words: bytes) -> None:
        talk.opened, talk.idles = words.split(b" ")[1].strip(b'"').decode(), 0
        self.opened.add(talk.opened)
        if talk.opened in self.drops:
            raise EOFError
        count = talk.told = len(self.folders[talk.opened])
        await talk.say(
            b"* %d EXISTS" % count, b"* OK [UIDVALIDITY 7] .", b"* OK [UIDNEXT %d] ." % (count + 1)
        )

    _select = _examine

    async def _list(self, talk: Talk, words: bytes) -> None:
        name = words.split(b" ")[2].strip(b'"')
        if name.decode() in self.folders:
            await talk.say(b'* LIST (%s) "/" %s' % (self.uses.get(name.decode(), b""), name))

    async def _status(self, talk: Talk, words: bytes) -> None:
        await talk.say(self.status(words.split(b" ")[1].strip(b'"').decode()))

    def status(self, folder: str) -> bytes:
        """The counts of a folder, as a line."""
        count = len(self.folders[folder])
        return b"* STATUS %s (MESSAGES %d UIDNEXT %d UIDVALIDITY 7)" % (folder.encode(), count, count + 1)

    async def _search(self, talk: Talk, words: bytes) -> None:
        await talk.say(b"* SEARCH" + b"".join(b" %d" % uid for uid in self._among(talk, words)))

    async def _fetch(self, talk: Talk, words: bytes) -> bytes:
        refusal = b""
        uids, _, items = words.partition(b" (")
        for uid in self._among(talk, uids):
            raw = self.folders[talk.opened][uid - 1]
            if self.withholds.get(uid, b"-") in items:
                refusal = b"NO Some messages could not be FETCHed (Failure)"
                continue
            line = b"* %d FETCH (UID %d FLAGS () INTERNALDATE %s" % (uid, uid, _DATE)
            whole = b"BODY.PEEK[]" in items
            if whole:
                line += b" BODY[] {%d}\r\n%s" % (len(raw), raw)
            elif b"HEADER" in items:
                head = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                line += b" BODY[HEADER]<0> {%d}\r\n%s" % (len(head), head)
            else:
                line += b" RFC822.SIZE %d" % len(raw)
            await talk.say(line + b")")
            talk.handed_over += whole
            if talk.handed_over == self.breaks_after > 0:
                raise EOFError
        return refusal

    def _among(self, talk: Talk, words: bytes) -> list[int]:
        """The UIDs there are of the ranges in a command."""
        low, *high = [int(number) for number in _NUMBER.findall(words)] or [1, len(self.folders[talk.opened])]
        last = len(self.folders[talk.opened]) if b"*" in words else max([low, *high])
        return [uid for uid in range(low, last + 1) if uid <= len(self.folders[talk.opened])]

    async def _idle(self, talk: Talk, _: bytes) -> None:
        talk.idles += 1
        self.before_idle(talk.idles)
        if self.deaf_to_idle:
            return await self.tells(talk)
        await talk.say(b"+ idling")
        telling = asyncio.ensure_future(self.tells(talk))
        done = asyncio.ensure_future(talk.reader.readline())
        try:
            await asyncio.wait({telling, done}, return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                talk.heard.append(done.result().strip().decode())
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            if not done.done():
                done.cancel()
                await asyncio.gather(done, return_exceptions=True)
