"""Each row policy, alone: what it keeps from whom, and that something here is red when it is gone (S-077)."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from postern.mail.wall import WALLED, policies
from tests.privacy.burglar import breaches, fill, gifts
from tests.world import arrive, letter, make_world

EQUAL = {
    ("mailboxes_systememail", "web_update"),
    ("mailboxes_systemsecret", "web_update"),
    ("people_notice", "web_update"),
    ("people_staff", "web_update"),
    ("mail_message", "web_update"),
    # No worker may change the columns that these ask about (test_workers.py).
    ("mail_digest", "send_update"),
    ("mailboxes_folder", "sync_update"),
    ("mailboxes_mailbox", "worker_update"),
    ("mailboxes_mailboxhealth", "send_update"),
    ("outbox_delivery", "worker_update"),
}
"""Updates whose WITH CHECK says the same as USING whatever the row: a change that the one lets through, the other does."""
MUTANTS = [
    (table, name, half)
    for table, name, _, command, condition in policies()
    for half in ("USING", "WITH CHECK")
    if condition != "true"
    and not (half == "WITH CHECK" and (table, name) in EQUAL)
    and half
    not in {"INSERT": ("USING",), "SELECT": ("WITH CHECK",), "DELETE": ("WITH CHECK",)}.get(command, ())
]


@pytest.fixture
def house(db, acting_as):
    """The owner's mailbox with a row in every table; colleague and boss own nothing."""
    world = make_world(acting_as)
    [message] = arrive(acting_as, world.inbox, letter())
    box, staff = world.mailbox.pk, world.owner.pk
    known = {
        "mailbox_id": box,
        "owner_id": staff,
        "staff_id": staff,
        "author_id": staff,
        "message_id": message.pk,
        "answers_id": message.pk,
        "sent_id": message.pk,
    }
    known |= {
        "conversation_id": message.conversation_id,
        "folder_id": world.inbox.pk,
        "reader_id": world.reader.pk,
    }
    with acting_as("superuser"), transaction.atomic():
        for other in (world.colleague_mailbox, world.reader_mailbox):
            other.delete()
        rows = fill(world, known)
    return world, rows


@pytest.mark.rule("S-068")
@pytest.mark.rule("S-073")
def test_an_intruder_who_may_run_any_sql_reaches_no_row_of_the_owners(house, acting_as):
    world, rows = house
    assert rows.keys() == WALLED.keys()
    assert list(breaches(world, acting_as, rows)) == []
    given = list(gifts(world, acting_as))
    assert given == [], "; ".join(given)


@pytest.mark.rule("S-077")
def test_s077_without_any_one_policy_the_intruder_gets_in(house, acting_as, record_property):
    """Each half of each policy in turn says yes to everything; that this is noticed is what these tests are for."""
    world, rows = house
    survivors = []
    for table, name, half in MUTANTS:
        with acting_as("superuser"), transaction.atomic():
            connection.cursor().execute(f"ALTER POLICY {name} ON {table} {half} (true)")
            killed = [*breaches(world, acting_as, rows, only=table), *gifts(world, acting_as, only=table)]
            transaction.set_rollback(True)
        if not killed:
            survivors.append((table, name, half))
        record_property(
            "policies taken away", f"{table} {name} {half}: {killed[0] if killed else 'SURVIVED'}"
        )
    assert survivors == []


def test_the_catalogue_holds_no_more_than_the_list(house, acting_as):
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_policies WHERE schemaname = 'public'")
        assert cursor.fetchone()[0] == len(policies())
