"""A backup holds everything but the keys; a restore is all or nothing and sends no letter twice."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from postern.project import backup, pgbinaries, schema
from postern.project.database import Server, libpq, prepare
from postern.project.processes import Refused, this_program

PER_OWNER = """
SELECT s.email, count(DISTINCT b.id), count(DISTINCT m.id), count(DISTINCT r.message_id), count(DISTINCT d.id)
  FROM people_staff s LEFT JOIN mailboxes_mailbox b ON b.owner_id = s.id
  LEFT JOIN mail_message m ON m.mailbox_id = b.id LEFT JOIN mail_raw r ON r.message_id = m.id
  LEFT JOIN outbox_delivery d ON d.mailbox_id = b.id GROUP BY s.email ORDER BY s.email
"""
PASSWORD = "the password in the mailbox"


@pytest.fixture
def full(db, acting_as) -> Iterator[None]:
    """Two owners with mail, letters on their way, a saved password, a running test and a sign-in."""
    from django.contrib.sessions.models import Session
    from django.db import connection, connections

    from postern.mailboxes.models import Mailbox, Probe, Secret
    from postern.mailboxes.secrets import store_probe_secret, store_secret
    from postern.people.models import Customer, Staff

    with acting_as("superuser"):
        for number, name in enumerate(("ada", "bob"), start=1):
            staff = Staff.objects.create_staff(email=f"{name}@example.com", name=name, password=None)
            box = Mailbox.objects.create(owner=staff, address=staff.email, imap_host="mail.example.com")
            store_secret(box, Secret.Field.IMAP, PASSWORD)
            _mail(box, number * 3)
            _letters(box, staff)
            connection.cursor().execute("SELECT app.tell(%s, 'A colleague reads along.')", [staff.pk])
        probe = Probe.objects.create(
            staff=staff,
            kind="imap",
            settings={"host": "h", "port": 993, "username": "u", "security": "ssl"},
        )
        store_probe_secret(probe, PASSWORD)
        Session.objects.create(
            session_key="livesession", session_data="x", expire_date=datetime.now(UTC) + timedelta(days=1)
        )
        Customer.objects.create(name="Müller & Søn")
    connections.close_all()
    yield


def _mail(box, count: int) -> None:
    from postern.mail.models import Conversation, Message, Raw
    from postern.mail.packing import pack

    for number in range(count):
        thread = Conversation.objects.create(mailbox=box)
        message = Message.objects.create(
            mailbox=box,
            conversation=thread,
            sha256=f"{box.pk}-{number}".encode(),
            subject=f"Letter {number}",
            received_at=datetime.now(UTC),
        )
        Raw(data=pack(os.urandom(20_000)), message=message, mailbox=box).save()


def _letters(box, staff) -> None:
    from django.db import connection

    from postern.outbox.models import Delivery

    some = {"accepted": ["a@a.example"], "deferred": [["b@b.example", 451, "later"]]}
    Delivery.objects.create(mailbox=box, author=staff, state="queued", subject="some have it", **some)
    for state in Delivery.State:
        row = Delivery.objects.create(mailbox=box, author=staff, state=state, subject=state)
        if state == "queued":
            connection.cursor().execute(
                "SELECT app.defer('send', jsonb_build_object('mailbox_id', %s, 'delivery_id', %s), NULL, NULL)",
                [box.pk, row.pk],
            )


def rows(query: str, role: str = "superuser") -> list[tuple]:
    """Ask the database that the environment names now."""
    with psycopg.connect(**libpq(role)) as db:
        return db.execute(query).fetchall()


@pytest.fixture
def target(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A new, empty installation; calling it turns the environment to it."""
    with Server(place / "data", fast=True) as server:
        prepare(server)

        def turn() -> None:
            monkeypatch.delenv("POSTERN_DATABASE_URL", raising=False)
            monkeypatch.setenv("POSTERN_DATA_DIR", str(place / "data"))

        yield turn


@pytest.mark.rule("R-012")
def test_a_notice_is_not_mailed_again_and_still_stands_as_a_page(full, target, place):
    file = place / "postern.backup"
    waiting = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'tell'"
    assert rows(waiting) == [(2,)]
    backup.dump(file)
    target()
    backup.restore(file, force=False)
    assert rows(waiting) == [(0,)]
    shown = "SELECT n.text, s.has_notice FROM people_notice n JOIN people_staff s ON s.id = n.staff_id"
    assert rows(shown) == [("A colleague reads along.", True)] * 2


def as_sql(file: Path) -> str:
    """The whole archive as text."""
    program = str(pgbinaries.client(None) / "pg_restore")
    return subprocess.run([program, "--file=-", str(file)], capture_output=True, text=True, check=True).stdout


