"""The jobs of the worker. Procrastinate finds them here; each calls one function."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import connection
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postern.mail import pairing
from postern.outbox import digest, telling
from postern.outbox.deliver import deliver, recover_interrupted


@contextmanager
def _own_connection() -> Iterator[None]:
    """Jobs run in threads; a connection left open in one would outlive its database."""
    try:
        yield
    finally:
        connection.close()


@app.task(name="send", queue="send")
def send(mailbox_id: int, delivery_id: int) -> None:
    """Take a delivery one step further."""
    with _own_connection():
        deliver(mailbox_id=mailbox_id, delivery_id=delivery_id)


@app.task(name="tell", queue="send", retry=RetryStrategy(max_attempts=48, wait=1800))
def tell(notice_id: int) -> None:
    """Mail a notice to its person; for a day, where the company's server does not answer."""
    with _own_connection():
        telling.tell(notice_id)


@app.periodic(cron="5,35 * * * *")
@app.task(name="digest", queue="digest", queueing_lock="digest")
def send_digests(timestamp: int) -> None:
    """Mail the daily digests of the reader log whose hour has come."""
    with _own_connection():
        digest.send_due()


@app.task(name="file_mail", queue="file_mail", retry=RetryStrategy(max_attempts=9, exponential_wait=2))
def file_mail(customer_ids: list[int], unmade: Collection[int] = ()) -> None:
    """File the mail of every mailbox about these customers anew; remove those whose making was undone.

    One that failed (a deadlock with a person who files the same letters, a database that restarts) is tried again
    for a quarter of an hour; those behind it wait, since the order decides what is filed in the end.
    """
    with _own_connection():
        pairing.file_mail(customer_ids)
        pairing.unmake(unmade)


@app.periodic(cron="*/5 * * * *")
@app.task(name="recover", queue="recover", queueing_lock="recover")
def recover(timestamp: int) -> None:
    """Find letters that no job takes care of."""
    with _own_connection():
        recover_interrupted()
