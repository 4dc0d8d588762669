"""The embedded PostgreSQL starts, shares, refuses, recovers and stops as docs/operations.md says."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from postern.project import pgbinaries
from postern.project.children import command_line
from postern.project.database import DatabaseError, Server, prepare
from postern.project.runas import unprivileged

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="shows what happens as root")


def count(server: Server) -> int:
    """How many rows our table holds; makes it the first time."""
    with psycopg.connect(**server.dsn("superuser", "postgres"), autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS letter (id int)")
        row = db.execute("SELECT count(*) FROM letter").fetchone()
        return int(row[0]) if row else -1


def add(server: Server) -> None:
    """Commit one row."""
    with psycopg.connect(**server.dsn("superuser", "postgres")) as db:
        db.execute("INSERT INTO letter VALUES (1)")


def until(happened: Callable[[], object], seconds: float = 15) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_roles_sign_in_by_who_they_are_and_none_is_above_the_wall(place):
    with Server(place / "data", fast=True) as server:
        prepare(server)
        prepare(server)  # again: nothing to do, no complaint
        for role in ("owner", "web", "sync", "send"):
            with psycopg.connect(**server.dsn(role)) as db:
                assert db.execute("SELECT current_user").fetchone() == (f"postern_{role}",)
                strong = db.execute(
                    "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles"
                    " WHERE rolname = current_user"
                ).fetchone()
                assert strong == (False,)
        with psycopg.connect(**server.dsn("web")) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SET ROLE postern_owner")


def test_nobody_else_reaches_the_socket_and_nothing_listens_on_tcp(place):
    with Server(place / "data", fast=True) as server:
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        assert server.cluster.stat().st_mode & 0o077 == 0
        with psycopg.connect(**server.dsn("superuser", "postgres")) as db:
            assert db.execute("SHOW listen_addresses").fetchone() == ("",)
            assert db.execute("SHOW unix_socket_permissions").fetchone() == ("0700",)


@as_root
def test_another_user_of_the_machine_is_turned_away(place):
    with Server(place / "data", fast=True) as server:
        prepare(server)
        server.socket_dir.chmod(0o777)  # even if the directory stood open, and the socket with it
        (server.socket_dir / ".s.PGSQL.5432").chmod(0o777)
        server.data_dir.chmod(0o755)
        psql = pgbinaries.find(None, server.account, server.data_dir) / "psql"
        for user, wanted in (("daemon", 2), (unprivileged(server.data_dir).name, 0)):
            done = subprocess.run(
                [str(psql), "-h", str(server.socket_dir), "-U", "postern_web", "-c", "SELECT 1", "postgres"],
                user=user,
                cwd="/",
                capture_output=True,
                text=True,
            )
            assert done.returncode == wanted, done.stderr
            assert ("Peer authentication failed" in done.stderr) == (wanted == 2)


def test_durability_is_on_unless_tests_ask_otherwise(place):
    for fast, value in ((False, "on"), (True, "off")):
        with (
            Server(place / f"data-{value}", fast=fast) as server,
            psycopg.connect(**server.dsn("superuser", "postgres")) as db,
        ):
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                assert db.execute(f"SHOW {name}").fetchone() == (value,)


def test_a_second_start_refuses_or_shares(place):
    with Server(place / "data", fast=True) as first:
        with pytest.raises(DatabaseError, match=f"process {os.getpid()}"):
            Server(first.data_dir).start()
        with Server(first.data_dir, share=True) as second:
            assert not second.owned
            count(second)
        assert count(first) == 0  # the sharer left and took nothing with it
    assert not (first.cluster / "postmaster.pid").exists()


def test_a_sharer_starts_the_server_when_nobody_runs_it(place):
    with Server(place / "data", fast=True, share=True) as server:
        assert server.owned
        assert count(server) == 0


def test_kill_of_the_server_loses_nothing_that_was_committed(place):
    with Server(place / "data") as server:
        count(server)
        for kills in range(1, 4):
            add(server)
            assert server.process is not None
            server.process.kill()
            until(server.died)
            server.start()
            assert count(server) == kills


def test_kill_of_the_supervisor_takes_the_server_down_or_the_next_start_does(place):
    script = (
        "import sys, time; from pathlib import Path; from postern.project.database import Server\n"
        "s = Server(Path(sys.argv[1])); s.start(); print(s.process.pid, flush=True); time.sleep(60)"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script, str(place / "data")], stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    orphan = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    with Server(place / "data") as server:
        assert server.owned
        assert count(server) == 0
        assert "postgres" not in command_line(orphan)
    supervisor.stdout.close()


def test_a_server_that_outlived_its_supervisor_is_stopped_by_the_next_start(place):
    first = Server(place / "data")
    first.start()
    count(first)
    add(first)
    orphan = first.process
    assert orphan is not None and first._lock is not None
    first._lock.close()  # as the kernel does when the supervisor dies; the server itself lives on
    with Server(place / "data") as second:
        assert orphan.wait(10) == 0
        assert count(second) == 1


def test_a_stale_pid_file_with_a_reused_number_does_not_keep_it_from_starting(place):
    with Server(place / "data", fast=True) as server:
        count(server)
        assert server.process is not None
        server.process.kill()
        until(server.died)
        account = unprivileged(server.data_dir)
        bystander = subprocess.Popen(["sleep", "60"], **(account.for_child() if account else {}))
        try:
            pid_file = server.cluster / "postmaster.pid"
            lines = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
            socket_lock = server.socket_dir / ".s.PGSQL.5432.lock"
            socket_lock.write_text(socket_lock.read_text().replace(lines[0], str(bystander.pid)))
            server.start()
            assert count(server) == 0
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()


@pytest.mark.parametrize("rest", ["", "nonsense\n", "12"])
def test_a_pid_file_cut_short_does_not_keep_it_from_starting(place, rest):
    with Server(place / "data", fast=True) as server:
        server.stop()
        (server.cluster / "postmaster.pid").write_text(rest)
        server.start()
        assert count(server) == 0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc, so Linux only")
def test_a_zombie_of_the_old_server_does_not_keep_it_from_starting(place):
    with Server(place / "data", fast=True) as server:
        zombie = server.process
        assert zombie is not None
        zombie.kill()
        until(lambda: Path(f"/proc/{zombie.pid}/cmdline").read_bytes() == b"")  # dead, and not reaped
        server.start()
        assert server.process is not zombie
        assert count(server) == 0
        zombie.wait()


def test_stop_is_clean_although_a_client_is_connected(place):
    with Server(place / "data", fast=True) as server:
        client = psycopg.connect(**server.dsn("superuser", "postgres"))
        process = server.process
        server.stop()
        server.stop()
        assert process is not None and process.returncode == 0
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
        client.close()


def test_a_cut_first_start_leaves_nothing_half_made(place):
    data = place / "data"
    (data / "postgres.new").mkdir(parents=True)
    (data / "postgres.new" / "PG_VERSION").write_text("18")
    with Server(data, fast=True) as server:
        assert count(server) == 0
    assert not (data / "postgres.new").exists()


def test_a_long_path_gets_a_private_short_socket_directory(place):
    with Server(place / ("d" * 120), fast=True) as server:
        assert len(str(server.socket_dir)) < 90
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        assert count(server) == 0
    server.socket_dir.rmdir()


def test_a_short_socket_directory_of_somebody_else_is_refused(place):
    server = Server(place / ("e" * 120), fast=True)
    server.data_dir.mkdir()
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    server.socket_dir.symlink_to(elsewhere)
    try:
        with pytest.raises(DatabaseError, match="belongs to another user"):
            server.start()
        assert not server.owned
    finally:
        server.socket_dir.unlink()


def test_a_broken_setting_of_the_admin_is_quoted(place):
    with Server(place / "data", fast=True) as server:
        server.stop()
        (server.cluster / "local.conf").write_text("work_mem = nonsense\n")
        with pytest.raises(DatabaseError, match="work_mem"):
            server.start()
        assert not server.owned


def test_missing_binaries_say_what_to_do(place, monkeypatch):
    monkeypatch.setenv("POSTERN_PG_BIN", str(place))
    with pytest.raises(pgbinaries.BinariesMissing, match="POSTERN_PG_BIN"):
        Server(place / "data").start()


@as_root
def test_binaries_that_only_root_can_read_are_copied(place, monkeypatch):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    home = next(iter(pgbinaries.candidates())).parent
    target = closed / "package" / home.name
    shutil.copytree(home, target, symlinks=True)
    libraries = home.parent.parent / f"{pgbinaries.WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setenv("POSTERN_PG_BIN", str(target / "bin"))
    with Server(place / "data", fast=True) as server:
        assert count(server) == 0
        assert str(place / "data") in command_line(server.process.pid if server.process else 0).split()[0]


@as_root
def test_a_data_directory_only_root_can_reach_is_refused_with_advice(place):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DatabaseError, match="POSTERN_DATA_DIR"):
        Server(closed / "data").start()


def test_a_signal_to_the_group_of_the_terminal_does_not_reach_the_server(place):
    with Server(place / "data", fast=True) as server:
        assert server.process is not None
        assert os.getpgid(server.process.pid) != os.getpgid(0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.process.pid, signal.SIGHUP)  # reload, not stop
        assert count(server) == 0


def test_data_survives_a_stop_and_a_start(place: Path) -> None:
    with Server(place / "data") as server:
        count(server)
        add(server)
    with Server(place / "data") as server:
        assert count(server) == 1
