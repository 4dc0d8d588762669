"""A session whose server says what the test wants it to say, true or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from postern.wire.errors import MailError
from postern.wire.imap import Changed, Fetched, Known, Listed, Selected, Status, UidSet

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Liar:
    """Holds one folder's truth in `letters` (UID to raw); the other fields replace what it would say."""

    letters: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    dates: dict[int, datetime] = field(default_factory=dict)  # INTERNALDATE, else TODAY
    uidvalidity: int = 7
    uidnext: int | None = -1  # -1: the truth
    exists: int | None = None
    listing: list[int] | None = None
    hides: set[int] = field(default_factory=set)  # letters that FETCH leaves out
    breaks_at: int = 0  # the letter at which the connection breaks
    breaks_header: bool = False  # and at its header as well
    sizes: dict[int, int] = field(default_factory=dict)  # RFC822.SIZE, else the truth
    break_code: str = "protocol_error"
    star_names_last: bool = True
    closed: bool = False
    modseq: int = 0
    told: tuple[UidSet, set[int]] | None = None  # what QRESYNC tells: (vanished, changed)
    changes: set[int] = field(default_factory=set)  # what CHANGEDSINCE tells
    asked: list[str] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)

    bytes_a_day = bytes_up_a_day = received = 0
    names_content = False

    def add(self, uid: int, raw: bytes, *flags: str, date: datetime = TODAY) -> None:
        """A letter arrives."""
        self.dates[uid] = date
        self.letters[uid] = raw
        self.flags[uid] = frozenset(flags)

    async def select(self, name: str, *, readonly: bool = False, known: Known | None = None) -> Selected:
        truth = max(self.letters, default=0) + 1
        exists = len(self.letters) if self.exists is None else self.exists
        uidnext = truth if self.uidnext == -1 else self.uidnext
        plain = Selected(self.uidvalidity, uidnext, exists, self.modseq or None, readonly)
        if self.told is None or known is None or not known.highestmodseq:
            return plain
        vanished, changed = self.told
        flags = tuple(Changed(u, self.flags.get(u, frozenset()), self.modseq) for u in sorted(changed))
        return replace(plain, vanished=vanished, changed=flags, resynced=True)

    async def uid_changes(self, since: int) -> list[Changed]:
        self.asked.append("changes")
        return [Changed(u, self.flags.get(u, frozenset()), self.modseq) for u in sorted(self.changes)]

    async def uid_flags(self, uids: str) -> list[Changed]:
        self.asked.append("flags")
        low, _, high = uids.partition(":")
        return [
            Changed(u, self.flags.get(u, frozenset()), None)
            for u in sorted(self.letters)
            if int(low) <= u <= int(high)
        ]

    async def uid_search_set(self, criteria: Any) -> UidSet:
        return UidSet.of(await self.uid_search(criteria))

    async def status(self, name: str) -> Status:
        said = await self.select(name)
        return Status(said.exists, said.uidnext, said.uidvalidity, None)

    async def uid_search(self, criteria: Any) -> list[int]:
        self.asked.append("listing" if criteria == "ALL" else "search")
        if criteria == "ALL":
            return sorted(self.letters) if self.listing is None else self.listing
        low, _, high = criteria[1].partition(":")
        last = max(self.letters, default=0)
        top = last if high == "*" else int(high)
        found = {uid for uid in self.letters if int(low) <= uid <= top}
        if high == "*" and last and self.star_names_last:
            found.add(last)
        return sorted(found)

    async def uid_fetch_headers(self, uids: Sequence[int] | str) -> list[Listed]:
        wanted = [max(self.letters)] if uids == "*" and self.letters else list(uids)
        there = [uid for uid in sorted(wanted) if uid in self.letters and uid not in self.hides]
        return [
            Listed(u, self.flags.get(u, frozenset()), self.dates[u], self.sizes.get(u, len(self.letters[u])))
            for u in there
        ]

    async def uid_fetch_beginnings(self, uids: Sequence[int]) -> dict[int, bytes]:
        if self.breaks_header and self.breaks_at in uids:
            raise MailError(self.break_code, "It broke.", temporary=True)
        return {u: self.letters[u].partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for u in uids if u in self.letters}

    async def uid_fetch_bodies(self, uids: Sequence[int], **_: Any) -> AsyncIterator[Fetched]:
        for uid in sorted(uids):
            if uid == self.breaks_at:
                raise MailError(self.break_code, "It broke.", temporary=True)
            if uid in self.letters and uid not in self.hides:
                self.fetched.append(uid)
                yield Fetched(uid, self.flags.get(uid, frozenset()), self.dates[uid], self.letters[uid])
