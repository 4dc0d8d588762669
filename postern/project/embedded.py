"""Our own PostgreSQL in the data directory: started, watched and stopped around plain binaries.

No TCP, a private socket directory, peer authentication, durability on. Only the process that holds the
lock file may start or repair the cluster; everybody else shares the running server or is told who has it.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from postern.project import pgbinaries
from postern.project.children import command_line, end_with_parent
from postern.project.runas import Account, unprivileged

log = logging.getLogger(__name__)

ROLES = ("owner", "web", "sync", "send")
PORT = 5432
SOCKET_LIMIT = 85  # sun_path holds 107 bytes on Linux, 103 on macOS; the file name takes 14 of them
LOG_LIMIT = 5_000_000
NO_PROCESS = "99999999"  # above every system's largest process number

CONFIG = """\
# Written by Postern at every start. Put your own settings into local.conf beside this file.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
shared_buffers = {shared_buffers}
work_mem = 16MB
maintenance_work_mem = 128MB
max_connections = 60
jit = off
random_page_cost = 1.1
max_wal_size = 1GB
wal_compression = pglz
checkpoint_timeout = 15min
idle_in_transaction_session_timeout = 5min
log_min_messages = warning
log_line_prefix = '%m [%p] %u '
"""
FAST = """\
# For tests only: a crash of the machine may lose everything.
fsync = off
synchronous_commit = off
full_page_writes = off
"""


class DatabaseError(Exception):
    """The embedded PostgreSQL cannot be used; the message says what happened and what to do."""


def socket_dir(data_dir: Path) -> Path:
    """Return where the socket of this data directory lies, the same for every process that asks.

    A long path does not fit into a socket address; then it is a private directory below /tmp.
    """
    preferred = data_dir / "run"
    if len(os.fsencode(preferred)) <= SOCKET_LIMIT:
        return preferred
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path("/tmp") / f"postern-{server_uid(data_dir)}-{digest}"  # noqa: S108 ownership is checked below


def server_uid(data_dir: Path) -> int:
    """Return the number of the user the server of this data directory runs as."""
    account = unprivileged(data_dir)
    return account.uid if account else os.geteuid()


class Server:
    """One embedded PostgreSQL cluster below `data_dir`.

    share: use a server that somebody else already runs instead of refusing. fast: no durability, for tests.
    patience: seconds to wait for another holder of the lock before refusing.
    Start it from a thread that lives as long as the server: on Linux the server ends with its parent thread.
    """

    def __init__(
        self, data_dir: Path, *, fast: bool = False, share: bool = False, patience: float = 0
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.fast = fast
        self.share = share
        self.patience = patience
        self.account: Account | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._wanted = False
        self.cluster = self.data_dir / "postgres"

    @property
    def socket_dir(self) -> Path:
        """The directory to give libpq as host."""
        return socket_dir(self.data_dir)

    @property
    def owned(self) -> bool:
        """True when this object runs the server, False when it shares somebody else's."""
        return self._lock is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def dsn(self, role: str, dbname: str = "postern") -> dict[str, Any]:
        """Return libpq parameters to sign in as `role`: owner, web, sync, send or superuser."""
        user = "postgres" if role == "superuser" else f"postern_{role}"
        return {"host": str(self.socket_dir), "port": PORT, "user": user, "dbname": dbname}

    def start(self) -> None:
        """Start the server, or share the running one; returns when it accepts connections.

        There is no time-out: recovery after a crash takes as long as it takes. Raises DatabaseError.
        """
        self._claim_data_dir()
        if not self._take_lock():
            return
        try:
            self._stop_orphan()
            self._create_cluster()
            self._write_config()
            self._launch()
        except BaseException:
            self._end()
            raise
        self._wanted = True

    def stop(self) -> None:
        """Stop the server cleanly (clients are disconnected) and let the lock go. Safe to call twice."""
        self._wanted = False
        self._end()

    def _end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGINT)  # "fast": roll back and disconnect, then a clean stop
            self.process.wait()
        self.process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def died(self) -> bool:
        """True when the server we run has ended by itself; call start() again to recover, until it succeeds."""
        return self._wanted and (self.process is None or self.process.poll() is not None)

    def _claim_data_dir(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.account = unprivileged(self.data_dir)
        if self.account is None:
            return
        if self.data_dir.stat().st_uid != self.account.uid:
            os.chown(self.data_dir, self.account.uid, self.account.gid)
        if not self.account.can("x", self.data_dir):
            raise DatabaseError(
                f"PostgreSQL must not run as root, and user {self.account.name} cannot reach {self.data_dir}. "
                "Set POSTERN_DATA_DIR to a directory below /var/lib."
            )

    def _take_lock(self) -> bool:
        """Return True with the lock held; False when sharing a server that is ready."""
        if self._lock is not None:
            return True
        path = self.data_dir / "lock"
        deadline = time.monotonic() + self.patience
        handle = path.open("a+")
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.share and self._status()[1] == "ready":
                    handle.close()
                    return False
                if not self.share and time.monotonic() >= deadline:
                    handle.close()
                    raise DatabaseError(self._taken(path)) from None
                time.sleep(0.05)
                continue
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            self._give(path)
            self._lock = handle
            return True

    def _taken(self, path: Path) -> str:
        return (
            f"Postern already runs on {self.data_dir} (process {path.read_text() or 'unknown'}). "
            "Stop it first, or use another POSTERN_DATA_DIR."
        )

    def _status(self) -> tuple[int, str]:
        """Return what postmaster.pid says: process id (0 when there is none) and state."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (FileNotFoundError, IndexError, ValueError, PermissionError):
            return 0, ""

    def _stop_orphan(self) -> None:
        """End a server that outlived its supervisor; defuse a pid file whose number belongs to someone else.

        PostgreSQL takes any living process of our user, a zombie too, for a running server, so a reused
        number would keep it from starting for ever. We hold the lock: nobody else can be starting this
        cluster. The other lines of the file stay, since PostgreSQL reads from them whether children of a
        killed server still use its memory.
        """
        path = self.cluster / "postmaster.pid"
        pid, _ = self._status()
        if pid and str(self.cluster) in command_line(pid):
            log.warning("stopping a PostgreSQL left behind as process %d", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            while str(self.cluster) in command_line(pid):
                time.sleep(0.02)
        (self.socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)  # names the same number again
        if not path.exists():
            return
        lines = path.read_text(errors="replace").splitlines()
        if pid and len(lines) > 1:
            path.write_text("\n".join([NO_PROCESS, *lines[1:]]) + "\n")
        else:  # cut short by a full disk: PostgreSQL would not start on it
            path.unlink()

    def _create_cluster(self) -> None:
        """Run initdb beside the final place and move it there: a cut start leaves nothing half made."""
        if (self.cluster / "PG_VERSION").exists():
            return
        fresh = self.data_dir / "postgres.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        bindir = pgbinaries.find(None, self.account, self.data_dir)
        options = ["-D", str(fresh), "-U", "postgres", "--auth=peer", "--encoding=UTF8"]
        if pgbinaries.major(bindir) >= 17:
            options += ["--locale-provider=builtin", "--locale=C.UTF-8"]
        else:
            options += ["--locale=C.UTF-8"]
        if self.fast:
            options.append("--no-sync")
        done = subprocess.run(
            [str(bindir / "initdb"), *options], capture_output=True, text=True, check=False, **self._child()
        )
        if done.returncode != 0:
            raise DatabaseError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        with (fresh / "postgresql.conf").open("a") as config:
            config.write("\ninclude = 'postern.conf'\ninclude_if_exists = 'local.conf'\n")
        fresh.rename(self.cluster)

    def _write_config(self) -> None:
        directory = self.socket_dir
        directory.mkdir(mode=0o700, exist_ok=True)
        uid = self.account.uid if self.account else os.geteuid()
        if directory.is_symlink() or directory.lstat().st_uid not in (uid, 0 if self.account else uid):
            raise DatabaseError(f"{directory} belongs to another user; remove it")
        directory.chmod(0o700)
        self._give(directory)
        config = CONFIG.format(
            port=PORT, socket_dir=directory, shared_buffers="64MB" if self.fast else "256MB"
        )
        users = sorted({"root", pwd.getpwuid(uid).pw_name})
        names = [
            f"postern {user} {role}\n"
            for user in users
            for role in (*map("postern_{}".format, ROLES), "postgres")
        ]
        self._write("postern.conf", config + (FAST if self.fast else ""))
        self._write("pg_hba.conf", "local all all peer map=postern\n")
        self._write("pg_ident.conf", "".join(names))

    def _write(self, name: str, text: str) -> None:
        """Write a file of the cluster that stays writable for the server's user when root writes it."""
        path = self.cluster / name
        path.write_text(text)
        self._give(path)

    def _give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _launch(self) -> None:
        wanted = int((self.cluster / "PG_VERSION").read_text())
        bindir = pgbinaries.find(wanted, self.account, self.data_dir)
        for attempt in range(20):
            self.process = self._spawn([str(bindir / "postgres"), "-D", str(self.cluster)])
            if self._wait_until_ready(self.process):
                return
            # After kill -9 of the server its children need a moment to notice and let the shared memory go.
            if "shared memory block" not in self._last_words() or attempt == 19:
                raise DatabaseError(f"PostgreSQL did not start: {self._last_words()}")
            time.sleep(0.25)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        path = self.data_dir / "postgres.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as output:
            self._give(path)
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is ours to handle: the web server drains first
                preexec_fn=end_with_parent(signal.SIGINT),
                **self._child(),
            )

    def _child(self) -> dict[str, Any]:
        keep = {name: os.environ[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
        return {
            "cwd": "/",
            "env": {**keep, "LC_ALL": "C"},
            **(self.account.for_child() if self.account else {}),
        }

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        notice = time.monotonic() + 10
        while process.poll() is None:
            if self._status() == (process.pid, "ready"):
                return True
            if time.monotonic() > notice:
                log.warning("PostgreSQL is still starting (it may be recovering from a crash)")
                notice += 10
            time.sleep(0.01)
        return False

    def _last_words(self) -> str:
        lines = (self.data_dir / "postgres.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-4:]) or "it said nothing"
