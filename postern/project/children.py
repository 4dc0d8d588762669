"""Child processes that end with their parent and come back when they die."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0  # seconds before a dead child is started again; doubles with each early death
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0  # seconds of life after which the pause starts small again
ORPHAN_GRACE = 10.0  # seconds a child gets to finish when its parent was killed
PARENT = "PARENT_PID"  # environment variable by which a child knows whose child it is

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a new child runs so that Linux signals it when its parent is killed; None elsewhere.

    The parent is the thread that starts the child: start children from the main thread.
    """
    if _libc is None:
        return None
    libc = _libc
    return lambda: libc.prctl(1, int(number))  # 1 is PR_SET_PDEATHSIG


def end_with_my_parent() -> None:
    """End this process, whatever it is busy with, soon after the parent named in the environment has died.

    The signal of end_with_parent() asks politely, but a killed `postern up` takes its PostgreSQL along, and
    a worker that tidies up waits half a minute for a database that will not come back. Does nothing in a
    process that was started by hand.
    """
    parent = int(os.environ.pop(PARENT, 0))  # not for our own children
    if not parent:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(ORPHAN_GRACE)
        os._exit(1)

    threading.Thread(target=watch, name="end with my parent", daemon=True).start()


def command_line(pid: int) -> str:
    """Return the command line of a living process, '' when there is none."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Child:
    """One process of the tree, started again after a pause whenever it ends by itself."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        self.env = {**os.environ, **env}
        self.process: subprocess.Popen[bytes] | None = None
        self.pause = FIRST_PAUSE
        self._began = 0.0
        self._next_start = 0.0

    def start(self) -> None:
        """Start the process now."""
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env={**self.env, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the tree in order
            preexec_fn=end_with_parent(signal.SIGTERM),
        )

    def tend(self) -> None:
        """Notice a death and start again when the pause is over. Call this a few times a second."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            if now - self._began > HEALTHY_AFTER:
                self.pause = FIRST_PAUSE
            log.warning(
                "%s ended (%s); starting again in %.0f s", self.name, self.process.returncode, self.pause
            )
            self.process = None
            self._next_start = now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if self.process is None and now >= self._next_start:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if the process lives."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; after `seconds` kill the process and return False."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in time and was killed", self.name)
            self.process.kill()
            self.process.wait()
            return False
        return True
