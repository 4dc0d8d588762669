"""A database of any version that somebody may have comes up to date with all that is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

import postern
from postern.mail.wall import raise_wall
from postern.people.models import Staff

LANDED = {
    "mail.0001_initial": "6b836e873c0ee1eb",
    "mail.0002_recipients": "fb3de442e1b4e764",
    "mail.0003_emailid": "3b2483c812440b13",
    "mail.0004_sighting_here": "ed93a7b6e4542aab",
    "mailboxes.0001_initial": "e098782f26bba949",
    "mailboxes.0002_downloaded": "4332f08605ba6c62",
    "mailboxes.0003_exists_unknown": "8deaebd1a5f00283",
    "mailboxes.0004_goes_on_at": "83d12267025f8bde",
    "mailboxes.0005_uploaded": "d1c53567d4433008",
    "mailboxes.0006_checked_certificates": "14ef1efc9b817241",
    "outbox.0001_initial": "47692b1dae9abdc4",
    "outbox.0002_deferred": "898a2fe310a271d3",
    "people.0001_initial": "503b954be22db0f1",
    "people.0002_notice_mailings": "8b6e620eb3210969",
    "people.0003_one_time_until": "8c609ef415f9743e",
    "people.0004_token_once": "458cfa412738d276",
}


def digests() -> dict[str, str]:
    files = Path(postern.__file__).parent.glob("*/migrations/0*.py")
    return {
        f"{file.parent.parent.name}.{file.stem}": hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in files
    }


def test_a_migration_that_somebody_may_have_run_never_changes():
    """A database would keep what it was: what is to be otherwise is the next migration. That one is listed here too."""
    assert digests() == LANDED


@pytest.fixture
def people(db: None, acting_as) -> Iterator[MigrationExecutor]:
    """Brings the tables of people to a migration and, at the end, to the last, with the wall that fits."""
    with acting_as("owner"):
        yield lambda name: MigrationExecutor(connection).migrate([("people", name)])
        last = max(
            name for app, name in MigrationExecutor(connection).loader.disk_migrations if app == "people"
        )
        MigrationExecutor(connection).migrate([("people", last)])
        with connection.cursor() as cursor:
            raise_wall(cursor)


def test_a_one_time_password_from_before_they_ended_gets_the_time_of_a_new_one(people, acting_as):
    people("0002_notice_mailings")
    with connection.cursor() as cursor:
        for email, must in (("new@isp.example", True), ("old@isp.example", False)):
            cursor.execute(
                "INSERT INTO people_staff (email, name, role, password, must_change_password, is_active, title,"
                " single_keys, has_notice, sign_ins, created_at)"
                " VALUES (%s, '', 'admin', '', %s, true, '', true, false, 0, now())",
                [email, must],
            )
    people("0003_one_time_until")
    ends = dict(Staff.objects.values_list("email", "one_time_until"))
    assert ends["old@isp.example"] is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s - now() BETWEEN '71:59' AND '72:00'", [ends["new@isp.example"]])
        assert cursor.fetchone() == (True,)
