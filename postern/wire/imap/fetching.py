"""Whole letters from the open folder, many in one command."""

from collections.abc import AsyncGenerator, Sequence

from postern.wire.imap import commands
from postern.wire.imap.answers import Fetched
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.grammar import UNKNOWN_DATE
from postern.wire.imap.responses import NO_FLAGS, Count, Fetch


async def bodies(connection: Connection, uids: Sequence[int]) -> AsyncGenerator[Fetched, None]:
    """Whole letters one by one, as they come, in the order of ``uids`` by groups; ``\\Seen`` is not set.

    At most one letter and some 1 MB are held; a caller who takes their time slows the server down.
    Letters that are gone are left out. A caller who stops early ends the connection.
    """
    for some, text in commands.uid_sets(uids):
        left = set(some)
        sent = command("UID FETCH", text, b"(UID FLAGS INTERNALDATE BODY.PEEK[])")
        uid_of: dict[int, int] = {}
        async with connection.exchange(sent) as exchange:
            while (event := await exchange.next()) is not None:
                if isinstance(event, Count) and event.what == "EXPUNGE":
                    uid_of.clear()  # sequence numbers have moved
                if not isinstance(event, Fetch):
                    continue
                if event.uid is not None:
                    uid_of[event.sequence] = event.uid
                uid = event.uid or uid_of.get(event.sequence)
                if event.body is None or uid not in left:
                    continue
                left.remove(uid)
                yield Fetched(uid, event.flags or NO_FLAGS, event.internaldate or UNKNOWN_DATE, event.body)
                exchange.extend()
