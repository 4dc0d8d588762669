"""What a session answers its callers with."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Selected:
    """An open folder. ``uidvalidity`` is 0 when the server names none: its UIDs mean nothing tomorrow."""

    uidvalidity: int
    uidnext: int | None
    exists: int
    highestmodseq: int | None
    readonly: bool


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
    """A whole letter as the server has it."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    raw: bytes
