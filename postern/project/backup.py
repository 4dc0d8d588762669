"""A backup is one pg_dump archive of the whole database; restoring it is one transaction: all or nothing.

The key file is never in it. Left out as well: sign-in sessions, counted attempts, and connection tests with
the passwords typed for them. What was waiting to be sent when the backup was made is held for review after
a restore (R-012): nobody knows whether it went out since.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.conninfo import make_conninfo

from postern.project import pgbinaries, schema
from postern.project.database import external_url, libpq
from postern.project.processes import Refused

LEFT_OUT = ("django_session", "people_attempt", "mailboxes_probe", "mailboxes_probesecret")

# Runs in the restoring transaction, after the last row: no worker ever sees the letters as they were.
AFTERWARDS = """
SET search_path = public;
ALTER TABLE outbox_delivery NO FORCE ROW LEVEL SECURITY;
-- One that some had got stays as it was sent: held, it would be sent to all of them again.
UPDATE outbox_delivery SET state = 'accepted', code = 'restored',
  problem = 'Postern was restored from a backup in which this letter was still waiting to be sent to some.',
  advice = 'Ask them whether they got it since, and send it to those who did not.'
  WHERE state IN ('queued', 'sending') AND accepted <> '[]';
UPDATE outbox_delivery SET state = 'held', code = 'restored', send_at = NULL,
  problem = 'Postern was restored from a backup in which this letter was still waiting to be sent.',
  advice = 'Look into the sent folder whether it went out since. Then send it again, or discard it.'
  WHERE state IN ('queued', 'sending');
-- A digest may have told since what the log held at that moment.
ALTER TABLE mail_digest NO FORCE ROW LEVEL SECURITY;
ALTER TABLE mail_opening NO FORCE ROW LEVEL SECURITY;
UPDATE mail_digest d SET upto = greatest(d.upto,
  (SELECT coalesce(max(o.id), 0) FROM mail_opening o WHERE o.mailbox_id = d.mailbox_id));
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE mail_digest FORCE ROW LEVEL SECURITY;
ALTER TABLE mail_opening FORCE ROW LEVEL SECURITY;
ALTER TABLE outbox_delivery FORCE ROW LEVEL SECURITY;
-- A notice that waited to be mailed may have been since; it stands as a page at the next sign-in anyhow.
DELETE FROM procrastinate_jobs WHERE task_name IN ('send', 'tell', 'recover', 'tidy', 'heal', 'digest');
UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE status = 'doing';
DELETE FROM procrastinate_workers;
"""
# Written by pg_restore 17 and newer, unknown to PostgreSQL 15 and 16; it says what is so anyway.
NOT_FOR_OLDER = b"SET transaction_timeout = 0;\n"
HEADER_LINES = 40
GOING_SECONDS = 5.0


@dataclass(frozen=True)
class Contents:
    """What an archive holds. migrations: (app, name) of each that had run."""

    server_version: str
    migrations: frozenset[tuple[str, str]]


def dump(file: Path) -> int:
    """Write the database to `file` (mode 0600) and return its size in bytes. Raises Refused.

    It reads one moment of the database while everything runs, and ends with an error rather than leave out
    what row security hides (S-075).
    """
    if file.exists():
        raise Refused(f"{file} exists already; name another file, or remove it")
    part = file.with_name(file.name + ".part")
    role, options = _whole_view()
    with psycopg.connect(**libpq(role)) as db:
        bindir = pgbinaries.client(db.info.server_version // 10000)
    with _written_by_nobody_else(part):
        command = [str(bindir / "pg_dump"), "--format=custom", "--no-owner", "--no-acl", *options]
        command += [f"--exclude-table-data=public.{table}" for table in LEFT_OUT]
        _run([*command, "--lock-wait-timeout=60s", f"--file={part}"], role, "no backup was made")
        part.chmod(0o600)
        _sync(part)
        part.rename(file)
    _sync(file.absolute().parent)
    return file.stat().st_size


def read(file: Path) -> Contents:
    """Look into an archive without touching the database. Raises Refused when it is none of Postern's."""
    if not file.is_file():
        raise Refused(f"{file}: there is no such file")
    program = str(pgbinaries.client(None) / "pg_restore")
    listed = subprocess.run([program, "--list", str(file)], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise Refused(f"{file} is no backup, or it is broken: {_last_line(listed.stderr)}")
    if "TABLE DATA public mail_message " not in listed.stdout:
        raise Refused(f"{file} is a PostgreSQL archive, but not of Postern")
    version = next(
        (line for line in listed.stdout.splitlines() if "Dumped from database version" in line), ""
    )
    table = [program, "--data-only", "--table=django_migrations", "--file=-", str(file)]
    rows = subprocess.run(table, capture_output=True, text=True, check=False)
    cells = [line.split("\t") for line in rows.stdout.splitlines()]
    done = frozenset((row[1], row[2]) for row in cells if len(row) == 4)
    return Contents(version.partition(":")[2].strip(), done)


def refuse_newer(contents: Contents) -> None:
    """Raise Refused when the archive has had migrations that this program does not know."""
    if strange := schema.unknown(contents.migrations):
        raise Refused(
            f"this backup was made by a newer Postern ({strange[0]} is unknown here). "
            "Install that version, or a later one, and restore with it."
        )


def restore(file: Path, *, force: bool) -> None:
    """Put an archive in place of what the database holds, in one transaction. Raises Refused; then all is as before.

    Without force only an empty database is taken: one without staff, customers and mail.
    """
    with psycopg.connect(**libpq("owner"), autocommit=True) as db:
        if not force and _holds_something(db):
            raise Refused(
                "this database is not empty. Restore into an empty one (another POSTERN_DATA_DIR or "
                "POSTERN_DATABASE_URL), or say --force to replace all that is in it."
            )
        if others := _still_others(db):
            raise Refused(
                f"something else uses this database ({others} connections); stop Postern first, on every machine"
            )
    bindir = pgbinaries.client(None)
    _pour(bindir, file)


def sealing_keys() -> set[bytes]:
    """Return the ids of the keys that the saved passwords in the database were sealed with."""
    query = (
        "SELECT substring(ciphertext FROM 2 FOR 4) FROM mailboxes_secret"
        " UNION SELECT substring(ciphertext FROM 2 FOR 4) FROM mailboxes_systemsecret"
    )
    with psycopg.connect(**libpq("owner")) as db:
        return {bytes(row[0]) for row in db.execute(query).fetchall()}


def _whole_view() -> tuple[str, list[str]]:
    """Return the role that sees every row and the options it needs.

    A superuser is above the wall, and pg_dump makes sure of it. The user of a managed server has only the
    owner's policy; that it stands on every table is what `postern check` compares, so this asks it first.
    """
    if not external_url():
        return "superuser", []
    with psycopg.connect(**libpq("superuser")) as db:
        above = db.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        row = above.fetchone()
        return ("superuser", []) if row and row[0] else ("owner", ["--enable-row-security"])


def _holds_something(db: psycopg.Connection[Any]) -> bool:
    for table in ("people_staff", "people_customer", "mail_message"):
        row = db.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
        if row and row[0]:
            found = db.execute(f"SELECT EXISTS (SELECT FROM public.{table})").fetchone()  # noqa: S608 our own names
            if found and found[0]:
                return True
    return False


def _still_others(db: psycopg.Connection[Any]) -> int:
    """Return how many other sessions stay. One whose program has just ended takes the server a moment to notice."""
    until = time.monotonic() + GOING_SECONDS
    while (others := _others(db)) and time.monotonic() < until:
        time.sleep(0.1)
    return others


def _others(db: psycopg.Connection[Any]) -> int:
    row = db.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND usename IS NOT NULL"
    ).fetchone()
    return int(row[0]) if row else 0


