"""A new key for every saved password, on live data, killed anywhere (S-093)."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from argparse import Namespace
from pathlib import Path

import psycopg
import pytest

from postern.mailboxes.keylines import KeyLines
from postern.project.database import libpq
from postern.project.keyfile import read_keys, write_keys
from postern.project.processes import Refused, this_program

OLD, NEW, OTHER = "11" * 32, "22" * 32, "33" * 32


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    """A key file of this test's own, for this process and for those it starts."""
    from django.conf import settings

    path = tmp_path / "secret.key"
    path.write_text(OLD + "\n")
    path.chmod(0o600)
    monkeypatch.setattr(settings, "KEY_FILE", path)
    monkeypatch.setenv("POSTERN_SECRET_KEY_FILE", str(path))
    return path


def rotate(acting_as, only=None) -> int:
    from postern.project.commands.keys import rotate_keys

    with acting_as("owner", everywhere=False):
        try:
            return rotate_keys(Namespace(only=only))
        finally:
            from django.db import connection

            connection.cursor().execute("SELECT pg_advisory_unlock_all()")


def fill(acting_as, count):
    """Mailboxes with a saved password each, the company's account, and a running test."""
    from postern.mailboxes.models import Mailbox, Probe, SystemEmail
    from postern.mailboxes.secrets import store_probe_secret, store_secret, store_system_secret
    from postern.people.models import Staff

    with acting_as("superuser"):
        staff = Staff.objects.create_staff(email="ada@example.com", name="Ada", password=None)
        boxes = Mailbox.objects.bulk_create(
            Mailbox(owner=staff, address=f"a{n}@example.com", imap_host="h", imap_username=f"u{n}")
            for n in range(count)
        )
        for box in boxes:
            store_secret(box, "imap", f"password {box.imap_username}")
        system = SystemEmail(pk=1, smtp_host="smtp.example.com", smtp_username="office")
        system.save()
        store_system_secret(system, "company")
        kept = {"host": "h", "port": 993, "username": "u", "security": "ssl"}
        probe = Probe.objects.create(staff=staff, kind="imap", settings=kept)
        store_probe_secret(probe, "typed for a test")
    return boxes, probe


def all_open(acting_as, boxes, probe) -> bool:
    from postern.mailboxes import secrets

    with acting_as("superuser", everywhere=False):
        opened = [secrets.read_secret(box, "imap") == f"password {box.imap_username}" for box in boxes]
        return (
            all(opened)
            and secrets.read_system_secret() == "company"
            and secrets.read_probe_secret(probe) == "typed for a test"
        )


def key_ids_in_use() -> set[bytes]:
    with psycopg.connect(**libpq("superuser")) as db:
        return {
            bytes(row[0])
            for row in db.execute(
                "SELECT substring(ciphertext FROM 2 FOR 4) FROM mailboxes_secret UNION ALL"
                " SELECT substring(ciphertext FROM 2 FOR 4) FROM mailboxes_systemsecret UNION ALL"
                " SELECT substring(ciphertext FROM 2 FOR 4) FROM mailboxes_probesecret"
            )
        }


@pytest.mark.rule("S-093")
def test_s093_everything_is_encrypted_anew_while_workers_read_and_people_save(db, acting_as, key_file):
    from postern.mailboxes import secrets

    boxes, probe = fill(acting_as, 30)
    before, faults, stop = key_ids_in_use(), [], threading.Event()

    def work() -> None:
        from django.db import connection

        try:
            with acting_as("superuser", everywhere=False):
                while not stop.is_set():
                    for box in boxes[:5]:
                        if secrets.read_secret(box, "imap") != f"password {box.imap_username}":
                            faults.append("wrong password")
                    secrets.store_secret(boxes[9], "imap", f"password {boxes[9].imap_username}")
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(3):
            assert rotate(acting_as) == 0
    finally:
        stop.set()
        worker.join(30)
    assert faults == [] and all_open(acting_as, boxes, probe)
    keys = read_keys(key_file)
    assert keys.current != OLD and keys.older == () and not keys.coming
    assert len(key_ids_in_use()) == 1 and not key_ids_in_use() & before
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]


