"""The real product: `postern up` in a process of its own, with its own PostgreSQL in an empty directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg

from postern.project.embedded import Server
from tests.servers import running

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
BOSS, BOSS_PASSWORD = "boss@isp.test", "stories are told in the evening"


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = 20) -> T:
    """Return what `condition` says as soon as that is true; AssertionError when it is not in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)
    return found


def stays(condition: Callable[[], object], what: str, *, seconds: float = 2) -> None:
    """AssertionError as soon as `condition` is no longer true within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"{what} did not stay so"
        time.sleep(0.2)


class Product:
    """An installation. `environment` is added to that of every process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.home = running.private_folder("stories")
        self.port = running.free_ports(1)[0]
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("POSTERN_", "DJANGO_"))
        } | {
            "POSTERN_DATA_DIR": str(self.home / "data"),
            "POSTERN_SECRET_KEY_FILE": str(self.home / "secret.key"),
            "POSTERN_LISTEN": f"127.0.0.1:{self.port}",
            "POSTERN_LOG_LEVEL": "INFO",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._database: psycopg.Connection[Any] | None = None

    @property
    def log(self) -> Path:
        """What all its processes had to say."""
        return self.home / "log"

    @property
    def url(self) -> str:
        """Where its pages are, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
            self.postern("create-admin", BOSS, "--name", "Bo Boss", "--password-stdin", typed=BOSS_PASSWORD)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if keep := os.environ.get("POSTERN_KEEP_STORIES"):
            shutil.copy(self.log, keep)
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Start it; returns when the pages answer."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postern.project.cli", "up"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        running.wait_until(self._ready, "Postern's start", seconds=150, log=self.log)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"postern up ended:\n{self.log.read_text()[-3000:]}")
        return b"Postern is ready" in self.log.read_bytes()

    def stop(self) -> None:
        """Stop it as an operator does; a tree that does not stop is killed, and only that."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(45)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    def postern(self, *arguments: str, typed: str = "") -> str:
        """Run a `postern` command beside the running product and return what it printed."""
        done = self.try_postern(*arguments, typed=typed)
        assert done.returncode == 0, f"postern {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_postern(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """The same for commands that may refuse."""
        return subprocess.run(
            [sys.executable, "-m", "postern.project.cli", *arguments],
            env=self.environment,
            input=typed + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look behind every wall, as PostgreSQL's superuser: what is truly stored."""
        if self._database is None:
            dsn = Server(self.home / "data").dsn("superuser")
            self._database = psycopg.connect(**dsn, autocommit=True)
        found = self._database.execute(query, values)
        return list(found.fetchall()) if found.description else []

    def ledger(self, mailbox: int, role: str = "inbox") -> dict[int, tuple[str, str]]:
        """UID to (outcome, reason) for a folder of a mailbox."""
        rows = self.sql(
            "SELECT s.uid, s.outcome, s.reason FROM mail_sighting s JOIN mailboxes_folder f ON f.id = s.folder_id"
            " WHERE f.mailbox_id = %s AND f.role = %s",
            mailbox,
            role,
        )
        return {uid: (outcome, reason) for uid, outcome, reason in rows}
