"""The one clock that web, worker and sync share, on however many machines: the database's (R-039)."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """Return this moment by the database: for whatever one process writes and another waits for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
