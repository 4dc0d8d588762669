"""Whether this program knows the tables: a database that a newer Postern has migrated is left alone."""

import logging
import math
import time
from collections.abc import Iterable

import django
import psycopg
from django.apps import apps

from postern.project.database import DatabaseError, connected, libpq

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Between two looks whether a database answers that did not."""
FOR_EVER = math.inf


def known_migrations() -> set[tuple[str, str]]:
    """Return (app, name) of each migration of this program, and of those that later ones stand for."""
    if not apps.ready:  # a second time would set the logging up anew
        django.setup()
    from django.db.migrations.loader import MigrationLoader

    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    assert found is not None
    return {*found, *(old for one in found.values() for old in one.replaces)}


def unknown(done: Iterable[tuple[str, str]]) -> list[str]:
    """Return those of the migrations that this program does not know, as `app.name`, in order."""
    return sorted(f"{app}.{name}" for app, name in {*done} - known_migrations())


def require_known(role: str, *, patience: float = 0.0) -> None:
    """Make sure that no newer Postern has migrated the database. Raises DatabaseError.

    Asks as `role`. One that does not answer is asked again for `patience` seconds; then psycopg.OperationalError.
    """
    if strange := unknown(_done(role, time.monotonic() + patience)):
        raise DatabaseError(
            f"the database was brought up to date by a newer Postern ({strange[0]} is unknown here), and this version "
            "would damage what it does not understand. Install that version again, or a later one; or restore the "
            "backup from before the update into an empty database (docs/operations.md, Updating)."
        )


def _done(role: str, until: float) -> list[tuple[str, str]]:
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
