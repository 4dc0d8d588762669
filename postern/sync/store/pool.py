"""The threads in which sync's database work runs, the fence around a mailbox's writes, and where to listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg.conninfo import make_conninfo

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
# A process that is frozen in the middle of a transaction must not keep its mailbox from others for long.
LONGEST_PAUSE = "15s"


class LeaseLost(Exception):
    """Another process is at this mailbox now: whatever we were about to write is not ours to write any more."""


class Store:
    """A few threads with a database connection each; one lost connection does not spoil the next call."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sync-store")
        self._threads = threads
        # History is written through few of the threads, so that a letter that arrives never waits for it.
        self.patient = asyncio.Semaphore(max(1, threads // 2))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of the functions below in a thread and return what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: _on_connection(function, *args, **kwargs))

    def check(self) -> None:
        """Raise LeaseLost when the mailbox may have passed to another process; before each change on the server."""

    def close(self) -> None:
        """Wait for what is being written, then close each thread's connection and let the threads go."""
        # One closing a thread: without the meeting a quick thread would take two, and another's stay open.
        meeting = Barrier(self._threads)
        for _ in range(self._threads):
            self._pool.submit(_leave, meeting)
        self._pool.shutdown(wait=True)


def _leave(meeting: Barrier) -> None:
    meeting.wait()
    connection.close()


class Held(Store):
    """The store of one leased mailbox: nothing is read or written unless the lease is ours at that moment.

    `until` is a moment of time.monotonic(): that long nobody else can have taken the lease over.
    """

    def __init__(self, keeper: Store, mailbox_id: int, epoch: int, until: float) -> None:
        self.mailbox_id = mailbox_id
        self.epoch = epoch
        self.until = until
        self.patient = keeper.patient
        self._pool = keeper._pool

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in one transaction that begins with a look at the lease. Raises LeaseLost."""

        def behind_the_fence() -> T:
            with fence(self.mailbox_id, self.epoch):
                return function(*args, **kwargs)

        return await super().run(behind_the_fence)

    def check(self) -> None:
        """Raise LeaseLost when the lease was not renewed in time: frozen, or cut off from the database."""
        if time.monotonic() >= self.until:
            raise LeaseLost(f"mailbox {self.mailbox_id}")

    def close(self) -> None:
        """The threads belong to the store this was made of."""


@contextmanager
def fence(mailbox_id: int, epoch: int) -> Iterator[None]:
    """A transaction during which no other process can take the mailbox over. Raises LeaseLost."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true) FROM mailboxes_lease"
                " WHERE mailbox_id = %s AND epoch = %s FOR SHARE",
                [LONGEST_PAUSE, mailbox_id, epoch],
            )
            if cursor.fetchone() is None:
                raise LeaseLost(f"mailbox {mailbox_id}")
        yield


def _on_connection(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        connection.close()
        raise


def listening_address() -> str:
    """Return libpq's connection string for a LISTEN of this process's role."""
    params = connection.get_connection_params()
    ours = ("client_encoding", "prepare_threshold", "server_side_binding")
    known = {k: v for k, v in params.items() if isinstance(v, str | int) and v != "" and k not in ours}
    return make_conninfo("", **known)
