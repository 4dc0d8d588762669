"""The pages as they are deployed: `postern web`, through PgBouncer in transaction mode where that is installed."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.test import Client

from postern.people.models import Staff
from postern.project.database import external_url, libpq
from postern.project.processes import Listen, this_program
from tests.privacy.pooled import PROGRAM, pgbouncer

PATIENCE = 20.0
"""Seconds for what happens at once on a machine that has nothing else to do."""
POOL_USER = "postern_test_pool"


@contextlib.contextmanager
def served() -> Iterator[Served]:
    """Run `postern web` on the database of the tests and end it."""
    with contextlib.ExitStack() as stack:
        env = {**os.environ, "POSTERN_DATABASE_URL": external_url() or url_of(libpq("superuser"))}
        if PROGRAM:
            pool = stack.enter_context(pgbouncer(libpq("superuser"), user=_pool_user(stack), size=3))
            env["POSTERN_POOLER_URL"] = url_of(pool)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        log = stack.enter_context(tempfile.TemporaryFile())
        env |= {"POSTERN_LISTEN": f"127.0.0.1:{port}", "POSTERN_ROLE": "web"}
        process = subprocess.Popen(
            this_program("web"), env=env, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
        )
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        if not until(lambda: process.poll() is not None or Listen("127.0.0.1", port).answers(), 60):
            raise AssertionError("postern web does not answer")
        assert process.poll() is None, (log.seek(0), log.read())
        yield Served(port, pooled=bool(PROGRAM))


def _pool_user(stack: contextlib.ExitStack) -> str:
    """A user that is postern_web and nothing else; our own server lets in only those whom it knows."""
    if not external_url():
        return "postern_web"
    db = stack.enter_context(psycopg.connect(**libpq("superuser"), autocommit=True))
    db.execute(f"DROP ROLE IF EXISTS {POOL_USER}")
    db.execute(f"CREATE ROLE {POOL_USER} LOGIN IN ROLE postern_web")
    stack.callback(db.execute, f"DROP ROLE {POOL_USER}")
    return POOL_USER


def url_of(libpqs: dict[str, Any]) -> str:
    where = urlencode({"host": libpqs["host"], "port": libpqs["port"]})
    return f"postgresql://{quote(libpqs['user'])}@/{libpqs['dbname']}?{where}"


def until(happened: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait for something; False when it did not happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Served:
    """A running server."""

    def __init__(self, port: int, *, pooled: bool) -> None:
        self.port, self.pooled = port, pooled

    def stream(self, who: Browser | None, path: str = "/events/", **headers: str) -> Stream:
        """Open an event stream."""
        stream = Stream(self.port, path, (who.headers if who else {}) | headers)
        assert stream.greeted()
        return stream

    def browser(self, staff: Staff) -> Browser:
        """Somebody signed in."""
        return Browser(self.port, staff)


class Browser:
    """One session of a person."""

    def __init__(self, port: int, staff: Staff) -> None:
        client = Client()
        client.force_login(staff)
        self._port = port
        self._cookies = {name: morsel.value for name, morsel in client.cookies.items()}

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def ask(self, method: str, path: str) -> tuple[int, str]:
        """Send a request, return status and body; a POST brings the token against forgery along."""
        token = self._cookies.get("postern-csrf", "")
        there = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(there):
            there.request(method, path, headers=self.headers | {"X-CSRFToken": token})
            answer = there.getresponse()
            for line in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = line.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.read().decode()


class Stream:
    """An open event stream, read by a thread of its own."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self.text, self.closed = "", False
        self._there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._there.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        self._answer = self._there.getresponse()
        self.status = self._answer.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(
            OSError, http.client.HTTPException, ValueError, AttributeError
        ):  # closed meanwhile
            while line := self._answer.readline():
                self.text += line.decode()
        self.closed = True

    def greeted(self) -> bool:
        """Wait until the server hears the database for this stream, or has refused it."""
        return until(lambda: "hello" in self.text or self.closed)

    def heard(self, number: int) -> bool:
        """Wait until an event names this message."""
        return until(lambda: self.names(number))

    def names(self, number: int) -> bool:
        """True when an event so far named this message."""
        return f'"id": {number}}}' in self.text

    def ended(self) -> bool:
        """Wait until the server has closed it."""
        return until(lambda: self.closed)

    def close(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._there.sock.shutdown(socket.SHUT_RDWR)
        self._there.close()
