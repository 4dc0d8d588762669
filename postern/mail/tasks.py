"""Housekeeping. Procrastinate finds it here; the work is one function of the wall, run as postern_send."""

from __future__ import annotations

from django.db import connection
from procrastinate.contrib.django import app


@app.periodic(cron="17 * * * *")
@app.task(name="tidy", queue="tidy", queueing_lock="tidy")
def tidy(timestamp: int) -> None:
    """Delete finished connection tests and counted attempts of yesterday, expired sessions, steps of last week.

    A step older than seven days can no longer be undone.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app.tidy()")
    finally:
        connection.close()  # jobs run in threads; a connection left open in one would outlive its database
