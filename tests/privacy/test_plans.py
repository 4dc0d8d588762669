"""What SQL in the web process could learn past the row policies (S-074), and what the policies cost (S-076)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import DatabaseError, connection, transaction

from postern.mail import lists
from postern.mail.access import set_viewer, viewing_as
from postern.mail.wall import WALLED, policies
from postern.people.models import Customer, Staff
from tests.api.caller import Caller
from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_mailbox, make_world

# Each fails as soon as one row reaches it, and its error would carry what the row says.
PEEPS = [
    "SELECT subject::int FROM mail_message",
    "SELECT count(*) FROM mail_message WHERE subject::int > 0",
    "SELECT count(*) FROM mail_message WHERE 1 / (length(subject) - 6) = 1",
    "SELECT count(*) FROM mail_message WHERE subject::date < now()",
    "SELECT count(*) FROM mail_message WHERE ('{' || subject)::jsonb IS NOT NULL",
    "SELECT count(*) FROM mail_message GROUP BY 1 / (length(subject) - 6)",
    "SELECT 1 FROM mail_message ORDER BY subject::int",
    "SELECT count(*) FROM mail_message a JOIN mail_message b ON a.subject::int = b.id",
    "WITH x AS MATERIALIZED (SELECT subject FROM mail_message) SELECT subject::int FROM x",
    "SELECT (SELECT subject::int FROM mail_message LIMIT 1)",
    "SELECT x.n FROM people_staff s, LATERAL (SELECT subject::int AS n FROM mail_message) x",
    "SELECT count(*) FROM mail_body WHERE convert_from(text, 'UTF8')::int > 0",
    "SELECT count(*) FROM mail_messagesearch WHERE tsv::text::int > 0",
    "SELECT count(*) FROM mail_message WHERE pg_temp.peep(subject)",
    "SELECT count(*) FROM mail_message WHERE subject OPERATOR(pg_temp.=~~=) 'x'",
    "UPDATE mail_message SET known = true WHERE pg_temp.peep(subject)",
]
TOOLS = """
CREATE FUNCTION pg_temp.peep(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE EXCEPTION 'peeped at %', seen; END $$;
CREATE FUNCTION pg_temp.peep2(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
  $$ BEGIN RAISE EXCEPTION 'peeped at %', $1; END $$;
CREATE OPERATOR pg_temp.=~~= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.peep2, RESTRICT = eqsel);
"""
STATISTICS = ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic", "pg_statistic_ext_data"]


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(subject="okapis", body="hidden words"))
    return world


def told(staff: Staff, sql: str) -> str:
    """What a statement in the web process tells: rows, or the error with all that it carries."""
    try:
        with viewing_as(staff), connection.cursor() as cursor:
            cursor.execute(TOOLS)
            cursor.execute(sql)
            found = str(cursor.fetchall()) if cursor.description else f"{cursor.rowcount} rows"
            transaction.set_rollback(True)
            return found
    except DatabaseError as error:
        return f"error: {error}"


@pytest.mark.rule("S-074")
@pytest.mark.parametrize("sql", PEEPS)
def test_s074_no_cast_division_operator_or_function_meets_a_row_before_the_policy(world, sql):
    assert told(world.owner, sql).startswith("error"), "it finds out what it would"
    answer = told(world.colleague, sql)
    assert not answer.startswith("error") and "okapi" not in answer, answer


@pytest.mark.rule("S-074")
def test_s074_nobody_can_call_a_function_of_theirs_harmless(world):
    made = "CREATE FUNCTION pg_temp.sly(text) RETURNS boolean LEAKPROOF LANGUAGE sql AS 'SELECT true'"
    assert "only superuser can define a leakproof function" in told(world.colleague, made)
    assert told(
        world.colleague, "CREATE FUNCTION public.sly() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ).startswith("error: permission denied")


@pytest.mark.rule("S-074")
def test_s074_a_plan_made_for_one_person_is_not_anothers(world, acting_as):
    """CVE-2016-2193, CVE-2024-10976: a statement prepared while the owner looked, used again by others and roles."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute("PREPARE again AS SELECT count(*) FROM mail_message")
        found = {}
        for name, staff in (("owner", world.owner), ("colleague", world.colleague), ("reader", world.reader)):
            set_viewer(staff.pk)
            cursor.execute("EXECUTE again")
            found[name] = cursor.fetchone()[0]
        with acting_as("sync"):
            cursor.execute("EXECUTE again")
            found["sync"] = cursor.fetchone()[0]
        cursor.execute("DEALLOCATE again")
    assert found == {"owner": 1, "colleague": 0, "reader": 1, "sync": 0}


@pytest.mark.rule("S-074")
@pytest.mark.parametrize("view", STATISTICS)
def test_s074_the_planners_samples_of_walled_tables_are_not_there_for_the_pages(world, acting_as, view):
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("ANALYZE mail_message, mail_messagesearch, people_customer")
        cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'mail_message'")
        assert cursor.fetchone()[0] > 10, "there are samples"
    for role in ("web", "sync", "send"):
        with acting_as(role), transaction.atomic(), connection.cursor() as cursor:
            set_viewer(world.colleague.pk)
            try:
                with transaction.atomic():
                    cursor.execute(f"SELECT * FROM {view}")
                    names = [column.name for column in cursor.description]
                    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            except DatabaseError as error:
                assert "permission denied" in str(error)
                continue
        of_walled = {row["tablename"] for row in rows} & {*WALLED}
        # Tables whose policy lets a worker see every row have nothing to hide from it.
        open_to = {
            t
            for t, _, roles, _, condition in policies()
            if f"postern_{role}" in roles and condition == "true"
        }
        assert of_walled <= open_to and "okapi" not in str(rows)


MADE_UP = ["1/0", "subject::int' OR 1=1 --", "²", "9" * 40]
# What each page and operation reads from its address.
PAGES = {
    "/messages/inbox/": ("q", "show", "since", "until", "after"),
    "/messages/sent/": ("after",),
    "/customers/": ("q", "page"),
    "/customers/new/": ("kind", "email"),
    "/customers/{customer}/communication/": ("thread", "write"),
    "/jump/": ("q",),
    "/profile/reader-log/": ("reader", "mailbox", "message", "since", "until", "customer", "after"),
    "/profile/reader-log.csv": ("reader", "customer"),
    "/compose/": ("to", "customer"),
}
OPERATIONS = {
    "/inbox": ("q", "show", "since", "until", "cursor", "limit"),
    "/sent": ("cursor", "limit"),
    "/customers": ("q", "kind", "cursor"),
    "/deliveries": ("customer", "cursor"),
    "/reader-log": ("reader", "customer", "cursor"),
}


@pytest.mark.rule("S-074")
def test_s074_no_parameter_reaches_the_database_as_anything_but_a_value(world):
    """Operators, casts and formulas typed where a filter, an order or a number belongs: an honest answer, no fault."""
    client = Browser(raise_request_exception=False)
    client.force_login(world.colleague)
    caller = Caller(world.colleague)
    for text in MADE_UP:
        for path, names in PAGES.items():
            answer = client.get(path.format(customer=world.customer.pk), dict.fromkeys(names, text))
            assert answer.status_code == 200 and b"okapi" not in answer.content, (path, text)
    for path, names in OPERATIONS.items():
        for name in names:
            answer = caller.get(f"{path}?{urlencode({name: MADE_UP[1]})}")
            assert answer.status_code in (200, 404, 422), (path, name)
            assert b"okapi" not in answer.content


@pytest.mark.rule("S-074")
def test_s074_no_page_explains_a_statement():
    """EXPLAIN tells how many rows a filter took away; nothing of ours asks for it."""
    code = "\n".join(path.read_text() for path in (Path(__file__).parents[2] / "postern").rglob("*.py"))
    assert not re.search(r"\.explain\(|\bEXPLAIN\b", code)


TOGETHER = 4
"""Letters of a conversation, below."""
ROWS = int(1_000_000 * float(os.environ.get("POSTERN_SOAK") or 1))
FILL = """
INSERT INTO mail_conversation (id, mailbox_id)
  SELECT 1000000 + n, (%(boxes)s::bigint[])[1 + n %% %(many)s] FROM generate_series(1, %(rows)s / %(together)s) n;
INSERT INTO mail_message (id, mailbox_id, conversation_id, sha256, outgoing, known, owner_party, message_id, subject,
    from_name, from_address, also_from, "to", cc, reply_to, received_at, stored_at, size, preview, has_attachments,
    automatic, remote_images, defects, quarantined)
  SELECT 1000000 + n, (%(boxes)s::bigint[])[1 + c %% %(many)s], 1000000 + c, sha256(n::text::bytea), n %% 5 = 0, n %% 3 > 0,
    n %% 3 > 0, '', 'about ' || n, '', 'a@b.example', '[]', '[]', '[]', '[]', now() - n * interval '1 minute', now(), 1, '',
    false, '', 0, '[]', '' FROM (SELECT n, 1 + n %% (%(rows)s / %(together)s) c FROM generate_series(1, %(rows)s) n) x;
INSERT INTO mail_party (message_id, mailbox_id, customer_id, by_hand)
  SELECT id, mailbox_id, %(customer)s, false FROM mail_message WHERE id > 1000000 AND id %% 50 = 0;
INSERT INTO mail_body (message_id, mailbox_id, text, html, sanitizer_version)
  SELECT id, mailbox_id, '', '', 0 FROM mail_message WHERE id > 1000000;
"""


def fill(acting_as: Any, world: World, rows: int, others: int) -> None:
    """Letters in as many mailboxes more, the owner's among them, without looking at keys."""
    with acting_as("superuser"), transaction.atomic(), connection.cursor() as cursor:
        people = [
            Staff.objects.create(email=f"p{n}@isp.example", name=f"P{n}", password="!") for n in range(others)
        ]
        boxes = [world.mailbox.pk, *(make_mailbox(staff).pk for staff in people)]
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            FILL,
            {
                "boxes": boxes,
                "many": len(boxes),
                "rows": rows,
                "together": TOGETHER,
                "customer": world.customer.pk,
            },
        )
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("ANALYZE mail_message, mail_party, mail_conversation, mail_body, mail_messageread")


