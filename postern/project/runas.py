"""Whom the programs run as when root starts them: PostgreSQL refuses root, and so should everything else.

docs/decisions/0002-running-as-root.md says why it is done this way.
"""

import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account":
        """Return the user called `name`; KeyError when there is none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def numbered(cls, uid: int) -> "Account":
        """Return the user with this number; KeyError when there is none."""
        entry = pwd.getpwuid(uid)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def for_child(self) -> dict[str, Any]:
        """Return the keyword arguments that make subprocess start a child as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, flag: str, path: Path) -> bool:
        """Ask `test -r`, `-w` or `-x` as this user: a directory above may be closed, so only trying tells."""
        command = ["test", f"-{flag}", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.for_child()).returncode == 0


def unprivileged(owner_of: Path | None = None) -> Account | None:
    """Return the user to become when root runs us; None when we are not root.

    The owner of existing data wins, so that a user created later does not lock old data out; then
    POSTERN_RUN_AS, then `postern`, then `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if owner_of is not None and owner_of.exists() and owner_of.stat().st_uid != 0:
        return Account.numbered(owner_of.stat().st_uid)
    wanted = os.environ.get("POSTERN_RUN_AS")
    for name in [wanted] if wanted else ["postern", "nobody"]:
        try:
            account = Account.named(name)
        except KeyError:
            continue
        if account.uid != 0:
            return account
    raise SystemExit(
        f"postern: no unprivileged user {wanted or 'postern'!r} on this machine; set POSTERN_RUN_AS"
    )


def program_paths() -> list[Path]:
    """Return what a process needs to read in order to run this program."""
    return [Path(sys.executable), Path(sys.prefix), Path(__file__)]


def drop(data_dir: Path, *, owns: Sequence[Path] = ()) -> Account | None:
    """Turn this whole process into the unprivileged user for good, when root started it.

    owns: further files that shall belong to that user.

    Returns the user we became, or None when we stay who we are: not root, or the program lies where only
    root can read it (then only PostgreSQL runs unprivileged, and a notice says so).
    """
    account = unprivileged(data_dir)
    if account is None:
        return None
    closed = [path for path in program_paths() if not account.can("r", path)]
    if closed:
        log.warning("running as root: user %s cannot read %s; only PostgreSQL drops", account.name, closed[0])
        return None
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (data_dir, *owns):
        os.chown(path, account.uid, account.gid)
        if not account.can("r", path):
            raise SystemExit(
                f"postern: user {account.name} cannot reach {path}; put it where that user may go"
            )
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    os.environ.update(HOME=str(data_dir), USER=account.name, LOGNAME=account.name)
    return account