@pytest.mark.rule("S-075")
@pytest.mark.rule("R-012")
def test_what_was_backed_up_is_there_again_and_no_letter_leaves_by_itself(full, target, place):
    file = place / "postern.backup"
    before = rows(PER_OWNER)
    backup.dump(file)
    target()
    backup.restore(file, force=False)
    assert rows(PER_OWNER) == before
    assert [row[2] for row in before] == [3, 6]
    assert rows("SELECT name FROM people_customer") == [("Müller & Søn",)]
    states = dict(rows("SELECT subject, state FROM outbox_delivery"))
    assert states.pop("some have it") == "accepted", "to send it again would be to send it to all"
    assert states == {s: "held" if s in ("queued", "sending") else s for s in states} and len(states) == 7
    assert (
        rows("SELECT code FROM outbox_delivery WHERE state = 'held' AND problem <> ''").count(("restored",))
        == 4
    )
    for table in (*backup.LEFT_OUT, "procrastinate_jobs"):
        assert rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert len(backup.sealing_keys()) == 1


@pytest.mark.rule("S-092")
def test_neither_key_nor_password_nor_sign_in_is_in_it(full, place):
    file = place / "postern.backup"
    backup.dump(file)
    text = as_sql(file)
    assert "Letter 1" in text
    for secret in (Path(os.environ["POSTERN_SECRET_KEY_FILE"]).read_text().strip(), PASSWORD, "livesession"):
        assert secret not in text and secret.encode().hex() not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.iterdir()] == [file.name]


def test_a_file_that_is_there_is_not_overwritten(full, place):
    file = place / "postern.backup"
    file.write_text("precious")
    with pytest.raises(Refused, match="exists already"):
        backup.dump(file)
    assert file.read_text() == "precious"
    with pytest.raises(Refused, match="cannot be written"):
        backup.dump(place / "nowhere" / "postern.backup")


def test_a_database_in_use_or_not_empty_is_left_alone_unless_forced(full, target, place):
    file = place / "postern.backup"
    backup.dump(file)
    target()
    with psycopg.connect(**libpq("web")), pytest.raises(Refused, match="something else uses this database"):
        backup.restore(file, force=True)
    backup.restore(file, force=False)
    with psycopg.connect(**libpq("superuser")) as db:
        db.execute("UPDATE people_customer SET name = 'changed since'")
    with pytest.raises(Refused, match="--force"):
        backup.restore(file, force=False)
    assert rows("SELECT name FROM people_customer") == [("changed since",)]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(Refused, match="broken"):
        backup.restore(file, force=True)
    assert rows("SELECT name FROM people_customer") == [("changed since",)]
    file.write_bytes(whole)
    backup.restore(file, force=True)
    assert rows("SELECT name FROM people_customer") == [("Müller & Søn",)]


def test_what_the_database_refuses_is_said_and_changes_nothing(full, target, place):
    file = place / "postern.backup"
    backup.dump(file)
    target()
    with psycopg.connect(**libpq("superuser")) as db:
        db.execute("CREATE TABLE public.people_staff (id int)")  # not the owner's: cannot be replaced
    with pytest.raises(Refused, match=r"must be owner of table people_staff.*as it was"):
        backup.restore(file, force=True)
    assert rows("SELECT to_regclass('mail_message') IS NULL") == [(True,)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "no backup, or it is broken"),
        (b"PGDMP\x01\x0e", "broken"),
        (b"x" * 9000, "broken"),
    ],
)
def test_what_is_no_backup_is_refused(place, content, says):
    file = place / "postern.backup"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused, match=says):
        backup.read(file)


def test_the_archive_of_another_program_is_refused(db, place):
    program = str(pgbinaries.client(None) / "pg_dump")
    file = place / "other.dump"
    only = [program, "--format=custom", "--table=public.auth_group", f"--file={file}"]
    subprocess.run(only, env=backup._environment("superuser"), check=True)
    with pytest.raises(Refused, match="not of Postern"):
        backup.read(file)


def test_a_backup_of_a_newer_postern_is_refused(full, place, monkeypatch):
    file = place / "postern.backup"
    backup.dump(file)
    contents, known = backup.read(file), schema.known_migrations()
    assert ("mail", "0001_initial") in contents.migrations and contents.server_version
    backup.refuse_newer(contents)
    older = {("mail", "0000_first"), *known} - {("mail", "0001_initial")}
    monkeypatch.setattr(schema, "known_migrations", lambda: older)
    with pytest.raises(Refused, match=r"newer Postern \(mail.0001_initial"):
        backup.refuse_newer(contents)


def test_the_commands_from_the_shell(full, place, capsys):
    from postern.project.commands.backup import backup as command

    file = place / "postern.backup"
    assert command(Namespace(file=file)) == 0
    said = capsys.readouterr().out
    assert "key file is not in it" in said and os.environ["POSTERN_SECRET_KEY_FILE"] in said
    fresh = {
        **{name: value for name, value in os.environ.items() if name != "POSTERN_DATABASE_URL"},
        "POSTERN_DATA_DIR": str(place / "data"),
        "POSTERN_SECRET_KEY_FILE": str(place / "secret.key"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        this_program("restore", str(file)), env=fresh, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "are held" in done.stdout and "sealed with another key" in done.stdout
    # Roles, policies and rights are in place, and the tables fit.
    done = subprocess.run(this_program("check"), env=fresh, capture_output=True, text=True, check=False)
    assert (done.returncode, "sound" in done.stdout) == (0, True), done.stdout + done.stderr
    again = subprocess.run(
        this_program("restore", str(file)), env=fresh, capture_output=True, text=True, check=False
    )
    assert again.returncode == 1 and "--force" in again.stderr and sys.executable not in again.stderr
