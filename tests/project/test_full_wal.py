"""The volume of PostgreSQL's own log is full: it ends, and comes back by itself with all that it acknowledged (R-009)."""

from __future__ import annotations

import os
import shutil
import time

import psycopg
import pytest

from postern.project.database import Server
from postern.project.processes import Tree
from tests.volume import Filler, mounted

pytestmark = pytest.mark.rule("R-009")


def write_until_full(server: Server) -> int:
    """Commit half a megabyte at a time; how many times it was acknowledged before the server gave up."""
    done = 0
    with psycopg.connect(**server.dsn("superuser", "postgres"), autocommit=True) as db:
        db.execute("CREATE TABLE letter (raw bytea STORAGE EXTERNAL)")
        with pytest.raises(psycopg.OperationalError):
            for _ in range(1000):
                db.execute("INSERT INTO letter VALUES (%s)", [os.urandom(512 * 1024)])
                done += 1
    return done


def kept(server: Server) -> int | None:
    """How many are there; None while nobody answers."""
    try:
        with psycopg.connect(**server.dsn("superuser", "postgres")) as db:
            return db.execute("SELECT count(*) FROM letter").fetchone()[0]
    except psycopg.OperationalError:
        return None


def tended(tree: Tree, seconds: float) -> int | None:
    """Look after the tree as `postern up` does, until the server answers or the time is over."""
    end = time.monotonic() + seconds
    found = None
    while found is None and time.monotonic() < end:
        tree.tend()
        found = kept(tree.server)
        time.sleep(0.2)
    return found


def test_a_full_volume_of_the_log_costs_nothing_that_was_acknowledged(place, tmp_path_factory):
    server = Server(place / "data")
    with server:
        log = server.cluster / "pg_wal"
    with mounted(tmp_path_factory.mktemp("wal"), 128) as volume:
        shutil.copytree(log, volume / "pg_wal")
        for path in (volume / "pg_wal", *(volume / "pg_wal").rglob("*")):
            shutil.chown(path, log.stat().st_uid, log.stat().st_gid)
        shutil.rmtree(log)
        log.symlink_to(volume / "pg_wal")
        with server, Tree((), server=server) as tree:
            filler = Filler(volume)
            filler.fill()
            acknowledged = write_until_full(server)
            assert acknowledged
            assert tended(tree, 2) is None, "it cannot be back while there is no room"
            filler.free()
            assert tended(tree, 60) in (acknowledged, acknowledged + 1)
