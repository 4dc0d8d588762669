"""What one mail server is asked to bear: how many sign in at once, stay connected, and how soon after a failure.

A host's trouble is every mailbox's there: after it did not answer, one asks again after a growing wait and
the others wait for the outcome (R-030, R-032). A host that says it has too many connections is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from postern.wire.errors import MailError

STARTING_AT_ONCE = 3
WORKING_AT_ONCE = 4
# Google's own figure; others count connections by user and address as well, and many allow ten.
PER_ACCOUNT = 10
KNOWN_PER_ACCOUNT = {"imap.gmail.com": 15, "imap.googlemail.com": 15}
# For so long a host that refused a connection is not asked for more than it bore.
BELIEVED_SECONDS = 3600.0
# Whoever waits for news lets another mailbox of a crowded host have the place after so long.
TURN_SECONDS = 60.0
FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0
# What says that the host is in trouble, not the account.
HOST_TROUBLE = {"connect_failed", "host_not_found", "timeout", "not_a_mail_server"}
# Dovecot counts by user and address and says so; others speak of the server as a whole.
_TOO_MANY = re.compile(
    r"too many|maximum number of (?:connections|logins)|\[LIMIT\]|connection limit", re.IGNORECASE
)
_OF_USER = re.compile(r"user|account|mailbox", re.IGNORECASE)


class Places:
    """A number of places, changeable while they are taken; waiting is in order of arrival. None: no limit."""

    __slots__ = ("_waiting", "most", "taken")

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.taken = 0
        self._waiting: list[asyncio.Future[None]] = []  # a deque costs 0.7 KB empty, and each account has one

    @property
    def crowded(self) -> bool:
        """True when somebody waits."""
        return any(not one.done() for one in self._waiting)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and keep it."""
        await self._take()
        try:
            yield
        finally:
            self.taken -= 1
            self._wake()

    async def _take(self) -> None:
        if not self._full() and not self.crowded:
            self.taken += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.taken -= 1
                self._wake()
            raise

    def _full(self) -> bool:
        return self.most is not None and self.taken >= self.most

    def _wake(self) -> None:
        while self._waiting and not self._full():
            mine = self._waiting.pop(0)
            if not mine.done():
                self.taken += 1
                mine.set_result(None)


@dataclass(slots=True)
class Host:
    """One server."""

    starting: Places
    working: Places
    connected: Places
    accounts: dict[str, Places] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    learned_at: float = 0.0
    budget: int | None = None


class Hosts:
    """All servers of this process. `budgets` are connections in all by host, from the settings."""

    def __init__(
        self,
        budgets: Mapping[str, int] | None = None,
        *,
        starting: int = STARTING_AT_ONCE,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._budgets = budgets or {}
        self._starting = starting
        self._dice = dice
        self._hosts: dict[str, Host] = {}

    def of(self, name: str) -> Host:
        """Return the host of this name."""
        key = name.lower()
        if key not in self._hosts:
            budget = self._budgets.get(key)
            places = Places(self._starting), Places(WORKING_AT_ONCE), Places(budget)
            self._hosts[key] = Host(*places, budget=budget)
        return self._hosts[key]

    @contextlib.asynccontextmanager
    async def connection(self, name: str, user: str) -> AsyncIterator[None]:
        """Hold a place among the connections of an account and of its host."""
        host = self.of(name)
        if host.learned_at and time.monotonic() - host.learned_at > BELIEVED_SECONDS:
            host.connected.most, host.learned_at = host.budget, 0.0
        key = user.lower()
        account = host.accounts.setdefault(key, Places(KNOWN_PER_ACCOUNT.get(name.lower(), PER_ACCOUNT)))
        try:
            async with account.place(), host.connected.place():
                yield
        finally:
            if not account.taken and not account.crowded:
                host.accounts.pop(key, None)

    @contextlib.asynccontextmanager
    async def start(self, name: str, user: str) -> AsyncIterator[None]:
        """Hold one of the few places for signing in; not before the host's wait after a failure is over."""
        host = self.of(name)
        while True:
            while (left := host.not_before - time.monotonic()) > 0:
                await asyncio.sleep(left * (1 + self._dice() / 4))
            async with host.starting.place():
                if host.not_before > time.monotonic():
                    continue
                try:
                    yield
                except MailError as error:
                    self._failed(host, host.accounts.get(user.lower()), error)
                    raise
                host.failures = 0
                return

    def _failed(self, host: Host, account: Places | None, error: MailError) -> None:
        if error.code == "server_busy" and _TOO_MANY.search(error.server_text):
            # The one who was refused has a place already and does not count.
            places = account if account is not None and _OF_USER.search(error.server_text) else host.connected
            places.most = max(1, places.taken - 1)
            host.learned_at = time.monotonic()
        if error.code in HOST_TROUBLE:
            host.failures += 1
            wait = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(host.failures - 1, 10))
            host.not_before = time.monotonic() + wait * (0.5 + self._dice())


def read_budgets(text: str) -> dict[str, int]:
    """Read `host=number, host=number` as the settings have it. Raises ValueError."""
    budgets: dict[str, int] = {}
    for piece in filter(None, (part.strip() for part in text.split(","))):
        host, equals, number = piece.partition("=")
        if not equals or not host.strip() or not number.strip().isdigit() or int(number) < 1:
            raise ValueError(f"not host=number: {piece}")
        budgets[host.strip().lower()] = int(number)
    return budgets