def _pour(bindir: Path, file: Path) -> None:
    """Let pg_restore write SQL and psql run it as the owner. psql is killed before it commits when anything fails."""
    reading = [str(bindir / "pg_restore"), "--clean", "--if-exists", "--no-owner", "--no-acl", "--file=-"]
    writing = [str(bindir / "psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--file=-"]
    environment = _environment("owner")
    with (
        subprocess.Popen([*reading, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source,
        subprocess.Popen(
            [*writing, "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        ) as sink,
    ):
        assert source.stdout and sink.stdin and source.stderr and sink.stderr
        taken = _copy(source.stdout, sink.stdin)
        source.stdout.close()
        said = source.stderr.read().decode(errors="replace")
        if taken and source.wait() != 0:
            sink.kill()
            raise Refused(f"{file} is broken: {_last_line(said)}. The database is as it was.")
        with contextlib.suppress(BrokenPipeError):
            sink.stdin.write(AFTERWARDS.encode())
            sink.stdin.close()
        complaint = sink.stderr.read().decode(errors="replace")
        if sink.wait() != 0:
            raise Refused(
                f"the backup could not be restored: {_first_error(complaint)}. The database is as it was."
            )


def _copy(source: IO[bytes], sink: IO[bytes]) -> bool:
    """Hand everything on but the one line older servers do not know; False when the reader went away."""
    try:
        for _ in range(HEADER_LINES):
            line = source.readline()
            if line != NOT_FOR_OLDER:
                sink.write(line)
        while chunk := source.read(1 << 20):
            sink.write(chunk)
        sink.flush()
    except BrokenPipeError:
        return False
    return True


def _run(command: list[str], role: str, failed: str) -> None:
    done = subprocess.run(command, env=_environment(role), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{failed}: {_last_line(done.stderr)}")


def _environment(role: str) -> dict[str, str]:
    """Return the environment in which libpq's programs sign in as `role`; a password stays out of `ps`."""
    names = {"requirepeer": "PGREQUIREPEER", "dbname": "PGDATABASE", "options": "PGOPTIONS"}
    parameters = libpq(role)
    known = {"host", "port", "user", "password", "dbname", "options", "requirepeer", "connect_timeout"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for key in known & parameters.keys():
        env[names.get(key, "PG" + key.upper())] = str(parameters[key])
    rest = {key: value for key, value in parameters.items() if key not in known}
    if rest:
        env["PGDATABASE"] = make_conninfo(dbname=parameters["dbname"], **rest)
    env["PGOPTIONS"] = f"{env.get('PGOPTIONS', '')} -c client_min_messages=warning".strip()
    return env


@contextlib.contextmanager
def _written_by_nobody_else(part: Path) -> Iterator[None]:
    """Make the file closed to others before the first byte is in it; remove it when it does not become whole."""
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise Refused(f"{part} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].partition("error: ")[2] or lines[-1] if lines else "it said nothing"


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "ERROR" in line or "FATAL" in line or "error:" in line]
    return (lines or text.strip().splitlines() or ["it said nothing"])[0].partition("ERROR:  ")[2] or (
        lines or [""]
    )[0]
