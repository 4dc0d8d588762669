"""Housekeeping. Procrastinate finds it here; run as postern_send."""

from __future__ import annotations

import logging

from django.db import connection
from procrastinate.contrib.django import app

from postern.mail import completing, rebuild

log = logging.getLogger(__name__)


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


@app.periodic(cron="23 3 * * *")
@app.task(name="heal", queue="tidy", queueing_lock="heal")
def heal(timestamp: int = 0) -> None:
    """Every night, and after a start: read anew what is in quarantine or was cleaned by older rules."""
    try:
        report = rebuild.heal()
        if report.letters or report.missing:
            log.warning("%s", report)
    finally:
        connection.close()


@app.periodic(cron="41 3 * * *")
@app.task(name="forget_strangers", queue="tidy", queueing_lock="forget_strangers")
def forget_strangers(timestamp: int = 0) -> None:
    """Every night: headers of strangers whose days are over, in mailboxes that store only customers' mail."""
    try:
        completing.forget_strangers()
    finally:
        connection.close()
