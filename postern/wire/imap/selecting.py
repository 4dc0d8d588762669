"""SELECT and EXAMINE, with the whole resynchronisation in their answer where the server has QRESYNC (RFC 7162)."""

from dataclasses import replace

from postern.wire.errors import MailError
from postern.wire.imap.answers import Changed, Known, Selected
from postern.wire.imap.commands import Literal, command
from postern.wire.imap.connection import Connection, Exchange
from postern.wire.imap.grammar import number_or_none
from postern.wire.imap.responses import MAX_MODSEQ, NO_FLAGS, Event, Fetch, Line, Vanished, object_id
from postern.wire.imap.uidset import MAX_UID, NOTHING, Range, UidSet

# Every letter of a large mailbox may have changed; a server that says more than this is not heard out.
MOST_ANSWERS = 2_000_000
# More than this is not worth keeping: a windowed compare is as good, and its memory has a bound.
MOST_CHANGES = 200_000
MOST_RANGES = 1_000_000
# Patience is for silence, not for a long answer that keeps coming.
EXTEND_EVERY = 500


async def open_folder(
    connection: Connection, wire_name: bytes | Literal, *, readonly: bool, known: Known | None
) -> Selected:
    """Open a folder. Raises ``MailError``, folder_missing when there is none of this name.

    A server that offers an extension and then calls its use BAD is asked again without.
    """
    connection.exists, connection.news = 0, False
    word = "EXAMINE" if readonly else "SELECT"
    parameter = _parameter(connection, known)
    sent = command(word, wire_name, *([parameter] if parameter else []), max_untagged=MOST_ANSWERS)
    told = _Told()
    exchange = connection.exchange(sent)
    try:
        async with exchange:
            await told.read(exchange)
    except MailError:
        if not parameter or exchange.line is None or exchange.line.status != "BAD":
            raise
        connection.learn(connection.capabilities - {"QRESYNC", "CONDSTORE"})
        connection.enabled -= {"QRESYNC", "CONDSTORE"}
        return await open_folder(connection, wire_name, readonly=readonly, known=None)
    connection.news = False
    assert exchange.line is not None
    asked = known if parameter.startswith(b"(QRESYNC") else None
    found = told.selected(connection.exists, readonly or exchange.line.code == "READ-ONLY", asked)
    if connection.capabilities & {"CONDSTORE", "QRESYNC"}:
        return found
    return replace(found, highestmodseq=None)  # quirk modseq_without_condstore


def _parameter(connection: Connection, known: Known | None) -> bytes:
    if "QRESYNC" in connection.enabled:
        if known is None or not known.uidvalidity or not 0 < known.highestmodseq <= MAX_MODSEQ:
            return b""
        return b"(QRESYNC (%d %d))" % (known.uidvalidity, known.highestmodseq)
    return b"(CONDSTORE)" if "CONDSTORE" in connection.capabilities else b""


class _Told:
    """What the server says while it opens a folder."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.codes: dict[str, bytes] = {}
        self.vanished: list[Range] = []
        self.changed: dict[int, Changed] = {}
        self.too_much = False

    async def read(self, exchange: Exchange) -> None:
        """Everything up to the end of the command."""
        count = 0
        while (event := await exchange.next()) is not None:
            count += 1
            if count % EXTEND_EVERY == 0:
                exchange.extend()
            self.hear(event)

    def hear(self, event: Event) -> None:
        """One event; what comes before CLOSED was about the folder that was open before."""
        if isinstance(event, Line):
            if event.code == "CLOSED":
                self._forget()
            elif event.code:
                self.codes[event.code] = event.arguments
        elif isinstance(event, Vanished):
            self.vanished += event.uids.ranges()
        elif isinstance(event, Fetch):
            note_change(self.changed, event)
        if len(self.changed) > MOST_CHANGES or len(self.vanished) > MOST_RANGES:
            self.too_much = True
            self.changed, self.vanished = {}, []

    def selected(self, exists: int, readonly: bool, asked: Known | None) -> Selected:
        """The answer; ``asked`` is what QRESYNC was given."""
        uidvalidity = number_or_none(self.codes.get("UIDVALIDITY"), MAX_UID) or 0
        highest = number_or_none(self.codes.get("HIGHESTMODSEQ"), MAX_MODSEQ)
        nomodseq = "NOMODSEQ" in self.codes
        # With another UIDVALIDITY the server leaves our parameters aside; a mod-sequence that went back
        # means that it has forgotten what we know.
        resynced = (
            asked is not None
            and asked.uidvalidity == uidvalidity
            and highest is not None
            and highest >= asked.highestmodseq
            and not nomodseq
            and not self.too_much
        )
        return Selected(
            uidvalidity,
            number_or_none(self.codes.get("UIDNEXT"), MAX_UID) or None,  # quirk uidnext_missing
            exists,
            None if nomodseq else highest,
            readonly,
            UidSet(self.vanished) if resynced else NOTHING,
            in_order(self.changed) if resynced else (),
            nomodseq,
            resynced,
            _mailboxid(self.codes.get("MAILBOXID", b"")),
        )


def _mailboxid(arguments: bytes) -> str:
    return object_id([arguments[1:-1]]) if arguments.startswith(b"(") and arguments.endswith(b")") else ""


def note_change(found: dict[int, Changed], event: Fetch) -> None:
    """Add a FETCH to ``found``. Without UID it says nothing, without FLAGS only a later mod-sequence."""
    if event.uid is None:
        return
    before = found.get(event.uid)
    if event.flags is None and before is None:
        return
    flags = event.flags if event.flags is not None else before.flags if before else NO_FLAGS
    modseq = max(event.modseq or 0, before.modseq or 0 if before else 0) or None
    found[event.uid] = Changed(event.uid, flags, modseq)


def in_order(found: dict[int, Changed]) -> tuple[Changed, ...]:
    """Ascending by UID."""
    return tuple(found[uid] for uid in sorted(found))
