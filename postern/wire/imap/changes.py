"""What changed in the open folder, at the price of the change: the steps of the ladder below QRESYNC (RFC 7162)."""

from collections.abc import Sequence
from datetime import date
from typing import Literal as Choice

from postern.wire.imap import commands
from postern.wire.imap.answers import Changed
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.grammar import ProtocolError
from postern.wire.imap.responses import MAX_MODSEQ, Event, Fetch, Found, Other
from postern.wire.imap.selecting import EXTEND_EVERY, MOST_ANSWERS, in_order, note_change
from postern.wire.imap.uidset import Range, UidSet

Ladder = Choice["qresync", "condstore+esearch", "condstore", "plain"]
Criteria = str | Sequence[str | bytes | int | date]


def ladder(connection: Connection) -> Ladder:
    """The best way this server offers to learn what changed; known after the sign-in."""
    if "QRESYNC" in connection.enabled:
        return "qresync"
    if "CONDSTORE" in connection.capabilities:
        return "condstore+esearch" if "ESEARCH" in connection.capabilities else "condstore"
    return "plain"


async def changed_since(connection: Connection, since: int) -> list[Changed]:
    """The letters whose flags changed, or that came, after the mod-sequence ``since``, ascending by UID.

    Raises ``ValueError`` for what is no mod-sequence, ``MailError`` where the server has no CONDSTORE.
    """
    if not 0 <= since <= MAX_MODSEQ:
        raise ValueError("not a mod-sequence")
    return await _flags(connection, b"1:*", b"(CHANGEDSINCE %d)" % max(1, since))


async def flags_of(connection: Connection, uids: str) -> list[Changed]:
    """The flags of letters, ascending by UID; ``uids`` as ``"1:500"``. Letters that are gone are missing."""
    return await _flags(connection, commands.written_set(uids))


async def _flags(connection: Connection, text: bytes, *modifier: bytes) -> list[Changed]:
    most = min(MOST_ANSWERS, 2 * connection.exists + commands.DEFAULT_UNTAGGED)
    found: dict[int, Changed] = {}
    count = 0
    sent = command("UID FETCH", text, b"(UID FLAGS)", *modifier, max_untagged=most)
    async with connection.exchange(sent) as exchange:
        while (event := await exchange.next()) is not None:
            count += 1
            if count % EXTEND_EVERY == 0:
                exchange.extend()
            if isinstance(event, Fetch):
                note_change(found, event)
    return list(in_order(found))


async def search(connection: Connection, criteria: Criteria) -> UidSet:
    """The UIDs that match, asked and told as ranges where the server has ESEARCH (RFC 4731).

    An answer that cannot be read is an error: a listing that misses letters would have them deleted (I7).
    """
    compact = "ESEARCH" in connection.capabilities
    sent = commands.search(criteria, compact=compact, utf8=connection.utf8)
    async with connection.exchange(sent) as exchange:
        events = await exchange.end()
    assert exchange.line is not None
    return _found(events, exchange.line.tag, must_answer=compact)


def _found(events: list[Event], tag: str, *, must_answer: bool) -> UidSet:
    ranges: list[Range] = []
    answered = False
    for event in events:
        if isinstance(event, Other) and event.kind in ("SEARCH", "ESEARCH"):
            raise ProtocolError("the list of letters cannot be read")
        if isinstance(event, Found) and event.tag in ("", tag):
            answered = True
            ranges += event.uids.ranges()
    if must_answer and not answered:
        raise ProtocolError("the list of letters did not come")
    return UidSet(ranges)
