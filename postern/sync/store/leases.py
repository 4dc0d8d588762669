"""Leases in the database: who is at which mailbox. Every moment here is the database's clock (R-039)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from django.db import OperationalError, connection, transaction

CHANNEL = "postern_leases"

_OFFER = """
INSERT INTO mailboxes_lease (mailbox_id, owner, epoch, expires_at, not_before, signature)
SELECT b.id, '', 0, to_timestamp(0), to_timestamp(0), '' FROM mailboxes_mailbox b
 WHERE b.id = ANY(%s) AND NOT EXISTS (SELECT FROM mailboxes_lease l WHERE l.mailbox_id = b.id)
ON CONFLICT DO NOTHING"""

# A lease whose holder is just writing is locked, and left to its holder.
_CLAIM = """
WITH wanted AS (SELECT * FROM unnest(%s::bigint[], %s::text[]) w(id, signature)),
     free AS (SELECT l.mailbox_id, w.signature FROM mailboxes_lease l JOIN wanted w ON w.id = l.mailbox_id
               WHERE l.expires_at < clock_timestamp()
                 AND (l.not_before <= clock_timestamp() OR l.signature <> w.signature)
               ORDER BY l.expires_at LIMIT %s FOR UPDATE OF l SKIP LOCKED)
UPDATE mailboxes_lease l
   SET owner = %s, epoch = l.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => %s),
       not_before = to_timestamp(0), signature = free.signature
  FROM free WHERE l.mailbox_id = free.mailbox_id RETURNING l.mailbox_id, l.epoch"""

# What nobody took over meanwhile may be renewed even late: its epoch is still ours.
_RENEW = """
WITH ours AS (SELECT l.mailbox_id FROM mailboxes_lease l
                JOIN unnest(%s::bigint[], %s::bigint[]) h(id, epoch) ON h.id = l.mailbox_id AND h.epoch = l.epoch
               FOR UPDATE OF l SKIP LOCKED)
UPDATE mailboxes_lease l SET expires_at = clock_timestamp() + make_interval(secs => %s)
  FROM ours WHERE l.mailbox_id = ours.mailbox_id RETURNING l.mailbox_id"""

_LOST = """
SELECT h.id FROM unnest(%s::bigint[], %s::bigint[]) h(id, epoch)
  LEFT JOIN mailboxes_lease l ON l.mailbox_id = h.id WHERE l.epoch IS DISTINCT FROM h.epoch"""

_RENEW_ONE = """
UPDATE mailboxes_lease SET expires_at = clock_timestamp() + make_interval(secs => %s)
 WHERE mailbox_id = %s AND epoch = %s"""

_GIVE_BACK = """
UPDATE mailboxes_lease l
   SET owner = '', epoch = l.epoch + 1, expires_at = to_timestamp(0),
       not_before = clock_timestamp() + make_interval(secs => h.wait)
  FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) h(id, epoch, wait)
 WHERE l.mailbox_id = h.id AND l.epoch = h.epoch"""


def take(owner: str, wanted: Mapping[int, str], limit: int, seconds: float) -> dict[int, int]:
    """Take up to `limit` free leases of the `wanted` mailboxes (id to signature); returns id to epoch."""
    if not wanted or limit <= 0:
        return {}
    ids, signatures = list(wanted), list(wanted.values())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OFFER, [ids])
        cursor.execute(_CLAIM, [ids, signatures, limit, owner, seconds])
        return dict(cursor.fetchall())


def renew(held: Mapping[int, int], seconds: float) -> tuple[set[int], set[int]]:
    """Renew leases (id to epoch): those that are good for `seconds` more, and those that are lost for good.

    A lease whose own batch is being written is waited for, not longer than five seconds.
    """
    ids, epochs = list(held), list(held.values())
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [ids, epochs, seconds])
        renewed = {number for (number,) in cursor.fetchall()}
        cursor.execute(_LOST, [ids, epochs])
        lost = {number for (number,) in cursor.fetchall()}
    for number in set(held) - renewed - lost:
        if _renew_one(number, held[number], seconds):
            renewed.add(number)
    return renewed, lost


def _renew_one(mailbox_id: int, epoch: int, seconds: float) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            cursor.execute(_RENEW_ONE, [seconds, mailbox_id, epoch])
            return bool(cursor.rowcount == 1)
    except OperationalError:
        return False


def give_back(owner: str, held: Sequence[tuple[int, int, float]]) -> None:
    """End leases (id, epoch, seconds that nobody should try again) and tell the other processes."""
    if not held:
        return
    columns = [list(column) for column in zip(*held, strict=True)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, columns)
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps({"owner": owner, "free": len(held)})])


def owners(prefix: str) -> list[str]:
    """Return who holds leases, of those whose name begins with `prefix`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT owner FROM mailboxes_lease WHERE starts_with(owner, %s)"
            " AND expires_at > clock_timestamp()",
            [prefix],
        )
        return [name for (name,) in cursor.fetchall()]


def bury(dead: Sequence[str]) -> None:
    """Free the leases of processes that are known to be dead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mailboxes_lease SET owner = '', epoch = epoch + 1, expires_at = to_timestamp(0)"
            " WHERE owner = ANY(%s)",
            [list(dead)],
        )


def say(owner: str, word: str) -> None:
    """Tell the other sync processes that we are here ("hello") or leave ("bye")."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps({"owner": owner, "say": word})])
