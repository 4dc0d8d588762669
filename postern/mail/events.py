"""What happened, told to whoever listens: ids only, delivered by PostgreSQL when the transaction commits."""

import json

from django.db import connection


def tell(kind: str, *, mailbox: int, id: int = 0) -> None:
    """Announce on `postern_events`: kind is message, health, delivery or probe."""
    notify("postern_events", {"kind": kind, "mailbox": mailbox, "id": id})


def notify(channel: str, payload: dict[str, object]) -> None:
    """Send ids on a channel; listeners get it at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, json.dumps(payload)])
