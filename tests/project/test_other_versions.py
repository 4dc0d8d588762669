"""A database of another version, newer or older: nothing of this one works on it, but what brings it up to date."""

import os
import subprocess
from argparse import Namespace
from collections.abc import Iterator

import psycopg
import pytest

from postern.project import backup, check, processes, schema
from postern.project.commands import VERBS
from postern.project.commands.migrate import migrate
from postern.project.database import DatabaseError, libpq
from postern.project.processes import this_program
from tests.privacy.served import url_of

MAIN = {
    "web": "postern.project.processes.serve_web",
    "sync": "postern.sync.run.main",
    "send": "postern.project.jobs.main",
}
WHAT = (
    r"by a newer Postern \(mail.0099_of_tomorrow is unknown here\).*Install that version again.*restore the"
)
OLD = r"of an older version \(mail\.0001_\w+ is missing there\).*Run `postern migrate`"


@pytest.fixture
def newer(db: None) -> Iterator[None]:
    """The row that a migration of a newer version leaves."""
    where = "app = 'mail' AND name = '0099_of_tomorrow'"
    with psycopg.connect(**libpq("owner"), autocommit=True) as owner:
        owner.execute(
            "INSERT INTO django_migrations (app, name, applied) SELECT 'mail', '0099_of_tomorrow', now()"
        )
        yield
        owner.execute(f"DELETE FROM django_migrations WHERE {where}")


@pytest.fixture
def older(db: None) -> Iterator[None]:
    """The rows of an app's migrations are not there: as far as anybody can see, they were never run."""
    with psycopg.connect(**libpq("owner"), autocommit=True) as owner:
        gone = owner.execute("DELETE FROM django_migrations WHERE app = 'mail' RETURNING *").fetchall()
        yield
        owner.cursor().executemany("INSERT INTO django_migrations VALUES (%s, %s, %s, %s)", gone)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which processes came to their work."""
    monkeypatch.delenv("POSTERN_ROLE", raising=False)
    names: list[str] = []
    for role, main in MAIN.items():
        monkeypatch.setattr(main, lambda role=role: names.append(role))
    return names


@pytest.mark.parametrize("role", MAIN)
def test_a_process_works_on_tables_that_it_knows(db, started, role):
    assert VERBS[role](Namespace()) is None
    assert started == [role]


@pytest.mark.parametrize("role", MAIN)
def test_no_process_works_on_tables_of_a_newer_version(newer, started, role, capsys):
    with pytest.raises(DatabaseError, match=WHAT):
        VERBS[role](Namespace())
    assert started == []


@pytest.mark.parametrize("role", MAIN)
def test_no_process_works_on_tables_of_an_older_version(older, started, role):
    with pytest.raises(DatabaseError, match=OLD):
        VERBS[role](Namespace())
    assert started == []


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as its own process; `postern up` migrates in such a child, before it starts anything."""
    environment = {**os.environ, "POSTERN_ROLE": "owner" if command[0] == "migrate" else "sync"}
    return subprocess.run(
        this_program(*command), env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("command", [["sync"], ["migrate", "--quiet"], ["mailbox", "list"]])
def test_the_refusal_is_one_line(newer, command):
    done = run(*command)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("postern: the database was brought up to date by a newer Postern")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["sync"], ["mailbox", "list"], ["rotate-keys"], ["token", "a@b.example"]]
)
def test_the_refusal_of_an_older_one_is_one_line(older, command):
    done = run(*command)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("postern: the database is of an older version (mail.0001_")
    assert done.stderr.count("\n") == 1


def test_a_database_without_tables_is_told_apart(db, monkeypatch):
    def empty(parameters):
        raise psycopg.errors.UndefinedTable

    monkeypatch.setattr(schema, "connected", empty)
    with pytest.raises(DatabaseError, match=r"no tables of Postern yet\. Run `postern migrate`"):
        schema.require_current("web")
    schema.require_known("owner")  # which `postern migrate` asks


def test_migrate_does_not_refuse_what_it_is_for(older, monkeypatch):
    done = []
    monkeypatch.setattr(f"{migrate.__module__}.call_command", lambda name, **options: done.append(name))
    monkeypatch.setattr(f"{migrate.__module__}.raise_wall", lambda cursor: done.append("wall"))
    migrate(verbosity=0)
    assert done == ["migrate", "wall"]


