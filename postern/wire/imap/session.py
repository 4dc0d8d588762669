"""A signed-in IMAP connection: one method per thing Postern wants of a mail server.

One command at a time. Every method ends within its deadline, with an answer or a ``MailError``; after an
error other than a refusal the connection is closed and every further call says ``connection_lost``.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime

from postern.wire.errors import MailError
from postern.wire.imap import (
    beginnings,
    changes,
    commands,
    compress,
    copying,
    fetching,
    headers,
    listing,
    selecting,
    waiting,
)
from postern.wire.imap.answers import (
    Changed,
    Copied,
    Fetched,
    Known,
    Listed,
    Namespaces,
    Selected,
    Status,
)
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.folders import FolderInfo
from postern.wire.imap.grammar import ProtocolError, number_or_none
from postern.wire.imap.quirks import bytes_a_day, bytes_up_a_day
from postern.wire.imap.responses import MAX_MODSEQ, Enabled
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
        self._names = listing.Names(connection)

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

    @property
    def bytes_a_day(self) -> int:
        """How many bytes this provider lets be downloaded in a day; 0 where no limit is known."""
        return bytes_a_day(self.quirks)

    @property
    def bytes_up_a_day(self) -> int:
        """How many bytes it lets be appended in a day; 0 where no limit is known."""
        return bytes_up_a_day(self.quirks)

    @property
    def names_content(self) -> bool:
        """True where letters of one ``emailid`` are one letter in several folders, whose bytes are the same (R-019)."""
        return "labels" in self.quirks

    @property
    def received(self) -> int:
        """Bytes that came over this connection so far."""
        return self.connection.link.received

    def abort(self) -> None:
        """Close the connection without a word."""
        self.connection.abort()

    @property
    def skipped_folders(self) -> int:
        """How many names of the last listing could not be handled safely."""
        return self._names.skipped

    async def list_folders(self) -> list[FolderInfo]:
        """All folders. Names that cannot be handled safely are left out and counted in ``skipped_folders``."""
        return await listing.folders(self.connection, self._names)

    async def folder(self, name: str) -> FolderInfo | None:
        """One folder with its purpose; None when the server lists none of this name."""
        return await listing.folder(self.connection, self._names, name)

    async def list_with_status(self, wanted: Collection[str] = ()) -> list[tuple[FolderInfo, Status | None]]:
        """All folders, with counts for those ``wanted`` at least; see ``listing.folders_with_status``."""
        return await listing.folders_with_status(self.connection, self._names, wanted)

    async def namespaces(self) -> Namespaces:
        """Where the server keeps our folders, other people's and shared ones."""
        return await listing.namespaces(self.connection)

    @property
    def ladder(self) -> changes.Ladder:
        """The best way this server offers to learn what changed in a folder."""
        return changes.ladder(self.connection)

    async def select(self, name: str, *, readonly: bool = False, known: Known | None = None) -> Selected:
        """Open a folder (SELECT or EXAMINE). Raises folder_missing when there is none of this name.

        With ``known`` a server with QRESYNC tells in the same answer what happened since.
        """
        return await selecting.open_folder(
            self.connection, self._names.word(name), readonly=readonly, known=known
        )

    async def uid_changes(self, since: int) -> list[Changed]:
        """Letters that came or changed after the mod-sequence ``since``; see ``changes.changed_since``."""
        return await changes.changed_since(self.connection, since)

    async def uid_flags(self, uids: str) -> list[Changed]:
        """The flags of letters, for the windowed compare where the server has no CONDSTORE."""
        return await changes.flags_of(self.connection, uids)

    async def uid_search_set(self, criteria: changes.Criteria) -> UidSet:
        """The UIDs that match, however many; see ``commands.search`` for the criteria."""
        return await changes.search(self.connection, criteria)

    async def uid_search(self, criteria: changes.Criteria) -> list[int]:
        """UIDs that match, in ascending order; at most a million."""
        try:
            return (await self.uid_search_set(criteria)).listed(MOST_LISTED)
        except ValueError as error:
            self.abort()
            raise ProtocolError(str(error)) from None

    async def uid_fetch_headers(self, uids: Sequence[int] | str) -> list[Listed]:
        """Flags, date and size of letters, in ascending order of UID; see ``headers.headers``."""
        return await headers.headers(self.connection, uids)

    def uid_fetch_bodies(
        self, uids: Sequence[int], *, sizes: Mapping[int, int] | None = None, depth: int | None = None
    ) -> AsyncGenerator[Fetched, None]:
        """Whole letters as they come, ``depth`` commands at a time; see ``fetching.bodies``."""
        if depth is None:
            depth = 1 if "one_fetch_at_a_time" in self.quirks else fetching.DEPTH
        return fetching.bodies(self.connection, uids, sizes=sizes, depth=depth)

    async def uid_fetch_beginnings(self, uids: Sequence[int]) -> dict[int, bytes]:
        """The headers of letters by UID, bounded; see ``beginnings.beginnings``."""
        return await beginnings.beginnings(self.connection, uids)

    async def compress(self) -> bool:
        """Turn compression on, for slow links (RFC 4978); False where the server does not offer it or refuses."""
        if compress.CAPABILITY not in self.capabilities:
            return False
        try:
            await self.connection.do(command("COMPRESS", b"DEFLATE"))
        except MailError:
            if self.closed:
                raise
            return False
        self.connection.link.compressed(compress.Codec())
        return True

    async def uid_store(
        self, uids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove flags without asking back."""
        for word, flags in ((b"+FLAGS.SILENT", add), (b"-FLAGS.SILENT", remove)):
            if flags:
                for _, text in commands.uid_sets(uids):
                    await self.connection.do(command("UID STORE", text, word, commands.flag_list(flags)))

    async def uid_copy(self, uids: Sequence[int], folder: str) -> Copied:
        """Copy letters of the open folder into another; where they lie there, as far as the server tells."""
        return await copying.copy(self.connection, uids, self._names.word(folder))

    @property
    def moves_by_copying(self) -> bool:
        """True where a move is COPY, STORE and ``uid_expunge``: MOVE is missing or not trusted, and UIDPLUS is there."""
        trusted = "move_not_trusted" not in self.quirks
        return "UIDPLUS" in self.capabilities and not (trusted and "MOVE" in self.capabilities)

    async def uid_move(self, uids: Sequence[int], folder: str) -> Copied:
        """Move letters into another folder at once; refused, before anything is done, without MOVE."""
        return await copying.move(self.connection, uids, self._names.word(folder))

    async def uid_expunge(self, uids: Sequence[int]) -> None:
        """Delete just these of the letters marked ``\\Deleted``; refused without UIDPLUS."""
        await copying.expunge(self.connection, uids)

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
        word, utf8 = self._names.word(folder), self.connection.utf8
        sent = commands.append(word, raw, flags, internaldate, utf8=utf8)
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
        """Wait for news of the open folder (RFC 2177) and of those watched; see ``waiting.idle``."""
        return await waiting.idle(self.connection, seconds=seconds, wake=wake)

    async def watch(self, folders: Collection[str]) -> bool:
        """Have the server tell of these folders too (NOTIFY); False when it cannot. See ``waiting.watch``."""
        return await waiting.watch(self.connection, [self._names.word(name) for name in folders])

    @property
    def watching(self) -> bool:
        """True while the server tells of the folders of ``watch``; it may give that up at any moment."""
        return self.connection.watching

    async def status(self, folder: str) -> Status:
        """Counts of a folder that is not open."""
        return await listing.status(self.connection, self._names, folder)

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