@contextmanager
def explained(acting_as: Any) -> Iterator[list[tuple[str, dict[str, Any], int]]]:
    """Collect (statement, plan as it ran, how often the context was worked out) of each SELECT about mail."""
    found: list[tuple[str, dict[str, Any], int]] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "mail_" in sql:
            before = _worked_out(context["cursor"].connection)
            execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params, many, context)
            [plan] = context["cursor"].fetchone()[0]
            found.append((sql, plan["Plan"], _worked_out(context["cursor"].connection) - before))
        return execute(sql, params, many, context)

    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SET track_functions = 'all'")
    try:
        with connection.execute_wrapper(look):
            yield found
    finally:
        with acting_as("superuser"), connection.cursor() as cursor:
            cursor.execute("RESET track_functions")


def _worked_out(session: Any) -> int:
    """How often app.visible() ran in this transaction so far."""
    query = "SELECT coalesce(pg_stat_get_xact_function_calls('app.visible()'::regprocedure), 0)"
    return int(session.execute(query).fetchone()[0])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def touched(plan: dict[str, Any]) -> int:
    """Rows of mail_message that were looked at, taken away again or not."""
    mine = [node for node in nodes(plan) if node.get("Relation Name") == "mail_message"]
    return sum(
        (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Index Recheck", 0)
        )
        * node["Actual Loops"]
        for node in mine
    )


