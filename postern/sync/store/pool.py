"""The threads in which sync's database work runs, and where to listen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection
from psycopg.conninfo import make_conninfo

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4


class Store:
    """A few threads with a database connection each; one lost connection does not spoil the next call."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sync-store")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of the functions below in a thread and return what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: _on_connection(function, *args, **kwargs))

    def close(self) -> None:
        """Wait for what is being written, then let the threads go."""
        for _ in range(THREADS):
            self._pool.submit(connection.close)
        self._pool.shutdown(wait=True)


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
