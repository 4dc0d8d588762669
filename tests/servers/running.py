"""What every private server of the tests needs: a folder others may enter, free ports, a start and a clean end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from postern.project.children import end_with_parent

LOOPBACK = "127.0.0.1"
USERS = {
    "marta@example.test": "marta-secret-1",
    "elena@example.test": "elena-secret-2",
    "tom@example.test": "tom-secret-3",
    "greta@brandt-bakery.test": "greta-secret-4",
    "customer@example.test": "customer-secret-5",
}
"""Accounts that both real servers have unless told otherwise; the servers' daemons drop to MAIL_USER."""


def program(name: str) -> str | None:
    """Return where a daemon lies, also when the sbin directories are not in PATH; None when not installed."""
    return shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )


def mail_user() -> pwd.struct_passwd:
    """Return who owns the mail: ourselves, or `nobody` when root runs the tests."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def private_folder(name: str) -> Path:
    """Make an empty folder that daemons under other users can reach (pytest's own are closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix=f"postern-{name}-"))
    folder.chmod(0o755)
    return folder


def free_ports(count: int) -> list[int]:
    """Return different free ports on loopback."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def start(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground, in a session of its own; it ends when the tests are killed."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=end_with_parent(signal.SIGTERM),
        )


def wait_until(true: Callable[[], bool], what: str, *, seconds: float = 15, log: Path | None = None) -> None:
    """Return when `true` says so; RuntimeError with the end of the log when it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log is not None and log.exists() else ""
            raise RuntimeError(f"{what} did not happen within {seconds:g} s\n{tail}")
        time.sleep(0.03)


def greets(port: int, word: bytes) -> bool:
    """True when a server on this loopback port says `word` first."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as link:
            return link.recv(200).startswith(word)
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End the daemon and everything in the session that was started for it; no other process."""
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)  # its session's id is its own: stragglers of this daemon alone
    except (ProcessLookupError, PermissionError):
        pass


class Daemon:
    """A server of our own: a folder, its settings, one process or several that greet at `port`, and a clean end.

    Who inherits says its `name`, how its greeting begins (`greeting`), prepares its files in `_prepare()` and
    returns its process from `_spawn()`. start() and stop() may be called again and again within a `with` block:
    the mail stays until its end.
    """

    name = ""
    greeting = b""
    port: int
    home: Path
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.home = private_folder(self.name.lower())
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def log(self) -> Path:
        """What the server had to say."""
        return self.home / "log"

    @property
    def output(self) -> Path:
        """What is shown when it does not start: its log, unless it says that elsewhere."""
        return self.log

    def start(self) -> None:
        """Start (again); returns when it greets. RuntimeError, with the end of what it said, when it does not."""
        self.process = self._spawn()
        wait_until(lambda: greets(self.port, self.greeting), f"{self.name}'s first greeting", log=self.output)

    def stop(self) -> None:
        """Stop; every connection drops."""
        stop(self.process)
        self.process = None

    def _prepare(self) -> None:
        """Write the settings."""
        raise NotImplementedError

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process."""
        raise NotImplementedError
