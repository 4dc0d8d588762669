"""SIGTERM to the web process: event streams end at once, a request under way is answered, nothing new begins (R-007)."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.conf import settings

from postern.project.database import libpq
from postern.project.processes import WEB_DRAIN, this_program
from tests.project.test_processes import free_port, until
from tests.web.browser import Browser
from tests.world import World, make_world

pytestmark = pytest.mark.rule("R-007")


class Pages:
    """`postern web` on the database of this test, and somebody signed in there."""

    def __init__(self, world: World) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            this_program("web"),
            env=os.environ | {"POSTERN_ROLE": "web", "POSTERN_LISTEN": f"127.0.0.1:{self.port}"},
        )
        client = Browser()
        client.force_login(world.owner)
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        until(self.answers, 60)

    def answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return self.ask("/sign-in/").status < 500
        except OSError:
            return False

    def ask(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Cookie": self.cookie, "Host": f"localhost:{self.port}"})
        return connection.getresponse()

    def stop(self) -> float:
        """SIGTERM, and wait for the end; return how long that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) in (0, -signal.SIGTERM)
        return time.monotonic() - begun


@pytest.fixture
def pages(db: None, acting_as: Callable[..., object]) -> Iterator[Pages]:
    made = Pages(make_world(acting_as))
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_open_event_streams_end_and_hold_nothing_up(pages: Pages) -> None:
    streams = [pages.ask("/events/") for _ in range(3)]
    for stream in streams:
        assert stream.status == 200 and stream.readline() == b"retry: 5000\n"
    took = pages.stop()
    assert all(b"hello" in stream.read() for stream in streams), "each was ended, not cut"
    assert took < WEB_DRAIN / 2


def test_a_request_under_way_is_answered_and_no_new_one_is_taken(pages: Pages) -> None:
    got: list[tuple[int, bytes]] = []

    def ask() -> None:
        answer = pages.ask("/messages/inbox/")
        got.append((answer.status, answer.read()))

    with psycopg.connect(**libpq("superuser")) as other, psycopg.connect(**libpq("superuser")) as eye:
        eye.autocommit = True
        other.execute("LOCK TABLE mail_message IN ACCESS EXCLUSIVE MODE")
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: waits_for_a_lock(eye))
        pages.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(pages))
        assert pages.process.poll() is None and got == []
        other.rollback()
    asking.join(60)
    [(status, body)] = got
    assert status == 200 and body.rstrip().endswith(b"</html>")
    assert pages.process.wait(60) in (0, -signal.SIGTERM)


def waits_for_a_lock(database: psycopg.Connection) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'postern_web'"
    row = database.execute(query).fetchone()
    return row is not None and row[0] > 0


def refuses(pages: Pages) -> bool:
    try:
        pages.ask("/sign-in/").read()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
