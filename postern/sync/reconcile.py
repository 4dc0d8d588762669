"""Prove that nothing is missing: every UID on the server is imported, denied, skipped or quarantined.

Once a day over the connection that watches the mailbox, and whenever `postern mailbox reconcile` asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from postern.sync import store
from postern.sync.leases import lease_of
from postern.sync.reading import Reading
from postern.sync.sentfolder import require_sent_folder
from postern.sync.store import Store
from postern.sync.visit import open_visit
from postern.wire.imap import open_session

BEFORE_START = "skipped: before start"


@dataclass(frozen=True)
class FolderReport:
    """One folder. `counts` are by outcome; `missing` are UIDs that nothing explains, `fetched` those repaired."""

    name: str
    on_server: int
    counts: Mapping[str, int] = field(default_factory=dict)
    fetched: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    left: int = 0

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.on_server} on the server"]
        lines += [f"  {count:>7}  {what}" for what, count in sorted(self.counts.items())]
        if self.fetched:
            lines.append(f"  {len(self.fetched):>7}  fetched just now")
        if self.left:
            lines.append(f"  {self.left:>7}  no longer there, noted just now")
        if self.missing:
            some = ", ".join(map(str, self.missing[:20]))
            lines.append(f"  {len(self.missing):>7}  MISSING: UID {some}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """All folders of a mailbox; `complete` when nothing is missing."""

    folders: tuple[FolderReport, ...]

    @property
    def complete(self) -> bool:
        """True when every UID is explained."""
        return bool(self.folders) and not any(folder.missing for folder in self.folders)

    @property
    def told(self) -> str:
        """For the owner: one sentence on what was found and repaired, then a line for each folder."""
        fetched = sum(len(folder.fetched) for folder in self.folders)
        missing = sum(len(folder.missing) for folder in self.folders)
        left = sum(folder.left for folder in self.folders)
        said = [
            f"{missing} on the server could not be brought in." if missing else "Nothing is missing.",
            f"{fetched} had been missing and came in." if fetched else "",
            f"{left} had left the server, which was noted." if left else "",
        ]
        return "\n".join([" ".join(filter(None, said)), *(str(folder) for folder in self.folders)])

    def __str__(self) -> str:
        verdict = "Nothing is missing." if self.complete else "NOT COMPLETE."
        return "\n".join([*(str(folder) for folder in self.folders), verdict])


def explain(
    listed: Iterable[int],
    outcomes: Mapping[int, tuple[str, str]],
    promised: Collection[int],
    first_uid: int,
) -> tuple[Counter[str], list[int]]:
    """Count what became of each UID of a listing, and name those that nothing explains. Pure.

    Below `first_uid` only the `promised` UIDs (history within the wished date) must be in the ledger.
    """
    counts: Counter[str] = Counter()
    missing: list[int] = []
    for uid in sorted(set(listed)):
        if uid in outcomes:
            counts[_what(*outcomes[uid])] += 1
        elif uid < first_uid and uid not in promised:
            counts[BEFORE_START] += 1
        else:
            missing.append(uid)
    return counts, missing


def _what(outcome: str, reason: str) -> str:
    if outcome == "imported" and reason:
        return "imported, only the header"
    return f"skipped: {reason}" if outcome == "skipped" else outcome


def reconcile(mailbox_id: int, repair: bool = True) -> Report:
    """Compare ledger and server, and with `repair` fetch what is missing. Raises MailError, SecretError.

    Safe beside a running sync: a letter met twice is one message.
    """
    return asyncio.run(_reconcile(mailbox_id, repair))


async def _reconcile(mailbox_id: int, repair: bool) -> Report:
    keeper = Store(1)
    try:
        account = await keeper.run(store.load, mailbox_id)
        if account is None:
            return Report(())
        async with lease_of(keeper, mailbox_id) as held:
            # Beside a process that watches the mailbox no lease is to be had, and none is needed.
            mine = held or keeper
            session = await open_session(account.endpoint, account.policy, account.login)
            try:
                visit = await open_visit(session, mine, account.mailbox)
                for reading in visit.readings[1:]:
                    await require_sent_folder(session, reading.name)
                return await reconcile_visit(mine, visit.readings, repair=repair)
            finally:
                await session.logout()
    finally:
        keeper.close()


async def reconcile_visit(keeper: Store, readings: Sequence[Reading], *, repair: bool = True) -> Report:
    """Compare the folders of a visit over its connection, repair, and write down what came of it."""
    report = Report(tuple([await _folder(keeper, reading, repair) for reading in readings]))
    if readings and repair:
        await keeper.run(store.note_reconciled, readings[0].folder.mailbox_id, report.told)
    return report


async def _folder(keeper: Store, reading: Reading, repair: bool) -> FolderReport:
    if reading.state.uidvalidity is None:
        listed = await reading.whole_listing()
        return FolderReport(reading.name, len(listed), {"not visited yet": len(listed)})
    listed = await reading.whole_listing()
    counts, missing = await _explain(keeper, reading, listed)
    fetched: tuple[int, ...] = ()
    if missing and repair:
        await reading.fetch_missing(missing)
        before = set(missing)
        counts, missing = await _explain(keeper, reading, listed)
        fetched = tuple(sorted(before - set(missing)))
    left = await reading.compare_all() if repair else 0
    # A letter may have left the server since the listing was made.
    there = set(await reading.whole_listing()) if missing else set()
    return FolderReport(
        reading.name, len(listed), counts, fetched, tuple(u for u in missing if u in there), left
    )


async def _explain(keeper: Store, reading: Reading, listed: list[int]) -> tuple[Counter[str], list[int]]:
    assert reading.state.uidvalidity is not None
    known = await keeper.run(store.ledger, reading.folder, reading.state.uidvalidity)
    promised = await reading.promised_history()
    return explain(listed, known.outcomes, promised, reading.state.first_uid)
