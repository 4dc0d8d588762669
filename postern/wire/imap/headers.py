"""Letters without their content: flags, date, size, and the server's own name for them where it has one."""

from collections.abc import Sequence

from postern.wire.imap import commands
from postern.wire.imap.answers import Listed
from postern.wire.imap.commands import command
from postern.wire.imap.connection import Connection
from postern.wire.imap.grammar import UNKNOWN_DATE
from postern.wire.imap.mutf7 import decode_mutf7
from postern.wire.imap.responses import NO_FLAGS, Event, Fetch


async def headers(connection: Connection, uids: Sequence[int] | str) -> list[Listed]:
    """In ascending order of UID; a set may be written, as ``"100:*"``.

    Letters that are gone, or of which the server tells no UID, are missing from the list.
    """
    if isinstance(uids, str):
        return await _some(connection, commands.written_set(uids), None)
    listed: list[Listed] = []
    for some, text in commands.uid_sets(sorted(uids)):
        listed += await _some(connection, text, set(some))
    return listed


async def _some(connection: Connection, text: bytes, wanted: set[int] | None) -> list[Listed]:
    most = 2 * (connection.exists if wanted is None else len(wanted)) + commands.DEFAULT_UNTAGGED
    events = await connection.do(command("UID FETCH", text, _items(connection), max_untagged=most))
    # An unsolicited FETCH may name a UID with new flags only: no size, so it is not what was asked for.
    return [
        Listed(
            uid,
            one.flags or NO_FLAGS,
            one.internaldate or UNKNOWN_DATE,
            one.size,
            one.emailid or "",
            _labels(one.labels, utf8=connection.utf8),
        )
        for uid, one in sorted(_merged(events, wanted).items())
        if one.size is not None
    ]


def _items(connection: Connection) -> bytes:
    items = b"UID FLAGS INTERNALDATE RFC822.SIZE"
    if "X-GM-EXT-1" in connection.capabilities:
        items += b" X-GM-MSGID X-GM-LABELS"
    elif "OBJECTID" in connection.capabilities:
        items += b" EMAILID"
    return b"(" + items + b")"


def _merged(events: list[Event], wanted: set[int] | None) -> dict[int, Fetch]:
    """A server may tell of one letter in several answers: the later flags count, and what is told once stays."""
    found: dict[int, Fetch] = {}
    for event in events:
        if isinstance(event, Fetch) and event.uid and (wanted is None or event.uid in wanted):
            known = found.setdefault(event.uid, event)
            known.flags = known.flags if event.flags is None else event.flags
            known.labels = known.labels if event.labels is None else event.labels
            known.size = event.size if known.size is None else known.size
            known.internaldate = known.internaldate or event.internaldate
            known.emailid = known.emailid or event.emailid
    return found


def _labels(told: frozenset[bytes] | None, *, utf8: bool) -> frozenset[str]:
    """Gmail's labels as its web pages show them; one that cannot be read is left out."""
    read: set[str] = set()
    for label in told or ():
        try:
            text = label.decode() if utf8 else decode_mutf7(label)
        except ValueError:
            continue
        if len(text) <= 1000 and text.isprintable():
            read.add(text)
    return frozenset(read)