def test_a_backup_may_be_made_before_the_update(older, tmp_path, capsys):
    file = tmp_path / "postern.backup"
    assert VERBS["backup"](Namespace(file=file)) == 0
    assert not {app for app, _ in backup.read(file).migrations} & {"mail"}


def test_a_backup_of_a_newer_version_is_not_made(newer, tmp_path):
    with pytest.raises(DatabaseError, match=WHAT):
        VERBS["backup"](Namespace(file=tmp_path / "postern.backup"))
    assert not list(tmp_path.iterdir())


def test_check_says_how_many_migrations_are_missing(older):
    (finding,) = (one for one in check.look() if "missing" in one.what)
    assert "postern migrate" in finding.advice


def test_the_wall_of_a_newer_version_stays_as_it_is(newer):
    with psycopg.connect(**libpq("owner"), autocommit=True) as owner:
        owner.execute("CREATE POLICY of_tomorrow ON mail_raw USING (false)")
        try:
            with pytest.raises(DatabaseError, match=WHAT):
                migrate(verbosity=0)
            held = owner.execute(
                "SELECT count(*) FROM pg_policies WHERE policyname = 'of_tomorrow'"
            ).fetchone()
            assert held == (1,)
        finally:
            owner.execute("DROP POLICY of_tomorrow ON mail_raw")


@pytest.mark.parametrize(("version", "says"), [("newer", WHAT), ("older", OLD)])
def test_a_worker_refuses_before_it_starts_any_process(request, monkeypatch, version, says):
    request.getfixturevalue(version)
    monkeypatch.setenv("POSTERN_DATABASE_URL", url_of(libpq("superuser")))
    monkeypatch.setattr(processes, "become_unprivileged", lambda: None)
    monkeypatch.setattr(processes, "Tree", lambda *_, **__: pytest.fail("it was started"))
    with pytest.raises(DatabaseError, match=says):
        processes.worker()


def test_check_says_it_once_and_looks_no_further(newer):
    found = list(check.look())
    assert found[-1].what == "the tables are of a newer version"
    assert "Install that version again" in found[-1].advice


@pytest.fixture
def squashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first migration of the mail that stands for 0001_old and 0002_old."""
    from django.db.migrations.loader import MigrationLoader

    read = MigrationLoader.load_disk

    def replacing(self):
        read(self)
        self.disk_migrations["mail", "0001_initial"].replaces = [("mail", "0001_old"), ("mail", "0002_old")]

    monkeypatch.setattr(MigrationLoader, "load_disk", replacing)


OLD_ONES = [("mail", "0001_old"), ("mail", "0002_old")]


def test_a_migration_that_no_later_one_stands_for_is_unknown():
    assert schema.unknown([("mail", "0001_initial"), *OLD_ONES]) == ["mail.0001_old", "mail.0002_old"]


def test_a_migration_that_a_later_one_stands_for_is_known(squashed):
    assert schema.unknown([("mail", "0001_initial"), *OLD_ONES]) == []


@pytest.mark.parametrize(
    ("done", "lacks"),
    [([("mail", "0001_initial")], False), (OLD_ONES, False), (OLD_ONES[:1], True), ([], True)],
)
def test_a_migration_is_done_when_those_it_stands_for_are(squashed, done, lacks):
    rest = schema.known_migrations() - {("mail", "0001_initial"), *OLD_ONES}
    assert schema.missing(rest | {*done}) == (["mail.0001_initial"] if lacks else [])


def test_a_database_that_does_not_answer_yet_is_waited_for(db, monkeypatch):
    monkeypatch.setattr(schema, "AGAIN_SECONDS", 0.01)
    asked = []

    def connected(parameters):
        asked.append(parameters)
        if len(asked) < 3:
            raise psycopg.OperationalError("connection refused\nIs the server running?")
        return psycopg.connect(**parameters)

    monkeypatch.setattr(schema, "connected", connected)
    schema.require_current("sync", patience=schema.FOR_EVER)
    assert len(asked) == 3
    asked.clear()
    with pytest.raises(psycopg.OperationalError):
        schema.require_current("sync")
    assert len(asked) == 1
