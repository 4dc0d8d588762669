"""What every private server of the tests needs: a folder others may enter, free ports, a clean end."""

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
