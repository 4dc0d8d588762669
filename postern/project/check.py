"""`postern check`: is this installation sound? Each finding says what is wrong and what to do."""

import os
import stat
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from postern.mail.wall import WALLED, policies
from postern.project import schema, standing
from postern.project.database import (
    DURABLE,
    DatabaseError,
    data_dir,
    external_url,
    outdated,
    pooler_url,
    require_pooler,
    require_role,
)
from postern.project.keyfile import key_file
from postern.project.processes import Listen, Refused, is_loopback

# Older ones took a server's answers from before STARTTLS for the encrypted ones (CVE in aiosmtplib < 5.1.2).
FLOORS = {"aiosmtplib": (5, 1, 2)}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. advice: what to do, '' when it is as it should be."""

    what: str
    advice: str = ""


def check(chosen: Namespace) -> int:
    """Print all findings; 1 when one of them is a fault."""
    findings = list(look())
    for finding in findings:
        print(f"  FAULT {finding.what}. {finding.advice}" if finding.advice else f"  ok    {finding.what}")
    faults = sum(1 for finding in findings if finding.advice)
    print(f"{faults} fault{'s'[: faults - 1]}" if faults else "This installation is sound.")
    return 1 if faults else 0


def look() -> Iterator[Finding]:
    """Yield every finding. Needs Django and a running database."""
    yield from key_findings(key_file(), data_dir())
    yield listen_finding()
    yield from program_findings()
    for findings in (session_findings, pooler_findings):
        found = list(findings())
        yield from found
        if any(finding.advice for finding in found):
            return  # what cannot be reached as itself cannot be looked at
    yield from database_findings()
    try:
        schema.require_known("web")
    except DatabaseError as error:
        yield Finding("the tables are of a newer version", str(error))
        return  # its wall is another
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


def session_findings() -> Iterator[Finding]:
    """Look whether the database takes each process for its role, and lets it hear what is announced."""
    try:
        for role in ("web", "sync", "send"):
            require_role(role)
    except DatabaseError as error:
        yield Finding("the sessions of the database are not what Postern needs", str(error))
    else:
        yield Finding("the database takes each process for its role, and announcements are heard")


def pooler_findings() -> Iterator[Finding]:
    """Look at POSTERN_POOLER_URL, where it is set."""
    if not pooler_url():
        return
    try:
        require_pooler()
    except DatabaseError as error:
        yield Finding("the pages cannot go through the pooler", str(error))
    else:
        yield Finding("the pages go through a pooler; live updates and workers go to the server itself")


def database_findings() -> Iterator[Finding]:
    """Look at the server: version, durability, and what our roles may not be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('server_version_num')::int")
        version, number = cursor.fetchone()
        kind = "external" if external_url() else "embedded"
        too_old = "" if number >= 150000 else "Postern needs PostgreSQL 15."
        yield Finding(f"{kind} PostgreSQL {version}", too_old or outdated(number))
        for name in DURABLE:
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
        cursor.execute(
            "SELECT a.rolname || ' may become ' || b.rolname FROM pg_roles a, pg_roles b"
            " WHERE starts_with(a.rolname, 'postern_') AND starts_with(b.rolname, 'postern_') AND a.oid <> b.oid"
            " AND pg_has_role(a.oid, b.oid, 'MEMBER')"
        )
        for (climbs,) in cursor.fetchall():
            yield Finding(climbs, "REVOKE the one role from the other.")


def migration_finding() -> Finding:
    """Look whether the tables fit this version."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return Finding(
            f"{len(missing)} migrations are missing", "Run `postern migrate`, or restart `postern up`."
        )
    return Finding("the tables are up to date")


def program_findings() -> Iterator[Finding]:
    """Look at the program itself: no debugging pages, and libraries without known holes."""
    advice = "Set DEBUG = False in settings: error pages would show mail." if settings.DEBUG else ""
    yield Finding(f"DEBUG is {'on' if settings.DEBUG else 'off'}", advice)
    for name, floor in FLOORS.items():
        here = installed(name)
        old = tuple(int(part) for part in here.split(".")[:3] if part.isdigit()) < floor
        wanted = ".".join(map(str, floor))
        yield Finding(f"{name} {here}", f"Install {name} {wanted} or newer." if old else "")


def wall_findings() -> Iterator[Finding]:
    """Compare row security, policies and rights in the catalogue with the lists of postern.mail.wall."""
    faults = list(standing.faults())
    for fault in faults:
        yield Finding(fault, standing.RAISE)
    if not faults:
        yield Finding(f"the privacy wall stands on {len(WALLED)} tables, with {len(policies())} policies")
