"""Somebody inside the web process who may run any SQL as anybody who signs in: what the row policies alone leave them.

`breaches` tries every table of the wall, as two administrators who own nothing and were granted nothing (one of
them a super-administrator), as nobody, and as each of the two workers while it is at another mailbox.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection, transaction

from postern.mail.wall import WALLED
from tests.world import World

ALLOWED = {
    (
        "colleague",
        "mailboxes_systememail",
        "select",
    ): "everybody sends by the company's server and may see its name",
    ("nobody", "mailboxes_systememail", "select"): "as above",
    ("boss", "people_consent", "select"): "who disables somebody is told to whom their mail may go",
    **{
        (who, "people_staff", "select"): "everybody at work here may know who else is"
        for who in ("colleague", "boss", "nobody")
    },
    **{(who, "people_staff", "update"): "their own row" for who in ("colleague", "boss")},
    ("boss", "people_handover", "select"): "the log of what super-administrators did",
    # What the workers do with all mailboxes at once; columns and commands are in test_workers.py.
    **{(who, "people_staff", "select"): "as above" for who in ("sync", "send")},
    **{(who, "mailboxes_mailbox", "select"): "which mailboxes there are" for who in ("sync", "send")},
    ("sync", "mailboxes_folder", "select"): "whether a mailbox that nobody watches has something to forget",
    **{
        ("sync", table, deed): "one statement about all mailboxes: looked at, and by which process"
        for table in ("mailboxes_mailboxhealth", "mailboxes_lease")
        for deed in ("select", "update", "insert into")
    },
    **{("sync", "mailboxes_probe", deed): "tests wait for it" for deed in ("select", "update")},
    ("sync", "mailboxes_systememail", "select"): "what the company says of certificates",
    **{("send", "mailboxes_systememail", deed): "it counts letters an hour" for deed in ("select", "update")},
    ("send", "mailboxes_systemsecret", "select"): "it sends through the company's server",
    **{("send", "people_notice", deed): "it mails them" for deed in ("select", "update")},
    (
        "boss",
        "mailboxes_trustline",
        "select",
    ): "the log of what was done about certificates: servers, no mail",
}
MAY_GIVE = {
    ("mailboxes_reader", "staff_id"): "that is what a grant is",
    ("mail_conversationshare", "staff_id"): "that is what sharing is",
}
SUPERS = ("mailboxes_systememail", "mailboxes_systemsecret")
"""The company's mail account is the super-administrators' to set."""


@dataclass(frozen=True)
class Intruder:
    """A role, and who or where it says it is."""

    name: str
    role: str
    setting: str
    value: str


def intruders(world: World) -> list[Intruder]:
    """Everybody to whom the owner's rows are nothing; no one else has rows of these kinds."""
    return [
        Intruder("colleague", "web", "app.staff_id", str(world.colleague.pk)),
        Intruder("boss", "web", "app.staff_id", str(world.boss.pk)),
        Intruder("nobody", "web", "app.staff_id", ""),
        *(
            Intruder(role, role, "app.mailbox_id", str(world.mailbox.pk + 1_000_000))
            for role in ("sync", "send")
        ),
    ]


def tables_of(who: Intruder) -> list[str]:
    """The tables where this intruder must find nothing."""
    return [t for t in WALLED if not (who.name == "boss" and t in SUPERS)]


