"""Unique keys and foreign keys look past row security: what their errors could tell, for each of them (S-073)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail.wall import WALLED
from postern.mailboxes.models import Probe
from postern.outbox.models import Delivery
from postern.people.models import Handover
from tests.privacy.burglar import _columns, _insert, _value
from tests.world import World, arrive, letter, make_folder, make_world

OWNERS = {"mailbox_id", "owner_id", "staff_id", "author_id", "reader_id"}
OF_MESSAGE = "whoever writes such a row owns the message, by the row policy, which is asked before the key"
WORKERS = "only workers write such rows, at one mailbox, which the row policy names"
NUMBER = "a number from a sequence: that it was used tells nothing"
# Keys without mailbox or owner: table, columns -> why their errors tell nothing of others' mail.
UNIQUE_WITHOUT_OWNER: dict[tuple[str, tuple[str, ...]], str] = {
    ("mail_aside", ("message_id",)): WORKERS,
    ("mail_attachment", ("message_id", "index")): WORKERS,
    ("mail_bcc", ("message_id",)): WORKERS,
    ("mail_body", ("message_id",)): WORKERS,
    ("mail_conversationshare", ("conversation_id", "staff_id")): "contains whom it is shared with; as below",
    ("mail_errand", ("message_id", "kind")): OF_MESSAGE,
    ("mail_messagesearch", ("message_id",)): WORKERS,
    ("mail_party", ("message_id", "customer_id")): OF_MESSAGE,
    ("mail_raw", ("message_id",)): WORKERS,
    ("mail_sighting", ("folder_id", "uidvalidity", "uid")): WORKERS,
    ("mailboxes_probesecret", ("probe_id",)): "the test is the writer's own, by the row policy",
}
SEEN = "the row policy asks first that the message is the writer's to see, or their own"
FOREIGN_WITHOUT_OWNER: dict[tuple[str, str], str] = {
    **{
        (table, "message_id"): WORKERS for table in ("mail_aside", "mail_attachment", "mail_bcc", "mail_body")
    },
    **{(table, "message_id"): WORKERS for table in ("mail_messagesearch", "mail_raw", "mail_sighting")},
    **{(table, "message_id"): SEEN for table in ("mail_errand", "mail_messageread", "mail_party")},
    **{(table, "conversation_id"): WORKERS for table in ("mail_aside", "mail_message", "mail_reference")},
    ("mail_conversationshare", "conversation_id"): "the row policy asks first that it is of the own mailbox",
    ("mail_aside", "stood_in_id"): "only workers and the wall's own functions write such rows",
    ("mail_sighting", "folder_id"): WORKERS,
    ("mailboxes_probesecret", "probe_id"): "the row policy asks first that the test is the own",
    ("mailboxes_reader", "handover_id"): "the row policy lets the pages write none",
    ("outbox_delivery", "answers_id"): SEEN,
    ("outbox_delivery", "sent_id"): SEEN,
    ("outbox_outgoingfile", "delivery_id"): "the row policy asks first that the letter is the writer's",
}
COMPANYS = {"people_customer", "people_staff"}
"""What all administrators see anyway."""


@dataclass(frozen=True)
class Key:
    """A key of a table of the wall. to: the table that a foreign one points at."""

    table: str
    columns: tuple[str, ...]
    to: str = ""

    def __str__(self) -> str:
        return f"{self.table}({', '.join(self.columns)}){' -> ' + self.to if self.to else ''}"


_UNIQUE = """
SELECT indrelid::regclass::text, (SELECT coalesce(array_agg(a.attname::text ORDER BY k.n), '{}')
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a
      ON a.attrelid = i.indrelid AND a.attnum = k.attnum), ''
  FROM pg_index i WHERE indisunique AND indrelid::regclass::text = ANY (%s) ORDER BY 1, 2"""
_FOREIGN = """
SELECT conrelid::regclass::text, (SELECT array_agg(a.attname::text ORDER BY k.n)
    FROM unnest(c.conkey) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a
      ON a.attrelid = c.conrelid AND a.attnum = k.attnum), confrelid::regclass::text
  FROM pg_constraint c WHERE contype = 'f' AND conrelid::regclass::text = ANY (%s) ORDER BY 1, 2"""


def keys(query: str) -> list[Key]:
    with connection.cursor() as cursor:
        cursor.execute(query, [list(WALLED)])
        rows = cursor.fetchall()
    return [Key(table, tuple(columns), to) for table, columns, to in rows if table not in COMPANYS]


def is_a_number(key: Key) -> bool:
    return key.columns == ("id",)


@pytest.mark.rule("S-073")
def test_s073_each_unique_key_holds_the_owner_or_stands_on_the_list(db):
    found = keys(_UNIQUE)
    assert len(found) > 30
    without = {(k.table, k.columns) for k in found if not (OWNERS & set(k.columns) or is_a_number(k))}
    listed = UNIQUE_WITHOUT_OWNER.keys()
    assert without - listed == set() and listed - {(k.table, k.columns) for k in found} == set()


@pytest.mark.rule("S-073")
def test_s073_each_foreign_key_is_the_owner_or_stands_on_the_list(db):
    found = [key for key in keys(_FOREIGN) if key.to not in COMPANYS]
    assert len(found) > 30 and {len(key.columns) for key in found} == {1}
    without = {(k.table, k.columns[0]) for k in found if not OWNERS & set(k.columns)}
    assert without == FOREIGN_WITHOUT_OWNER.keys()


@pytest.fixture
def rows(db: None, acting_as: Any) -> tuple[World, dict[str, Any], dict[str, Any]]:
    """A row in every table of the wall, once of the owner's and once of the colleague's."""
    world = make_world(acting_as)
    with acting_as("superuser"):
        theirs = make_folder(world.colleague_mailbox)
        Handover.objects.create(owner=world.owner, successor=world.colleague, by=world.boss, ground="consent")
    found = []
    for staff, box, folder in (
        (world.owner, world.mailbox, world.inbox),
        (world.colleague, world.colleague_mailbox, theirs),
    ):
        [message] = arrive(acting_as, folder, letter(), letter())[:1]
        with acting_as("superuser"):
            draft = Delivery.objects.create(mailbox=box, author=staff, answers=message)
            test = Probe.objects.create(staff=staff, mailbox=box, kind="imap")
        known = dict.fromkeys(("staff_id", "owner_id", "author_id", "by_id", "successor_id"), staff.pk)
        known |= {"message_id": message.pk, "conversation_id": message.conversation_id}
        known |= {"mailbox_id": box.pk, "folder_id": folder.pk, "delivery_id": draft.pk, "probe_id": test.pk}
        known |= {"answers_id": message.pk, "customer_id": world.customer.pk, "handover_id": None}
        known |= {"sent_id": None, "reader_id": world.reader.pk}
        with acting_as("superuser"), transaction.atomic():
            found.append({table: _planted(table, known) for table in WALLED})
    return world, found[0], found[1]


def _planted(table: str, known: dict[str, Any]) -> dict[str, Any]:
    """A row of that person: the one that is there, or a new one; without looking at keys."""
    columns = _columns(table)
    names = ("message_id", "conversation_id", "mailbox_id", "staff_id", "owner_id", "author_id", "probe_id")
    marks = [name for name in names if _is_number(table, name)]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        mine = " AND ".join(f"{mark} = {known[mark]}" for mark in marks) or "true"
        cursor.execute(f"SELECT to_jsonb(t) FROM {table} t WHERE {mine} LIMIT 1")
        row = cursor.fetchone()
        if row is None:
            values = {name: _value(name, kind, known) for name, kind in columns.items()}
            if "id" in values:
                cursor.execute(f"SELECT coalesce(max(id), 0) + 1000 FROM {table}")
                values["id"] = cursor.fetchone()[0]
            assert _insert(table, columns, json.dumps(values)), table
            row = (json.dumps(values),)
        cursor.execute("SET LOCAL session_replication_role = origin")
    return {name: value for name, value in json.loads(row[0]).items() if name in columns}


MISSING = 987_654_321


@cache
def _is_number(table: str, column: str) -> bool:
    return _columns(table).get(column) in ("bigint", "integer", "smallint")


def tries(key: Key, own: dict[str, Any], values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A row of one's own with other values in the columns of a key, to insert and to change into."""
    row = own | values
    if "id" in row and "id" not in values:
        row["id"] = MISSING
    yield "insert", row
    yield "update", values


