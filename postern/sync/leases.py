"""Which mailboxes are this process's: leases claimed, renewed, given back, and shared out with other processes."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from postern.sync import store
from postern.sync.store import Held, Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
HELLO_SECONDS = 10.0
# A process that was not heard for so long is not counted any more; its leases end by themselves.
SILENT_SECONDS = 25.0
# Somebody who holds much more than a fair share lets go of so many at a time.
MOST_GIVEN_AT_ONCE = 50


def fair_share(mailboxes: int, processes: int) -> int:
    """How many mailboxes each of several processes should watch, rounded up so that none is left over."""
    return -(-mailboxes // max(1, processes))


def here() -> str:
    """Name this machine and its space of process numbers, as the beginning of an owner's name; '' where unknown."""
    try:
        return f"{socket.gethostname()[:50]}/{Path('/proc/self/ns/pid').stat().st_ino}:"
    except OSError:
        return ""


def _is_dead(rest: str) -> bool:
    """True when the process of an owner's name, read from its number on, is no more."""
    number = rest.partition(":")[0]
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False


class Leases:
    """The leases of one process. `held` maps a mailbox to the store through which alone it is written."""

    def __init__(self, keeper: Store, *, seconds: float | None = None) -> None:
        self.owner = f"{here()}{os.getpid()}:{secrets.token_hex(4)}"
        self.held: dict[int, Held] = {}
        self.seconds = LEASE_SECONDS if seconds is None else seconds
        self._store = keeper
        self._others: dict[str, float] = {}

    async def claim(self, wanted: Mapping[int, str], share: int) -> list[int]:
        """Take free leases until we hold `share`; `wanted` are mailboxes with the signature of their settings."""
        asked = {number: signature for number, signature in wanted.items() if number not in self.held}
        begun = time.monotonic()
        got = await self._store.run(store.take, self.owner, asked, share - len(self.held), self.seconds)
        for number, epoch in got.items():
            self.held[number] = Held(self._store, number, epoch, begun + self.seconds)
        return list(got)

    async def renew(self) -> set[int]:
        """Renew all; returns those that are another's now, which are dropped at once."""
        if not self.held:
            return set()
        begun = time.monotonic()
        epochs = {number: held.epoch for number, held in self.held.items()}
        renewed, lost = await self._store.run(store.renew, epochs, self.seconds)
        for number in renewed & self.held.keys():
            if self.held[number].epoch == epochs[number]:
                self.held[number].until = begun + self.seconds
        # What was given back and claimed again meanwhile is ours under another epoch.
        gone = {n for n in lost if n in self.held and self.held[n].epoch == epochs[n]}
        for number in gone:
            del self.held[number]
        return gone

    async def give_back(self, waits: Mapping[int, float]) -> None:
        """End the leases of mailboxes; each is not to be tried again for so many seconds."""
        rows = [(n, self.held.pop(n).epoch, seconds) for n, seconds in waits.items() if n in self.held]
        await self._store.run(store.give_back, self.owner, rows)

    async def bury_dead(self) -> None:
        """Free what processes of this machine held that were killed: nobody has to wait for their leases' end."""
        place = here()
        if place:
            names = await self._store.run(store.owners, place)
            dead = [name for name in names if name != self.owner and _is_dead(name.removeprefix(place))]
            if dead:
                await self._store.run(store.bury, dead)

    # The other processes

    def share(self, mailboxes: int) -> int:
        """How many mailboxes are ours to watch."""
        return fair_share(mailboxes, 1 + len(self._living()))

    def surplus(self, mailboxes: int) -> list[int]:
        """Mailboxes to let go of, the latest first: another process has too few. A tenth more than fair is fine."""
        share = self.share(mailboxes)
        over = len(self.held) - share - share // 10
        return list(self.held)[::-1][: min(max(0, over), MOST_GIVEN_AT_ONCE)]

    def hear(self, owner: str, word: str) -> bool:
        """Note what another process said; True when it is new here, so that we should say hello as well."""
        if owner == self.owner or not owner:
            return False
        new = owner not in self._living() and word != "bye"
        if word == "bye":
            self._others.pop(owner, None)
        else:
            self._others[owner] = time.monotonic()
        return new

    async def say(self, word: str) -> None:
        """Tell the others that we are here, or leave."""
        await self._store.run(store.say, self.owner, word)

    def _living(self) -> Collection[str]:
        now = time.monotonic()
        self._others = {o: at for o, at in self._others.items() if now - at < SILENT_SECONDS}
        return self._others.keys()


@asynccontextmanager
async def lease_of(keeper: Store, mailbox_id: int) -> AsyncIterator[Held | None]:
    """Hold one mailbox for a command; None while another process is at it."""
    leases = Leases(keeper)
    signature = f"command {leases.owner}"[
        :64
    ]  # of no settings, so that a wait after a failure does not count
    if not await leases.claim({mailbox_id: signature}, 1):
        yield None
        return
    renewing = asyncio.create_task(_keep_renewing(leases))
    try:
        yield leases.held[mailbox_id]
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await leases.give_back({mailbox_id: 0.0})


async def _keep_renewing(leases: Leases) -> None:
    while True:
        await asyncio.sleep(leases.seconds / 4)
        try:
            await leases.renew()
        except Exception as error:
            log.warning("renewing leases: %s", type(error).__name__)
