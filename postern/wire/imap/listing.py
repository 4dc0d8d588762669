"""The folders of a mailbox: which there are, how much is in them, and where a server keeps them."""

from collections.abc import Collection

from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.imap import commands
from postern.wire.imap.answers import Namespaces, Status
from postern.wire.imap.commands import Literal, command
from postern.wire.imap.connection import Connection
from postern.wire.imap.folders import FolderInfo, folder_info, folder_named, wire_name
from postern.wire.imap.responses import Event, Folder, FolderStatus, NamespaceList

# A folder takes one line, or two with its counts.
MOST_LINES = 20_000


class Names:
    """How the server spells the folders it has told us of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told: dict[str, bytes] = {}
        self.skipped = 0

    def learn(self, events: Collection[Event]) -> list[FolderInfo]:
        """The folders among LIST's answers. Names that cannot be handled safely are counted in ``skipped``."""
        infos = self.read(events)
        found = {info.name: info for info in infos if info is not None}
        self.skipped = len(infos) - len(found)
        self._told = {info.name: info.wire_name for info in found.values()}
        return list(found.values())

    def read(self, events: Collection[Event]) -> list[FolderInfo | None]:
        """The folders among LIST's answers as they come; None for a name that cannot be handled safely."""
        utf8 = self._connection.utf8
        return [folder_info(event, utf8=utf8) for event in events if isinstance(event, Folder)]

    def spelled(self, name: str) -> bytes:
        """The server's own spelling of a folder, as LIST gave it when it did. Raises control_bytes."""
        plain = "INBOX" if name.upper() == "INBOX" else name
        return self._told.get(name) or wire_name(plain, utf8=self._connection.utf8)

    def word(self, name: str) -> bytes | Literal:
        """The folder as an argument of a command. Raises control_bytes."""
        wire = self.spelled(name)
        if not wire:
            raise errors.control_bytes("The empty folder name")
        return commands.astring(wire, what="The folder name")


async def folders(connection: Connection, names: Names) -> list[FolderInfo]:
    """All folders, with their purposes where the server knows (RFC 6154)."""
    return names.learn(await _list(connection, _purposes(connection)))


async def folder(connection: Connection, names: Names, name: str) -> FolderInfo | None:
    """One folder with its purpose; None when the server lists none of this name."""
    told = names.read(await _list(connection, _purposes(connection), names.word(name)))
    # A name with a wildcard in it may list others as well.
    return folder_named(name, [one for one in told if one is not None])


async def folders_with_status(
    connection: Connection, names: Names, wanted: Collection[str]
) -> list[tuple[FolderInfo, Status | None]]:
    """All folders with their counts: in one command where the server has LIST-STATUS (RFC 5819).

    Elsewhere only those named in ``wanted`` are asked for, one by one. None: not asked, or no answer.
    """
    if not _can(connection, "LIST-EXTENDED", "LIST-STATUS"):
        found = await folders(connection, names)
        chosen = [one for one in found if one.selectable and one.name in wanted]
        counts = {one.name: await _status_or_none(connection, names, one.name) for one in chosen}
        return [(one, counts.get(one.name)) for one in found]
    returned = [b"SPECIAL-USE"] if "SPECIAL-USE" in connection.capabilities else []
    events = await _list(connection, [*returned, b"STATUS (" + _items(connection) + b")"])
    told = {_same(event.wire_name): event for event in events if isinstance(event, FolderStatus)}
    return [(one, _read(told.get(_same(one.wire_name)))) for one in names.learn(events)]


async def status(connection: Connection, names: Names, name: str) -> Status:
    """Counts of a folder that is not open. Raises ``MailError``, also when the answer says nothing."""
    word = names.word(name)
    events = await connection.do(command("STATUS", word, b"(" + _items(connection) + b")"))
    told = [event for event in events if isinstance(event, FolderStatus)]
    # With NOTIFY on, the counts of others may come in between.
    named = [event for event in told if _same(event.wire_name) == _same(names.spelled(name))]
    read = _read((named or told)[-1]) if told else None
    if read is None:
        raise MailError("server_refused", "The server said nothing about the folder.", temporary=True)
    return read


async def namespaces(connection: Connection) -> Namespaces:
    """Where the server keeps our folders, other people's and shared ones (RFC 2342); empty where it cannot say."""
    if "NAMESPACE" not in connection.capabilities:
        return Namespaces()
    events = await connection.do(command("NAMESPACE"))
    told = next((event for event in events if isinstance(event, NamespaceList)), None)
    return Namespaces() if told is None else Namespaces(told.personal, told.others, told.shared)


def _can(connection: Connection, *names: str) -> bool:
    return connection.capabilities.issuperset(names)


def _purposes(connection: Connection) -> list[bytes]:
    return [b"SPECIAL-USE"] if _can(connection, "LIST-EXTENDED", "SPECIAL-USE") else []


async def _list(
    connection: Connection, returned: list[bytes], pattern: bytes | Literal = b"*"
) -> list[Event]:
    """LIST; a server that calls its own extension BAD is asked plainly."""
    plain = command("LIST", b'""', pattern, max_untagged=MOST_LINES)
    if not returned:
        return await connection.do(plain)
    extended = [b'""', pattern, b"RETURN", b"(" + b" ".join(returned) + b")"]
    exchange = connection.exchange(command("LIST", *extended, max_untagged=MOST_LINES))
    try:
        async with exchange:
            return await exchange.end()
    except MailError:
        if exchange.line is None or exchange.line.status != "BAD":
            raise
    return await connection.do(plain)


async def _status_or_none(connection: Connection, names: Names, name: str) -> Status | None:
    try:
        return await status(connection, names, name)
    except MailError:
        if connection.closed:
            raise
        return None


def _items(connection: Connection) -> bytes:
    wanted = b"MESSAGES UIDNEXT UIDVALIDITY"
    if connection.capabilities & {"CONDSTORE", "QRESYNC"}:
        wanted += b" HIGHESTMODSEQ"
    return wanted  # and not MAILBOXID: quirk mailboxid_garbage


def _read(told: FolderStatus | None) -> Status | None:
    if told is None or "MESSAGES" not in told.items:
        return None
    counts = told.items
    return Status(
        counts["MESSAGES"],
        counts.get("UIDNEXT") or None,  # quirk uidnext_missing
        counts.get("UIDVALIDITY", 0),
        counts.get("HIGHESTMODSEQ"),
    )


def _same(wire: bytes) -> bytes:
    """INBOX is INBOX in any spelling, other names are what they are."""
    return b"INBOX" if wire.upper() == b"INBOX" else wire
