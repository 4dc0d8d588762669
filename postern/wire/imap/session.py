"""A signed-in IMAP connection: one method per thing Postern wants of a mail server.

One command at a time. Every method ends within its deadline, with an answer or a ``MailError``; after an
error other than a refusal the connection is closed and every further call says ``connection_lost``.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from datetime import datetime

from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.imap import changes, commands, fetching, selecting
from postern.wire.imap.answers import Changed, Fetched, Known, Listed, Selected, Status
from postern.wire.imap.commands import Command, Literal, command
from postern.wire.imap.connection import Connection, Exchange
from postern.wire.imap.folders import FolderInfo, folder_info
from postern.wire.imap.grammar import UNKNOWN_DATE, ProtocolError, number_or_none
from postern.wire.imap.link import Deadline
from postern.wire.imap.mutf7 import encode_mutf7
from postern.wire.imap.responses import (
    MAX_MODSEQ,
    NO_FLAGS,
    Continuation,
    Count,
    Enabled,
    Event,
    Fetch,
    Folder,
    FolderStatus,
    Vanished,
)
from postern.wire.imap.uidset import MAX_UID, UidSet
from postern.wire.tls import CertificateSeen

# RFC 2177 allows 29 minutes; routers in between forget a silent connection sooner.
LONGEST_IDLE = 9 * 60.0
SHORT_IDLE = 5 * 60.0
MOST_LISTED = 1_000_000


class Session:
    """See the module. Made by ``open_session``; also an async context manager that logs out."""

    def __init__(
        self,
        connection: Connection,
        certificate: CertificateSeen | None = None,
        quirks: frozenset[str] = frozenset(),
    ) -> None:
        self.connection = connection
        self.certificate = certificate
        self.quirks = quirks
        self.skipped_folders = 0
        self._wire_names: dict[str, bytes] = {}

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.logout()

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server can do, in upper case, as told after the sign-in."""
        return self.connection.capabilities

    @property
    def closed(self) -> bool:
        """True when the connection has ended."""
        return self.connection.closed

    @property
    def longest_idle(self) -> float:
        """Seconds after which IDLE should be renewed on this server."""
        return SHORT_IDLE if "short_idle" in self.quirks else LONGEST_IDLE

    def abort(self) -> None:
        """Close the connection without a word."""
        self.connection.abort()

    async def list_folders(self) -> list[FolderInfo]:
        """All folders. Names that cannot be handled safely are left out and counted in ``skipped_folders``."""
        arguments: list[bytes] = [b'""', b"*"]
        if "SPECIAL-USE" in self.capabilities and "LIST-EXTENDED" in self.capabilities:
            arguments += [b"RETURN", b"(SPECIAL-USE)"]
        events = await self.connection.do(command("LIST", *arguments))
        infos = [folder_info(event) for event in events if isinstance(event, Folder)]
        found = {info.name: info for info in infos if info is not None}
        self.skipped_folders = len(infos) - len(found)
        self._wire_names = {info.name: info.wire_name for info in found.values()}
        return list(found.values())

    @property
    def ladder(self) -> changes.Ladder:
        """The best way this server offers to learn what changed in a folder."""
        return changes.ladder(self.connection)

    async def select(self, name: str, *, readonly: bool = False, known: Known | None = None) -> Selected:
        """Open a folder (SELECT or EXAMINE). Raises folder_missing when there is none of this name.

        With ``known`` a server with QRESYNC tells in the same answer what happened since.
        """
        return await selecting.open_folder(
            self.connection, self._folder(name), readonly=readonly, known=known
        )

    async def uid_changes(self, since: int) -> list[Changed]:
        """Letters that came or changed after the mod-sequence ``since``; see ``changes.changed_since``."""
        self.connection.news = False
        return await changes.changed_since(self.connection, since)

    async def uid_flags(self, uids: str) -> list[Changed]:
        """The flags of letters, for the windowed compare where the server has no CONDSTORE."""
        return await changes.flags_of(self.connection, uids)

    async def uid_search_set(self, criteria: changes.Criteria) -> UidSet:
        """The UIDs that match, however many; see ``commands.search`` for the criteria."""
        self.connection.news = False
        return await changes.search(self.connection, criteria)

    async def uid_search(self, criteria: changes.Criteria) -> list[int]:
        """UIDs that match, in ascending order; at most a million."""
        try:
            return (await self.uid_search_set(criteria)).listed(MOST_LISTED)
        except ValueError as error:
            self.abort()
            raise ProtocolError(str(error)) from None

    async def uid_fetch_headers(self, uids: Sequence[int] | str) -> list[Listed]:
        """Flags, date and size of letters, in ascending order of UID; a set may be written, as ``"100:*"``.

        Letters that are gone, or of which the server tells no UID, are missing from the list.
        """
        self.connection.news = False
        if isinstance(uids, str):
            return await self._headers(commands.written_set(uids), None)
        listed: list[Listed] = []
        for some, text in commands.uid_sets(sorted(uids)):
            listed += await self._headers(text, set(some))
        return listed

    async def _headers(self, text: bytes, wanted: set[int] | None) -> list[Listed]:
        most = 2 * (self.connection.exists if wanted is None else len(wanted)) + commands.DEFAULT_UNTAGGED
        events = await self.connection.do(
            command("UID FETCH", text, b"(UID FLAGS INTERNALDATE RFC822.SIZE)", max_untagged=most)
        )
        found: dict[int, Fetch] = {}
        for event in events:
            if isinstance(event, Fetch) and event.uid and (wanted is None or event.uid in wanted):
                known = found.setdefault(event.uid, event)
                known.flags = known.flags if event.flags is None else event.flags
                known.size = event.size if known.size is None else known.size
                known.internaldate = known.internaldate or event.internaldate
        # An unsolicited FETCH may name a UID with new flags only: no size, so it is not what was asked for.
        return [
            Listed(uid, one.flags or NO_FLAGS, one.internaldate or UNKNOWN_DATE, one.size)
            for uid, one in sorted(found.items())
            if one.size is not None
        ]

    def uid_fetch_bodies(
        self, uids: Sequence[int], *, sizes: Mapping[int, int] | None = None
    ) -> AsyncGenerator[Fetched, None]:
        """Whole letters as they come; see ``fetching.bodies``."""
        return fetching.bodies(self.connection, uids, sizes=sizes)

    async def uid_store(
        self, uids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove flags without asking back."""
        for word, flags in ((b"+FLAGS.SILENT", add), (b"-FLAGS.SILENT", remove)):
            if flags:
                for _, text in commands.uid_sets(uids):
                    await self.connection.do(command("UID STORE", text, word, commands.flag_list(flags)))

    async def uid_copy(self, uids: Sequence[int], folder: str) -> None:
        """Copy letters of the open folder into another."""
        for _, text in commands.uid_sets(uids):
            await self.connection.do(command("UID COPY", text, self._folder(folder)))

    async def uid_move(self, uids: Sequence[int], folder: str) -> None:
        """Move letters (RFC 6851), or copy, mark and expunge just these (UIDPLUS).

        Raises server_refused, before anything is done, on a server with neither: a plain EXPUNGE would
        also delete what another program has marked.
        """
        if "MOVE" in self.capabilities:
            for _, text in commands.uid_sets(uids):
                await self.connection.do(command("UID MOVE", text, self._folder(folder)))
        elif "UIDPLUS" in self.capabilities:
            for some, text in commands.uid_sets(uids):
                await self.uid_copy(some, folder)
                await self.uid_store(some, add=["\\Deleted"])
                await self.connection.do(command("UID EXPUNGE", text))
        else:
            raise MailError(
                "server_refused",
                "This mail server offers no safe way to move letters.",
                "Move them with another mail program.",
                temporary=False,
            )

    async def append(
        self,
        folder: str,
        raw: bytes,
        *,
        flags: Sequence[str] = ("\\Seen",),
        internaldate: datetime | None = None,
    ) -> tuple[int, int] | None:
        """Put a letter into a folder; (UIDVALIDITY, UID) where the server tells (UIDPLUS, RFC 4315)."""
        self._check_size(len(raw))
        sent = commands.append(self._folder(folder), raw, flags, internaldate)
        async with self.connection.exchange(sent) as exchange:
            await exchange.end()
        assert exchange.line is not None
        pair = exchange.line.arguments.split()
        if exchange.line.code != "APPENDUID" or len(pair) != 2:
            return None
        uidvalidity, uid = (number_or_none(one, MAX_UID) for one in pair)
        return (uidvalidity, uid) if uidvalidity and uid else None

    def _check_size(self, size: int) -> None:
        told = [name[12:] for name in self.capabilities if name.startswith("APPENDLIMIT=")]
        limit = number_or_none(told[0].encode(), MAX_MODSEQ) if told else None
        if limit is not None and size > limit:
            raise MailError(
                "too_large",
                f"The letter has {size} bytes; the mail server takes at most {limit}.",
                "Make the attachments smaller.",
                temporary=False,
            )

    async def idle(self, *, seconds: float, wake: asyncio.Event | None = None) -> bool:
        """Wait (RFC 2177). True as soon as something changed in the open folder, False after ``seconds``.

        News that came with the answers to other commands since the last search counts at once. ``wake``
        ends the waiting early and politely, so that the session stays usable.
        """
        if self.connection.news:
            self.connection.news = False
            return True
        async with self.connection.exchange(Command("IDLE", [b"IDLE"], flow="idle")) as exchange:
            changed = await self._idle_until_news(exchange, seconds, wake)
            await exchange.done()
            for event in await exchange.end():
                changed = _is_change(event) or changed
        changed, self.connection.news = changed or self.connection.news, False
        return changed

    async def _idle_until_news(
        self, exchange: Exchange, seconds: float, wake: asyncio.Event | None = None
    ) -> bool:
        changed = False
        while not isinstance(event := await exchange.next(), Continuation):
            changed = changed or _is_change(event) or self.connection.news  # quirk exists_before_idle_plus
        until = Deadline.after(seconds, "")
        while not changed:
            left = until.at - Deadline.after(0, "").at
            event = await _unless(wake, exchange.poll(max(0.0, left)))
            if event is None:
                return False
            changed = _is_change(event) or self.connection.news
        return changed

    async def status(self, folder: str) -> Status:
        """Counts of a folder that is not open."""
        wanted = b"MESSAGES UIDNEXT UIDVALIDITY"
        if "CONDSTORE" in self.capabilities or "QRESYNC" in self.capabilities:
            wanted += b" HIGHESTMODSEQ"
        events = await self.connection.do(command("STATUS", self._folder(folder), b"(" + wanted + b")"))
        told: dict[str, int] = {}
        for event in events:
            if isinstance(event, FolderStatus):
                told = event.items
        if "MESSAGES" not in told:
            raise MailError("server_refused", "The server said nothing about the folder.", temporary=True)
        return Status(
            told["MESSAGES"], told.get("UIDNEXT"), told.get("UIDVALIDITY", 0), told.get("HIGHESTMODSEQ")
        )

    async def enable(self, *wanted: str) -> frozenset[str]:
        """Turn extensions on (RFC 5161); those that are now on."""
        events = await self.connection.do(command("ENABLE", *(commands.atom(name) for name in wanted)))
        return frozenset[str]().union(*(event.names for event in events if isinstance(event, Enabled)))

    async def noop(self) -> None:
        """Ask whether the connection lives."""
        await self.connection.do(command("NOOP"))

    async def logout(self) -> None:
        """Say goodbye and close; never raises, for the connection ends either way."""
        try:
            if not self.closed and not self.connection.busy:
                await self.connection.do(command("LOGOUT"), seconds=min(self.connection.timeout, 5))
        except MailError:
            pass
        finally:
            self.abort()

    def _folder(self, name: str) -> bytes | Literal:
        """The wire's word for a folder, as LIST spelled it when it did."""
        wire = self._wire_names.get(name) or encode_mutf7("INBOX" if name.upper() == "INBOX" else name)
        if not wire:
            raise errors.control_bytes("The empty folder name")
        return commands.astring(wire, what="The folder name")


def _is_change(event: Event | None) -> bool:
    return isinstance(event, Fetch | Vanished) or (isinstance(event, Count) and event.what == "EXPUNGE")


async def _unless(wake: asyncio.Event | None, waiting: Coroutine[None, None, Event | None]) -> Event | None:
    """What ``waiting`` gives, or None as soon as ``wake`` is set. Waiting for an event loses nothing when cut."""
    if wake is None:
        return await waiting
    tasks = asyncio.ensure_future(waiting), asyncio.ensure_future(wake.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
