"""Pages of rows by a cursor: a place in the list, so that new rows never shift it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from postern.mailboxes.ids import typed_id
from postern.people.models import Customer

Row = TypeVar("Row", bound=Model)


def newest_first(rows: QuerySet[Row], cursor: str, limit: int) -> tuple[list[Row], str]:
    """One page by id, the highest first, and the next cursor ('' on the last page)."""
    if place := typed_id(cursor):
        rows = rows.filter(pk__lt=place)
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else ""


def by_name(rows: QuerySet[Customer], cursor: str, limit: int) -> tuple[list[Customer], str]:
    """One page of customers by name, and the next cursor."""
    if place := _read(cursor):
        name, pk = place
        rows = rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=pk))
    found = list(rows.order_by("name", "pk")[: limit + 1])
    if len(found) <= limit:
        return found, ""
    last = found[limit - 1]
    return found[:limit], base64.urlsafe_b64encode(json.dumps([last.pk, last.name]).encode()).decode()


def _read(cursor: str) -> tuple[str, int] | None:
    """(name, id) of a cursor; a made-up one is the first page."""
    try:
        pk, name = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    usable = isinstance(pk, int) and isinstance(name, str) and "\0" not in name and abs(pk) < 2**63
    return (name.encode("utf-8", "replace").decode(), pk) if usable else None
