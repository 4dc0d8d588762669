"""What a session answers its callers with."""

from dataclasses import dataclass
from datetime import datetime

from postern.wire.imap.spool import Raw
from postern.wire.imap.uidset import NOTHING, UidSet


@dataclass(frozen=True, slots=True)
class Known:
    """What we remember of a folder from last time; ``highestmodseq`` 0 when the server told none."""

    uidvalidity: int
    highestmodseq: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The flags of one letter as they are now; ``modseq`` where the server tells it (RFC 7162)."""

    uid: int
    flags: frozenset[str]
    modseq: int | None


@dataclass(frozen=True)
class Selected:
    """An open folder. ``uidvalidity`` is 0 when the server names none: its UIDs mean nothing tomorrow.

    ``nomodseq``: this folder keeps no mod-sequences although the server can. ``resynced``: ``vanished`` and
    ``changed`` are all that happened since what was ``Known``; when False they are empty and say nothing.
    """

    uidvalidity: int
    uidnext: int | None
    exists: int
    highestmodseq: int | None
    readonly: bool
    vanished: UidSet = NOTHING
    changed: tuple[Changed, ...] = ()
    nomodseq: bool = False
    resynced: bool = False


@dataclass(frozen=True)
class Status:
    """What STATUS says of a folder that is not open; ``uidvalidity`` 0 and None as in ``Selected``."""

    messages: int
    uidnext: int | None
    uidvalidity: int
    highestmodseq: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A letter without its content. ``size`` in bytes as the server estimates it (RFC822.SIZE)."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole letter as the server has it; a large one as an ``mmap`` of a file without a name."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    raw: Raw