@pytest.mark.rule("S-093")
def test_s093_killed_in_the_middle_it_goes_on_at_the_next_run(db, acting_as, key_file):
    """A lock stops it in its second batch; there the process is killed with SIGKILL."""
    from django.db import connections

    boxes, probe = fill(acting_as, 410)
    connections.close_all()
    old = key_ids_in_use()
    with psycopg.connect(**libpq("superuser")) as lock:
        lock.execute("SELECT FROM mailboxes_mailbox WHERE id = %s FOR UPDATE", [boxes[300].pk])
        running = subprocess.Popen(
            this_program("rotate-keys"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            wait_until(lambda: len(key_ids_in_use()) == 2 or running.poll() is not None)
            assert running.poll() is None, running.stderr.read().decode()
        finally:
            running.send_signal(signal.SIGKILL)
            running.communicate()
    halfway = read_keys(key_file)
    assert halfway.older == (OLD,) and halfway.current != OLD
    assert all_open(acting_as, boxes, probe)
    wait_until(lambda: not _advisory_locks())
    assert rotate(acting_as) == 0
    assert read_keys(key_file) == KeyLines(halfway.current)
    assert all_open(acting_as, boxes, probe) and not key_ids_in_use() & old


@pytest.mark.rule("S-093")
def test_s093_a_key_that_goes_between_row_and_file_is_no_fault(db, acting_as, key_file, monkeypatch):
    """A worker has read the row; before it opens the key file the rotation ends."""
    from postern.mailboxes import secrets

    boxes, _ = fill(acting_as, 1)
    keys, rotated = secrets._keys, []

    def late(path):
        if not rotated:
            rotated.append(True)
            rotate(acting_as)
        return keys(path)

    monkeypatch.setattr(secrets, "_keys", late)
    with acting_as("superuser", everywhere=False):
        assert secrets.read_secret(boxes[0], "imap") == "password u0"
    assert rotated and read_keys(key_file).current != OLD


@pytest.mark.rule("S-093")
def test_s093_the_old_key_waits_for_whoever_is_saving_with_it(db, acting_as, key_file):
    """A page has encrypted with the old key and not committed yet: the key file is not exchanged before."""
    from postern.mailboxes.secrets import read_secret, store_secret

    boxes, probe = fill(acting_as, 2)
    saving, seen = threading.Event(), []

    def save() -> None:
        from django.db import connection, transaction

        with acting_as("superuser", everywhere=False), transaction.atomic():
            store_secret(boxes[0], "smtp", "typed just now")
            saving.set()
            wait_until(lambda: _advisory_locks(70229, granted=False))
            seen.append(read_keys(key_file).current)
        connection.close()

    page = threading.Thread(target=save)
    page.start()
    assert saving.wait(30)
    rotate(acting_as)
    page.join(30)
    assert seen == [OLD] and read_keys(key_file).older == ()
    assert all_open(acting_as, boxes, probe)
    with acting_as("superuser", everywhere=False):
        assert read_secret(boxes[0], "smtp") == "typed just now"


def _advisory_locks(number: int = 70230, *, granted: bool = True) -> int:
    with psycopg.connect(**libpq("superuser")) as db:
        return db.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted = %s",
            [number, granted],
        ).fetchone()[0]


def wait_until(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    "stands",
    [
        KeyLines(OLD),
        KeyLines(OLD, (), NEW),
        KeyLines(NEW, (OLD,)),
        KeyLines(NEW, (OLD, OTHER)),
        KeyLines(OTHER, (OLD,), NEW),
    ],
)
def test_from_wherever_a_killed_run_left_the_file(db, acting_as, key_file, stands):
    boxes, probe = fill(acting_as, 3)
    key_file.write_text(stands.text())
    (key_file.parent / (key_file.name + ".part")).write_text("half a ke")
    assert rotate(acting_as) == 0
    keys = read_keys(key_file)
    assert keys == KeyLines(keys.current) and keys.current != OLD
    assert keys.current == (stands.coming or (NEW if stands.older else keys.current))
    assert all_open(acting_as, boxes, probe)
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]


