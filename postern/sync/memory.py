"""What is remembered of a folder while the process lives, and how far a first sync is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from postern.wire.errors import MailError


@dataclass(slots=True)
class Memory:
    """What a watcher remembers of a folder from one connection to the next.

    `broke`: so often in a row the connection ended while this folder was read and brought nothing; `parked_until`: when
    it may be opened again, in the loop's time; `parked`: why not before.
    """

    suspected: bool = False
    listing_after: float = 0.0
    flags_after: float = 0.0
    stuck: Counter[int] = field(default_factory=Counter)
    recreations: list[datetime] = field(default_factory=list)
    broke: int = 0
    parked_until: float = 0.0
    parked: MailError | None = None


@dataclass(slots=True)
class Memories:
    """What a watcher remembers, by folder. `notify`: the server may be asked to tell of other folders.

    `idle_broke`: so often in a row the connection broke as soon as IDLE was asked for; `idle_after`: when it may be
    asked for again, in the loop's time.
    """

    folders: dict[int, Memory] = field(default_factory=dict)
    notify: bool = True
    idle_broke: int = 0
    idle_after: float = 0.0

    def of(self, folder_id: int) -> Memory:
        """Return the memory of a folder."""
        return self.folders.setdefault(folder_id, Memory())


@dataclass(slots=True)
class Progress:
    """Letters of a first sync, done and in all; and how many new messages came of this connection."""

    done: int = 0
    total: int = 0
    stored: int = 0
