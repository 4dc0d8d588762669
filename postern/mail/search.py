"""Finding messages by their words: only what the person named for this transaction may read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import BigIntegerField
from django.db.models.expressions import RawSQL

from postern.mail.words import query

ALL = 2**62


class Hit(NamedTuple):
    """A message that has the words, and when it was received: its place in a list."""

    id: int
    at: datetime


def has_words(text: str) -> bool:
    """True when there is something to look for in what somebody typed."""
    return bool(query(text))


def hits(text: str, *, before: tuple[datetime, int] | None, most: int, incoming: bool = True) -> list[Hit]:
    """Return at most `most` messages that have words beginning with all of `text`'s, newest first.

    before: the place (time, id) after which to go on; None begins with the newest.
    """
    words = query(text)
    if not words:
        return []
    at, pk = before or ("infinity", ALL)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at FROM app.search(%s, %s, %s, %s, %s)",
            [words, incoming, at, pk, most],
        )
        return [Hit(*row) for row in cursor.fetchall()]


def found(text: str) -> RawSQL:
    """Return a subquery of the ids of all incoming messages that have the words; for counting and checking."""
    sql = "(SELECT id FROM app.search(%s, true, 'infinity', %s, %s))"
    return RawSQL(sql, [query(text), ALL, ALL], output_field=BigIntegerField())  # noqa: S611 words only