@pytest.mark.rule("S-076")
def test_s076_lists_and_counts_use_the_index_and_work_out_once_who_looks(world, acting_as):
    """Twenty thousand letters of forty mailboxes: a statement looks at its person's mail, by the wall's index."""
    hold_plans(acting_as, world, rows=20_000, others=39)


@pytest.mark.soak
@pytest.mark.rule("S-076")
def test_s076_the_same_with_a_million(world, acting_as):
    hold_plans(acting_as, world, rows=ROWS, others=199)


def hold_plans(acting_as: Any, world: World, *, rows: int, others: int) -> None:
    fill(acting_as, world, rows, others)
    own = rows // (others + 1)
    with viewing_as(world.owner), explained(acting_as) as found:
        page = lists.inbox_page(world.owner, lists.Filter())
        assert len(page.messages) == lists.PAGE
        of_list = len(found)
        numbers = lists.counts(world.owner)
        assert 0 < numbers["all"] <= own + 1
        of_counts = len(found)
        threads = lists.communication(world.owner, Customer.objects.get(pk=world.customer.pk))
        assert threads and len(found) > of_counts
    assert of_list and of_counts > of_list
    for number, (sql, plan, times) in enumerate(found):
        scans = [node for node in nodes(plan) if node.get("Relation Name") == "mail_message"]
        assert [node for node in scans if node["Node Type"] == "Seq Scan"] == [], sql
        named = len(re.findall(r'(?:FROM|JOIN) "?mail_', sql))  # each table named brings its policy along
        assert times <= named, f"app.visible() ran {times} times: {sql}"
        # Each of the person's letters, and with it those of its conversation: some plans come to them that way.
        assert touched(plan) <= (1 + TOGETHER) * own + 100, (touched(plan), sql, json.dumps(plan)[:2000])
        if number < of_counts and scans and "pk" not in sql:
            used = {node.get("Index Name") for node in nodes(plan)}
            assert used & {"message_wall", "mail_message_pkey"}, (used, sql)
    everything = [name for _, plan, _ in found for name in {n.get("Index Name") for n in nodes(plan)}]
    assert "message_wall" in everything


@pytest.mark.rule("S-076")
def test_s076_every_policy_asks_who_looks_once_a_statement():
    """A function of the wall stands in a sub-select of its own; else it would run for each row."""
    for table, name, _, _, condition in policies():
        for call in re.finditer(r"app\.\w+\(\)", condition):
            before = condition[: call.start()].rstrip()
            assert before.endswith("(SELECT"), f"{name} on {table}: {call[0]} would run for each row"
