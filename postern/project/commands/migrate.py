"""Bring the tables up to date and raise the wall on them. Runs as postern_owner."""

import os
from argparse import Namespace

import django
import psycopg
from django.core.management import call_command
from django.db import transaction
from django.db.utils import DEFAULT_DB_ALIAS

from postern.mail.wall import raise_wall
from postern.project.database import external_url, libpq
from postern.project.processes import installation, migrate_in_child
from postern.project.schema import require_known

MIGRATION_LOCK = 7_367_001  # any number, the same for every Postern


def migrate(*, verbosity: int = 1) -> None:
    """Run all migrations, then apply rights and row policies, one process at a time.

    A second starter waits at the lock and then finds nothing to do. Needs a session of its own for the
    lock, so not a transaction pooler. Call it in a process whose POSTERN_ROLE is owner. Raises DatabaseError for
    one of a newer Postern, whose wall this one would take down.
    """
    with psycopg.connect(**libpq("owner"), autocommit=True) as lock:
        lock.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        require_known("owner")
        call_command("migrate", verbosity=verbosity, interactive=False)
        with transaction.atomic(DEFAULT_DB_ALIAS), transaction.get_connection().cursor() as cursor:
            raise_wall(cursor)


def run(chosen: Namespace) -> None:
    """Do `postern migrate`: as a child of `up` directly, from the shell with the database made ready first."""
    if os.environ.get("POSTERN_ROLE") == "owner":
        django.setup()
        migrate(verbosity=0 if chosen.quiet else 1)
        return
    external = bool(external_url())
    with installation(share=not external) as server:
        if server is None and not external:  # `postern up` runs it: its tables may be of an older version
            migrate_in_child()
