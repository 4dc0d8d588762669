"""`postern check`: is this installation sound? Each finding says what is wrong and what to do."""

import os
import stat
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from postern.mail.wall import WALLED
from postern.project.database import data_dir, external_url
from postern.project.keyfile import key_file
from postern.project.processes import Listen, Refused, is_loopback


@dataclass(frozen=True)
class Finding:
    """One thing looked at. advice: what to do, '' when it is as it should be."""

    what: str
    advice: str = ""


def check(chosen: Namespace) -> int:
    """Print all findings; 1 when one of them is a fault."""
    findings = list(look())
    for finding in findings:
        print(
            f"  ok    {finding.what}"
            if not finding.advice
            else f"  FAULT {finding.what}\n        {finding.advice}"
        )
    faults = sum(1 for finding in findings if finding.advice)
    print(f"{faults} faults" if faults else "This installation is sound.")
    return 1 if faults else 0


def look() -> Iterator[Finding]:
    """Yield every finding. Needs Django and a running database."""
    yield from key_findings(key_file(), data_dir())
    yield listen_finding()
    yield from database_findings()
    yield migration_finding()
    yield from wall_findings()


def key_findings(path: Path, data: Path) -> Iterator[Finding]:
    """Look at the key file: there, closed to others, and not beside what it protects."""
    if not path.exists():
        yield Finding(
            f"no key file at {path}", "Start `postern up` once, or put your copy of the key file there."
        )
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    yield Finding(f"key file {path}, mode {mode:04o}", f"chmod 600 {path}" if mode & 0o077 else "")
    if path.absolute().is_relative_to(data.absolute()):
        yield Finding(
            "the key file lies in the data directory",
            "Move it out and set POSTERN_SECRET_KEY_FILE: a backup must not hold both.",
        )


def listen_finding() -> Finding:
    """Look at where the pages are served."""
    try:
        listen = Listen.from_environment()
    except Refused as error:
        return Finding("POSTERN_LISTEN cannot be read", str(error))
    safe = is_loopback(listen.host) or os.environ.get("POSTERN_BEHIND_TLS_PROXY") == "1"
    advice = "" if safe else "Listen on 127.0.0.1 behind a TLS proxy, or set POSTERN_BEHIND_TLS_PROXY=1."
    return Finding(f"pages at {listen.url}", advice)


def database_findings() -> Iterator[Finding]:
    """Look at the server: version, durability, and what our roles may not be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('server_version_num')::int")
        version, number = cursor.fetchone()
        kind = "external" if external_url() else "embedded"
        yield Finding(
            f"{kind} PostgreSQL {version}", "" if number >= 150000 else "Postern needs PostgreSQL 15."
        )
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            cursor.execute("SELECT current_setting(%s)", [name])
            value = cursor.fetchone()[0]
            yield Finding(
                f"{name} = {value}", f"Set {name} = on: a crash would lose mail." if value == "off" else ""
            )
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'postern\\_%%' AND (rolsuper OR rolbypassrls)"
        )
        too_strong = [row[0] for row in cursor.fetchall()]
        yield Finding(
            "the roles are bound by the privacy wall"
            if not too_strong
            else f"roles above the wall: {too_strong}",
            "ALTER ROLE ... NOSUPERUSER NOBYPASSRLS" if too_strong else "",
        )


def migration_finding() -> Finding:
    """Look whether the tables fit this version."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return Finding(
            f"{len(missing)} migrations are missing", "Run `postern migrate`, or restart `postern up`."
        )
    return Finding("the tables are up to date")


def wall_findings() -> Iterator[Finding]:
    """Look whether each table of mail has its row security on, for its owner as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relrowsecurity AND relforcerowsecurity",
            [list(WALLED)],
        )
        walled = {row[0] for row in cursor.fetchall()}
    bare = sorted(set(WALLED) - walled)
    if bare:
        yield Finding(f"tables without the privacy wall: {', '.join(bare)}", "Run `postern migrate`.")
    else:
        yield Finding(f"the privacy wall stands on {len(walled)} tables")
