"""What a session answers its callers with."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

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

    ``mailboxid``: the server's own name of the folder, which stays when it is renamed (OBJECTID, RFC 8474).
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
    mailboxid: str = ""


@dataclass(frozen=True)
class Status:
    """What STATUS says of a folder that is not open; the fields as in ``Selected``."""

    messages: int
    uidnext: int | None
    uidvalidity: int
    highestmodseq: int | None


@dataclass(frozen=True)
class Namespaces:
    """(prefix, delimiter) of where a server keeps our folders, other people's and shared ones (RFC 2342)."""

    personal: tuple[tuple[bytes, str | None], ...] = ()
    others: tuple[tuple[bytes, str | None], ...] = ()
    shared: tuple[tuple[bytes, str | None], ...] = ()


@dataclass(frozen=True)
class Copied:
    """Under which UIDs copied letters lie in the other folder; empty where the server does not tell (UIDPLUS)."""

    uidvalidity: int = 0
    uids: dict[int, int] = field(default_factory=dict)


# Made by the hundred thousand: a frozen dataclass takes twice as long to make as a tuple with names.
class Listed(NamedTuple):
    """A letter without its content. ``size`` in bytes as the server estimates it (RFC822.SIZE).

    ``emailid``: the server's own name of the content, the same in every folder that holds it (OBJECTID,
    Gmail's X-GM-MSGID); '' where it has none. ``labels`` are Gmail's.
    """

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    size: int
    emailid: str = ""
    labels: frozenset[str] = frozenset()


class Fetched(NamedTuple):
    """A whole letter as the server has it; a large one as an ``mmap`` of a file without a name."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    raw: Raw