def outcome(
    key: Key, own: dict[str, Any], deed: str, values: dict[str, Any], acting_as: Any, who: int
) -> str:
    """'done', 'nothing', or the class of the error; whatever happened is undone."""
    columns = list(values)
    with acting_as("superuser"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT set_config('app.staff_id', %s, true)", [str(who)])
        try:
            with acting_as("web"), transaction.atomic():
                names = ", ".join(f'"{name}"' for name in columns)
                record = f"jsonb_populate_record(NULL::{key.table}, %s::jsonb)"
                if deed == "insert":
                    cursor.execute(
                        f"INSERT INTO {key.table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {record}",
                        [json.dumps(values)],
                    )
                else:
                    changes = ", ".join(f'"{name}" = r."{name}"' for name in columns)
                    cursor.execute(
                        f"UPDATE {key.table} t SET {changes} FROM {record} r", [json.dumps(values)]
                    )
                told = "done" if cursor.rowcount else "nothing"
        except DatabaseError as error:
            told = str(getattr(error.__cause__, "sqlstate", "?"))
        transaction.set_rollback(True)
    return told


@pytest.mark.rule("S-073")
def test_s073_pointing_at_anothers_row_is_answered_as_pointing_at_nothing(rows, acting_as):
    """By every foreign key to a table of the wall, as somebody in the web process who may run any SQL."""
    world, owners, own = rows
    told, refused = [], 0
    for key in keys(_FOREIGN):
        if key.to in COMPANYS:
            continue
        [column] = key.columns
        theirs = owners[key.to][_primary(key.to)]
        there = list(tries(key, own[key.table], {column: theirs}))
        missing = list(tries(key, own[key.table], {column: MISSING}))
        for (deed, foreign), (_, nothing) in zip(there, missing, strict=True):
            answers = [
                outcome(key, own[key.table], deed, values, acting_as, world.colleague.pk)
                for values in (foreign, nothing)
            ]
            refused += answers[0] == "42501"
            if answers[0] != answers[1] or answers[0] == "done":
                told.append(f"{deed} {key}: {answers[0]} for another's, {answers[1]} for none")
    assert told == [], "\n" + "\n".join(told)
    assert refused > 20


@pytest.mark.rule("S-073")
def test_s073_where_a_message_stands_is_not_the_pages_to_say(rows, acting_as):
    """Else whether a number is a conversation's, and whether somebody shares that one, would be told."""
    world, owners, own = rows
    theirs = owners["mail_conversation"]["id"]
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM mail_conversationshare WHERE staff_id = %s", [world.colleague.pk])
        shared = "SELECT EXISTS (SELECT FROM mail_conversationshare WHERE conversation_id = %s)"
        cursor.execute(shared, [own["mail_message"]["conversation_id"]])
        assert cursor.fetchone() == (False,), "the trigger of shares would refuse first"
    key, message = Key("mail_message", ("conversation_id",)), own["mail_message"]

    def told(**values: Any) -> str:
        return outcome(key, message, "update", values, acting_as, world.colleague.pk)

    assert [told(conversation_id=pk) for pk in (theirs, MISSING, message["conversation_id"])] == ["42501"] * 3
    assert told(shared=True) == told(outgoing=True) == "42501"
    assert told(known=True) == "done"


@pytest.mark.rule("S-073")
def test_s073_taking_anothers_key_is_answered_as_taking_a_free_one(rows, acting_as):
    world, owners, own = rows
    told = []
    for key in keys(_UNIQUE):
        if is_a_number(key) or not key.columns:
            continue
        theirs = {column: owners[key.table][column] for column in key.columns}
        free = {c: MISSING if _is_number(key.table, c) else v for c, v in theirs.items()}
        for (deed, foreign), (_, nothing) in zip(
            tries(key, own[key.table], theirs), tries(key, own[key.table], free), strict=True
        ):
            answers = [
                outcome(key, own[key.table], deed, values, acting_as, world.colleague.pk)
                for values in (foreign, nothing)
            ]
            if "23505" in answers or answers[0] != answers[1]:
                told.append(f"{deed} {key}: {answers[0]} for another's, {answers[1]} for none")
    assert told == [], "\n" + "\n".join(told)


@cache
def _primary(table: str) -> str:
    [column] = next(
        key.columns
        for key in keys(_UNIQUE)
        if key.table == table
        and key.columns in (("id",), ("message_id",), ("mailbox_id",), ("probe_id",), ("staff_id",))
    )
    return str(column)
