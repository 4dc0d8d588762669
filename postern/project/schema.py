"""Whether this program and the tables are of one version: those of a newer Postern, or an older, are left alone."""

import logging
import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import django
import psycopg
from django.apps import apps

from postern.project.database import DatabaseError, connected, libpq

if TYPE_CHECKING:
    from django.db.migrations import Migration

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Between two looks whether a database answers that did not."""
FOR_EVER = math.inf


def known_migrations() -> set[tuple[str, str]]:
    """Return (app, name) of each migration of this program, and of those that later ones stand for."""
    ours = _ours()
    return {*ours, *(old for one in ours.values() for old in one.replaces)}


def unknown(done: Iterable[tuple[str, str]]) -> list[str]:
    """Return those of the migrations that this program does not know, as `app.name`, in order."""
    return sorted(f"{app}.{name}" for app, name in {*done} - known_migrations())


def missing(done: Iterable[tuple[str, str]]) -> list[str]:
    """Return this program's migrations that are not among them, as `app.name`, in order.

    One that stands for others is done with them, and they with it.
    """
    ours, there = _ours(), {*done}
    for key, one in ours.items():
        if key in there:
            there.update(one.replaces)
        elif one.replaces and there.issuperset(one.replaces):
            there.add(key)
    return sorted(f"{app}.{name}" for app, name in {*ours} - there)


def require_known(role: str) -> None:
    """Make sure that no newer Postern has migrated the database; an older one may. Raises DatabaseError.

    Asks as `role`. For who brings it up to date, or copies it as it is.
    """
    _refuse_newer(_done(role))


def require_current(role: str, *, patience: float = 0.0) -> None:
    """Make sure that the database's tables are those of this version. Raises DatabaseError.

    Asks as `role`. One that does not answer is asked again for `patience` seconds; then psycopg.OperationalError.
    """
    done = _done(role, patience)
    _refuse_newer(done)
    if not done:
        raise DatabaseError("the database has no tables of Postern yet. Run `postern migrate`, once.")
    if lacking := missing(done):
        raise DatabaseError(
            f"the database is of an older version ({lacking[0]} is missing there), and this one would ask for what is "
            "not in it yet. Run `postern migrate`, once (docs/operations.md, Updating)."
        )


def _ours() -> dict[tuple[str, str], "Migration"]:
    if not apps.ready:  # a second time would set the logging up anew
        django.setup()
    from django.db.migrations.loader import MigrationLoader

    found: dict[tuple[str, str], Migration] | None
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    assert found is not None
    return found


def _refuse_newer(done: Iterable[tuple[str, str]]) -> None:
    if strange := unknown(done):
        raise DatabaseError(
            f"the database was brought up to date by a newer Postern ({strange[0]} is unknown here), and this version "
            "would damage what it does not understand. Install that version again, or a later one; or restore the "
            "backup from before the update into an empty database (docs/operations.md, Updating)."
        )


def _done(role: str, patience: float = 0.0) -> list[tuple[str, str]]:
    until = time.monotonic() + patience
    while True:
        try:
            with connected(libpq(role)) as db:
                return db.execute("SELECT app, name FROM django_migrations").fetchall()
        except psycopg.errors.UndefinedTable:
            return []  # never migrated
        except psycopg.OperationalError as error:
            if time.monotonic() >= until:
                raise
            log.warning("the database does not answer: %s", str(error).strip().partition("\n")[0])
            time.sleep(AGAIN_SECONDS)