def fill(world: World, known: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Give every table of the wall one row of the owner's; the caller is the superuser. Returns table -> row."""
    rows = {}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in WALLED:
            columns = _columns(table)
            if not _any(table):
                values = {name: _value(name, kind, known) for name, kind in columns.items()}
                _insert(table, columns, json.dumps(values))
            cursor.execute(f"SELECT to_jsonb(t) FROM {table} t LIMIT 1")
            rows[table] = {k: v for k, v in json.loads(cursor.fetchone()[0]).items() if k in columns}
        cursor.execute("SET LOCAL session_replication_role = origin")
    return rows


def breaches(world: World, acting_as: Any, rows: dict[str, dict[str, Any]], only: str = "") -> Iterator[str]:
    """Yield what an intruder could do, as "who does what to table"."""
    for who in intruders(world):
        for table in tables_of(who):
            if only in ("", table):
                with acting_as("superuser"), transaction.atomic():
                    connection.cursor().execute("SELECT set_config(%s, %s, true)", [who.setting, who.value])
                    with acting_as(who.role):
                        yield from (
                            f"{who.name} can {deed} {table}"
                            for deed in _deeds(table, rows[table])
                            if (who.name, table, deed) not in ALLOWED
                        )
                    transaction.set_rollback(True)


def gifts(world: World, acting_as: Any, only: str = "") -> Iterator[str]:
    """Yield where the owner could give a row of theirs to somebody else's mailbox or name: what they wrote there
    would look like that person's own."""
    for table in WALLED:
        marks = [c for c in _columns(table) if c in _OWNERS and (table, c) not in MAY_GIVE]
        for mark in marks if only in ("", table) else ():
            with acting_as("superuser"), transaction.atomic():
                connection.cursor().execute(
                    "SELECT set_config('app.staff_id', %s, true)", [str(world.owner.pk)]
                )
                with acting_as("web"):
                    value = world.boss.pk if mark in _OWNERS[:3] else 1_000_000
                    if _done(f"UPDATE {table} SET {mark} = {value}"):
                        yield f"owner can give away {table} by {mark}"
                transaction.set_rollback(True)


def _deeds(table: str, row: dict[str, Any]) -> Iterator[str]:
    columns = _columns(table)
    if _done(f"SELECT count(*) AS n FROM {table} HAVING count(*) > 0"):
        yield "select"
    may = _allowed(table, "UPDATE") - {"id"}
    plain = (
        f'"{c}" = {_PLAIN[k]}'
        for c, k in columns.items()
        if k in _PLAIN and not c.endswith("_id") and c in may
    )
    change = next(plain, "") or next((f'"{c}" = NULL' for c in columns if c in may), "")
    if change and _done(f"UPDATE {table} SET {change}", reached=True):
        yield "update"
    if _done(f"DELETE FROM {table}"):
        yield "delete"
    may = _allowed(table, "INSERT")
    if may and _insert(table, {c: k for c, k in columns.items() if c in may}, json.dumps(row)):
        yield "insert into"


_OWNERS = ("owner_id", "staff_id", "author_id", "mailbox_id", "probe_id")
_PLAIN = {
    "boolean": "true",
    "text": "'x'",
    "character varying": "'x'",
    "timestamp with time zone": "now()",
    "bytea": "''",
    "jsonb": "'[]'",
    "date": "'2026-01-01'",
    "integer": "0",
    "bigint": "0",
}
_VALUES = {
    "boolean": False,
    "jsonb": [],
    "bytea": "\\x",
    "timestamp with time zone": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
}


def _value(name: str, kind: str, known: dict[str, int]) -> Any:
    if name in known:
        return known[name]
    if kind in ("bigint", "integer", "smallint"):
        return 1
    return "" if name == "place" else _VALUES.get(kind, "x")


def _columns(table: str) -> dict[str, str]:
    """Column -> type, without those that the database makes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [table],
        )
        return dict(cursor.fetchall())


def _allowed(table: str, command: str) -> set[str]:
    """Columns that the role of this moment may write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(attrelid, attnum, %s)",
            [table, command],
        )
        return {name for (name,) in cursor.fetchall()}


def _any(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
        return bool(cursor.fetchone()[0])


def _insert(table: str, columns: dict[str, str], row: str) -> bool:
    names = ", ".join(f'"{name}"' for name in columns)
    return _done(
        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE"
        f" SELECT {names} FROM jsonb_populate_record(NULL::{table}, %s::jsonb)",
        row,
    )


def _done(statement: str, *parameters: str, reached: bool = False) -> bool:
    """True when it touched a row, or reached one and was refused by its key; `reached`: or by a policy's second half."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.rowcount > 0
    except DatabaseError as error:
        refused = getattr(error.__cause__, "sqlstate", "") == "42501"
        return not refused or (reached and "row-level security" in str(error))
