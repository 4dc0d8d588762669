"""Bring the tables up to date and raise the wall on them. Runs as postern_owner."""

import psycopg
from django.core.management import call_command
from django.db import transaction
from django.db.utils import DEFAULT_DB_ALIAS

from postern.mail.wall import raise_wall
from postern.project.database import libpq

MIGRATION_LOCK = 7_367_001  # any number, the same for every Postern


def migrate(*, verbosity: int = 1) -> None:
    """Run all migrations, then apply rights and row policies, one process at a time.

    A second starter waits at the lock and then finds nothing to do. Needs a session of its own for the
    lock, so not a transaction pooler. Call it in a process whose POSTERN_ROLE is owner.
    """
    with psycopg.connect(**libpq("owner"), autocommit=True) as lock:
        lock.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        call_command("migrate", verbosity=verbosity, interactive=False)
        with transaction.atomic(DEFAULT_DB_ALIAS), transaction.get_connection().cursor() as cursor:
            raise_wall(cursor)
