"""A database that a newer Postern has brought up to date: nothing of this version reads or writes it."""

import os
import subprocess
from argparse import Namespace
from collections.abc import Iterator

import psycopg
import pytest

from postern.project import check, processes, schema
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


@pytest.mark.parametrize("command", [["sync"], ["migrate", "--quiet"], ["mailbox", "list"]])
def test_the_refusal_is_one_line(newer, command):
    """`postern up` migrates in such a child, before it starts anything."""
    environment = {**os.environ, "POSTERN_ROLE": "owner" if command[0] == "migrate" else "sync"}
    done = subprocess.run(
        this_program(*command), env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("postern: the database was brought up to date by a newer Postern")
    assert done.stderr.count("\n") == 1


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


def test_a_worker_refuses_before_it_starts_any_process(newer, monkeypatch):
    monkeypatch.setenv("POSTERN_DATABASE_URL", url_of(libpq("superuser")))
    monkeypatch.setattr(processes, "become_unprivileged", lambda: None)
    monkeypatch.setattr(processes, "Tree", lambda *_, **__: pytest.fail("it was started"))
    with pytest.raises(DatabaseError, match=WHAT):
        processes.worker()


def test_check_says_it_once_and_looks_no_further(newer):
    found = list(check.look())
    assert found[-1].what == "the tables are of a newer version"
    assert "Install that version again" in found[-1].advice


def test_a_migration_that_a_later_one_stands_for_is_known(monkeypatch):
    from django.db.migrations.loader import MigrationLoader

    assert schema.unknown([("mail", "0001_initial"), ("mail", "0001_squashed")]) == ["mail.0001_squashed"]
    read = MigrationLoader.load_disk

    def squashed(self):
        read(self)
        self.disk_migrations["mail", "0001_initial"].replaces = [("mail", "0001_squashed")]

    monkeypatch.setattr(MigrationLoader, "load_disk", squashed)
    assert schema.unknown([("mail", "0001_initial"), ("mail", "0001_squashed")]) == []


def test_a_database_that_does_not_answer_yet_is_waited_for(db, monkeypatch):
    monkeypatch.setattr(schema, "AGAIN_SECONDS", 0.01)
    asked = []

    def connected(parameters):
        asked.append(parameters)
        if len(asked) < 3:
            raise psycopg.OperationalError("connection refused\nIs the server running?")
        return psycopg.connect(**parameters)

    monkeypatch.setattr(schema, "connected", connected)
    schema.require_known("sync", patience=schema.FOR_EVER)
    assert len(asked) == 3
    asked.clear()
    with pytest.raises(psycopg.OperationalError):
        schema.require_known("sync")
    assert len(asked) == 1