def test_step_by_step_for_several_machines(db, acting_as, key_file, capsys):
    from postern.mailboxes.secrets import store_secret

    boxes, probe = fill(acting_as, 3)
    for early in ("use",):
        with pytest.raises(Refused, match="no new key is prepared"):
            rotate(acting_as, early)
    rotate(acting_as, "add")
    prepared = read_keys(key_file)
    assert prepared.current == OLD and prepared.coming
    with pytest.raises(Refused, match="not used yet"):
        rotate(acting_as, "drop")
    other_machine = key_file.read_text()
    rotate(acting_as, "use")
    mine = key_file.read_text()
    key_file.write_text(
        other_machine
    )  # whoever has the file of the step before reads all, and saves with the old key
    assert all_open(acting_as, boxes, probe)
    with acting_as("superuser"):
        store_secret(boxes[0], "imap", f"password {boxes[0].imap_username}")
    key_file.write_text(mine)
    assert all_open(acting_as, boxes, probe) and len(key_ids_in_use()) == 2
    rotate(acting_as, "drop")
    assert read_keys(key_file) == KeyLines(prepared.coming)
    assert all_open(acting_as, boxes, probe) and len(key_ids_in_use()) == 1
    assert "Copy" in capsys.readouterr().out


def test_what_opens_with_no_key_is_named_and_hinders_nothing(db, acting_as, key_file, capsys):
    from postern.mailboxes.models import Mailbox

    boxes, _ = fill(acting_as, 3)
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=boxes[1].pk).update(imap_host="imap.evil.example")
    assert rotate(acting_as) == 0
    assert f"the password of mailbox {boxes[1].pk} imap" in capsys.readouterr().out
    assert all(text not in key_file.read_text() for text in (OLD, "next:"))


def test_two_at_a_time_and_a_damaged_file_are_refused(db, acting_as, key_file):
    with psycopg.connect(**libpq("superuser"), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(70230)")
        with pytest.raises(Refused, match="another"):
            rotate(acting_as)
        other.execute("SELECT pg_advisory_unlock(70230)")  # closing alone lets go a moment later
    key_file.write_text("not a key\n")
    with pytest.raises(Refused, match="damaged"):
        rotate(acting_as)
    assert key_file.read_text() == "not a key\n"


def test_the_file_is_exchanged_whole_through_a_link_and_keeps_its_owner(tmp_path):
    real, link = tmp_path / "real.key", tmp_path / "link.key"
    real.write_text(OLD + "\n")
    if os.geteuid() == 0:
        os.chown(real, 65534, 65534)
    link.symlink_to(real)
    before = real.stat()
    write_keys(link, KeyLines(NEW, (OLD,)))
    assert link.is_symlink() and read_keys(link) == KeyLines(NEW, (OLD,))
    assert (real.stat().st_uid, real.stat().st_gid) == (before.st_uid, before.st_gid)
    assert real.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError):
        write_keys(Path("/proc/self/status"), KeyLines(NEW))


@pytest.mark.parametrize(
    "text",
    ["", "not hex", "11" * 31, f"next:{OLD}", f"next:{OLD}\n{NEW}", f"{OLD}\nnext:{NEW}\nnext:{OTHER}"],
)
def test_a_damaged_key_file_is_none(text):
    with pytest.raises(ValueError):
        KeyLines.parse(text)


@pytest.mark.parametrize("keys", [KeyLines(OLD), KeyLines(NEW, (OLD, OTHER)), KeyLines(OLD, (), NEW)])
def test_what_is_written_is_what_is_read(keys):
    assert KeyLines.parse(keys.text()) == keys
