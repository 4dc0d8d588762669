"""What happened, told to whoever listens: ids only, delivered by PostgreSQL when the transaction commits."""

import json
from collections.abc import Iterable

from django.db import connection

from postern.mail.bulk import ask, column

_TELL = """
SELECT count(pg_notify('postern_events', json_build_object('kind', %s::text, 'mailbox', %s::bigint, 'id', id)::text))
  FROM unnest(%s) id"""


def tell(kind: str, *, mailbox: int, id: int = 0) -> None:
    """Announce on `postern_events`: kind is message, health, delivery or probe."""
    notify("postern_events", {"kind": kind, "mailbox": mailbox, "id": id})


def tell_all(kind: str, *, mailbox: int, ids: Iterable[int]) -> None:
    """Announce many at once."""
    ask(_TELL, kind, mailbox, column("bigint", list(ids)))


def notify(channel: str, payload: dict[str, object]) -> None:
    """Send ids on a channel; listeners get it at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, json.dumps(payload)])
