"""A PgBouncer in transaction mode before the test database: each transaction may meet another's connection."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

PORT = 6432
PROGRAM = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
"""None where it is not installed: .ci/run installs it."""


@contextlib.contextmanager
def pgbouncer(server: dict[str, Any], *, user: str = "", size: int = 1) -> Iterator[dict[str, Any]]:
    """Run one with so few connections per pool; yield libpq's parameters to reach `server` as postern_web through it.

    user: who it signs in as, one that is a member of postern_web alone; else whoever `server` names, told the role.
    """
    place = Path(tempfile.mkdtemp(prefix="postern-pool-"))
    place.chmod(0o755)
    target = (
        f"host={server['host']} port={server['port']} dbname={server['dbname']} user={user or server['user']}"
    )
    role = "" if user else "connect_query='SET ROLE postern_web'"
    (place / "users.txt").write_text('"anybody" ""\n')
    (place / "pgbouncer.ini").write_text(
        f"[databases]\nwall = {target} {role}\n[pgbouncer]\nlisten_addr =\n"
        f"unix_socket_dir = {place}\nlisten_port = {PORT}\nauth_type = any\nauth_file = {place}/users.txt\n"
        f"pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 50\n"
    )
    command = [str(PROGRAM), str(place / "pgbouncer.ini")]
    directory = Path(str(server["host"]))
    if os.geteuid() == 0 and directory.is_dir():  # it refuses root, and the server lets in its own user only
        owner = directory.stat().st_uid
        shutil.chown(place, owner)
        command = ["setpriv", "--reuid", str(owner), "--clear-groups", *command]
    process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        parameters = {"host": str(place), "port": PORT, "dbname": "wall", "user": "anybody"}
        _wait(process, parameters)
        yield parameters
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(place, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], parameters: dict[str, Any]) -> None:
    for _ in range(100):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(**parameters, connect_timeout=5).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(
        f"PgBouncer does not start: {(process.stderr.read() if process.stderr else b'')[-600:]!r}"
    )
