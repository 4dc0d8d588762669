"""Where a demo lives while it runs: a folder, a key file and a port of its own, and its environment."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from postern.demo.accounts import COMPANY

KEPT = ("POSTERN_RUN_AS", "POSTERN_PG_BIN", "POSTERN_LOG_LEVEL", "POSTERN_TIME_ZONE")
"""Settings of the caller that hold for the demo too; all others would lead to real data or other people."""
USUAL_PORT = 8000


@dataclass(frozen=True)
class Place:
    """A fresh installation that nothing else knows of."""

    data: Path
    key: Path
    port: int

    @classmethod
    def make(cls, port: int | None = None) -> Place:
        """Make the folder. port None: the usual one, or any free one where that is taken."""
        data = Path(tempfile.mkdtemp(prefix="postern-demo-"))
        if os.geteuid() == 0:
            data.chmod(0o755)  # PostgreSQL runs as somebody else and must get through
        return cls(data, data.with_name(data.name + ".key"), port or free_port())

    @property
    def url(self) -> str:
        """The address of the pages, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def enter(self) -> None:
        """Let this process and its children work here, before Django reads any setting."""
        for name in [name for name in os.environ if name.startswith("POSTERN_") and name not in KEPT]:
            del os.environ[name]
        os.environ.update(
            POSTERN_DATA_DIR=str(self.data),
            POSTERN_SECRET_KEY_FILE=str(self.key),
            POSTERN_LISTEN=f"127.0.0.1:{self.port}",
            POSTERN_MAIL_HOSTS="127.0.0.1",
            POSTERN_COMPANY=COMPANY,
            POSTERN_DEMO="1",
        )
        os.environ.setdefault("POSTERN_TIME_ZONE", local_zone())
        os.environ.setdefault("POSTERN_LOG_LEVEL", "ERROR")  # a 404 that the tour asks for is no news

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.key.unlink(missing_ok=True)


def free_port() -> int:
    """Return the usual port when nobody listens there, else one that the system chooses."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free on 127.0.0.1")


def local_zone(link: Path = Path("/etc/localtime")) -> str:
    """Return this machine's time zone, so that the demo's clock is the reader's; UTC where it is not told."""
    _, found, name = str(link.resolve()).partition("/zoneinfo/")
    return name if found and "/zoneinfo/" not in name else "UTC"
