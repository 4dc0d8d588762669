"""The threads of the store: each has a connection of its own while it works, and none keeps it when the store closes."""

import asyncio
import gc
from threading import Barrier

from django.db import connection

from postern.sync.store import Store
from tests.servers.running import wait_until


def backend_at(meeting: Barrier) -> int:
    """The server process behind this thread's connection, asked while every other thread asks too."""
    meeting.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def alive(backends: set[int]) -> int:
    """How many of these server processes there still are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [list(backends)])
        return int(cursor.fetchone()[0])


def test_a_store_that_closes_closes_the_connection_of_each_of_its_threads(db, acting_as):
    async def work(keeper: Store, threads: int) -> list[int]:
        meeting = Barrier(threads)
        return await asyncio.gather(*(keeper.run(backend_at, meeting) for _ in range(threads)))

    gc.disable()  # it would close what was forgotten, some day
    try:
        backends: set[int] = set()
        for _ in range(5):
            keeper = Store(4)
            found = asyncio.run(work(keeper, 4))
            keeper.close()
            assert len(set(found)) == 4
            backends |= set(found)
        with acting_as("superuser"):
            # PostgreSQL takes a moment to let them go.
            wait_until(lambda: not alive(backends), "the end of the connections")
    finally:
        gc.enable()
