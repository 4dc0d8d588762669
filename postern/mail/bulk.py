"""Many rows with one statement: columns go to PostgreSQL as binary arrays, which `unnest` turns into rows.

Measured against COPY into a temporary table and against one statement a row; COPY itself is refused on tables
with row security. The models stay the source of names and types.

What a batch looks up goes through `unnest(...) one CROSS JOIN LATERAL (SELECT ... = one OFFSET 0)`: one step into
the index for each. And the mailbox is given as `(SELECT %s::bigint)`. Of a mailbox that is new since the last
ANALYZE PostgreSQL believes that it has hardly a row, and reads all of it to find one by whichever index begins with
the mailbox; of a value that it cannot see when it plans it believes the average (found in 2026, with 15 and 18).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connection, models
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

from postern.mail.models.fields import PackedText, SearchVector

_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_HEAD = struct.Struct(">iiIii")
_SIZE = struct.Struct(">i").pack
_LONG = struct.Struct(">iq").pack
_NULL = _SIZE(-1)


@dataclass(frozen=True, slots=True)
class Column:
    """The values of a column as PostgreSQL reads a binary array; `oid` is the array type's."""

    data: bytes
    oid: int


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj.data

    def get_key(self, obj: Column, format: PyFormat) -> Any:  # one dumper a type of array
        return Column, obj.oid

    def upgrade(self, obj: Column, format: PyFormat) -> Dumper:
        dumper = _ColumnDumper(Column)
        dumper.oid = obj.oid
        return dumper


def _long(value: int | None) -> bytes:
    return _NULL if value is None else _LONG(8, value)


def _truth(value: bool) -> bytes:
    return b"\0\0\0\1\1" if value else b"\0\0\0\1\0"


def _moment(value: datetime | None) -> bytes:
    if value is None:
        return _NULL
    since = value - _2000
    return _LONG(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _bytes(value: bytes | None) -> bytes:
    return _NULL if value is None else _SIZE(len(value)) + value


def _text(value: str | None) -> bytes:
    return _NULL if value is None else _bytes(value.encode())


def _json(value: object) -> bytes:
    return _bytes(b"\1" + json.dumps(value, ensure_ascii=False).encode()) if value else b"\0\0\0\3\1[]"


# Type of an element -> (oid of the element, oid of the array, how a value is written)
_KINDS: dict[str, tuple[int, int, Callable[[Any], bytes]]] = {
    "bigint": (20, 1016, _long),
    "boolean": (16, 1000, _truth),
    "text": (25, 1009, _text),
    "bytea": (17, 1001, _bytes),
    "jsonb": (3802, 3807, _json),
    "timestamptz": (1184, 1185, _moment),
    "tsvector": (3614, 3643, _bytes),
}


def column(kind: str, values: Sequence[Any]) -> Column:
    """Return values as an array parameter; `kind` is one of _KINDS."""
    element, array, write = _KINDS[kind]
    head = _HEAD.pack(1, 1, element, len(values), 1)
    if write is _bytes:  # letters are many bytes: no copy of one more than need be
        pieces = [p for v in values for p in ((_NULL,) if v is None else (_SIZE(len(v)), v))]
        return Column(b"".join((head, *pieces)), array)
    return Column(head + b"".join(map(write, values)), array)


@contextmanager
def binding_cursor() -> Iterator[Any]:
    """A cursor of Django's connection whose parameters go to the server apart from the statement, binary.

    Django's own writes them into the statement, which doubles every byte of a letter.
    """
    connection.ensure_connection()
    cursor: Any = psycopg.Cursor(connection.connection)
    cursor.adapters.register_dumper(Column, _ColumnDumper)
    make = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with make(cursor) as wrapped:
        yield wrapped


def ask(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement with parameters bound by the server; return its rows."""
    with binding_cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def pour(
    model: type[models.Model],
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    once: bool = False,
    returning: str = "",
    **same: object,
) -> list[tuple[Any, ...]]:
    """Insert rows given as values of the columns `names`; `same` are columns that are alike in all rows.

    once: leave out what is there already. Returns the columns `returning` of the new rows, in any order.
    """
    if not rows:
        return []
    kinds = [_kind(model, name) for name in names]
    columns = [column(kind, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
    return ask(_insert(model, tuple(names), tuple(same), once, returning), *same.values(), *columns)


def _kind(model: type[models.Model], name: str) -> str:
    column_field = next(f for f in model._meta.concrete_fields if f.column == name)
    while isinstance(column_field, models.ForeignKey):
        column_field = column_field.target_field
    for kinds, kind in _OF_FIELDS:
        if isinstance(column_field, kinds):
            return kind
    raise TypeError(f"{model.__name__}.{name} cannot be poured")


_OF_FIELDS: tuple[tuple[Any, str], ...] = (
    (SearchVector, "tsvector"),
    ((models.BinaryField, PackedText), "bytea"),
    (models.BooleanField, "boolean"),
    (models.IntegerField, "bigint"),
    (models.DateTimeField, "timestamptz"),
    (models.JSONField, "jsonb"),
    ((models.CharField, models.TextField), "text"),
)


@lru_cache(maxsize=100)
def _insert(
    model: type[models.Model], names: tuple[str, ...], same: tuple[str, ...], once: bool, returning: str
) -> str:
    quote = connection.ops.quote_name
    into = ", ".join(map(quote, (*names, *same)))
    arrays = ", ".join(f"%s::{_kind(model, name)}[]" for name in names)
    more = "".join(f", %s::{_kind(model, name)}" for name in same)
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({into}) SELECT u.*{more} FROM unnest({arrays}) u"  # noqa: S608
    return f"{sql}{' ON CONFLICT DO NOTHING' if once else ''}{f' RETURNING {returning}' if returning else ''}"
