"""The headers of letters as they stand on the server, without the letters (RFC 3501 section 6.4.5)."""

from collections.abc import Sequence

from postern.wire.imap import commands
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.responses import Fetch
from postern.wire.imap.spool import Spooled

HEADER_BYTES = 256 * 1024
_AT_ONCE = 20
_ITEMS = b"(UID BODY.PEEK[HEADER]<0.%d>)" % HEADER_BYTES


async def beginnings(connection: Connection, uids: Sequence[int]) -> dict[int, bytes]:
    """Headers by UID, with the blank line at the end, each cut at 256 KB; ``\\Seen`` is not set.

    Letters that are gone, or whose header the server does not give, are missing.
    """
    found: dict[int, bytes] = {}
    for some, text in commands.uid_sets(uids, at_most=_AT_ONCE):
        wanted = set(some)
        for event in await connection.do(command("UID FETCH", text, _ITEMS)):
            if isinstance(event, Fetch) and event.uid in wanted and event.header is not None:
                found.setdefault(event.uid, _cut(event.header))
    return found


def _cut(header: bytes) -> bytes:
    """A server that ignores the part we ask for sends all of it; more than a megabyte lies in a file."""
    return header.raw[:HEADER_BYTES] if isinstance(header, Spooled) else header[:HEADER_BYTES]
