"""What somebody who took a worker over cannot do, also to the mailbox that it is at (S-068, S-073): each beside what
the worker does itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from postern.mail import workwall
from postern.mail.access import at_mailbox
from postern.mail.models import Conversation, ConversationShare, Message
from postern.mail.wall import OPEN, WALLED, policies
from postern.outbox import fate
from postern.outbox.models import Delivery
from tests.privacy.burglar import fill
from tests.privacy.test_policies import EQUAL
from tests.world import World, arrive, letter, make_world

KEYS = {"id", "mailbox_id", "owner_id", "staff_id", "author_id", "conversation_id"}
"""What policies ask about a row."""
REFUSED = "42501"
SIGN_INS = ("people_token", "people_attempt", "django_session")
_READER = "INSERT INTO mailboxes_reader (mailbox_id, staff_id, incoming_only, customers_only, may_reply, created_at)"
_SHARE = "INSERT INTO mail_conversationshare (mailbox_id, conversation_id, staff_id, created_at)"
# (role, what it does, refused or done)
TRIES = [
    # Grants, shares, and letters that would move to where a colleague reads along.
    *((role, f"{_READER} VALUES ({{box}}, {{boss}}, false, false, false, now())", REFUSED) for role in ("sync", "send")),
    *((role, "UPDATE mailboxes_reader SET customers_only = false", REFUSED) for role in ("sync", "send")),
    *((role, "UPDATE mailboxes_reader SET ends_at = NULL", REFUSED) for role in ("sync", "send")),
    *((role, "DELETE FROM mailboxes_reader", REFUSED) for role in ("sync", "send")),
    *((role, "SELECT staff_id FROM mailboxes_reader", "rows") for role in ("sync", "send")),
    *((role, f"{_SHARE} SELECT {{box}}, id, {{boss}}, now() FROM mail_conversation", REFUSED) for role in ("sync", "send")),
    *((role, "UPDATE mail_conversationshare SET ends_at = NULL", REFUSED) for role in ("sync", "send")),
    *((role, "SELECT conversation_id FROM mail_conversationshare", "rows") for role in ("sync", "send")),
    *((role, "UPDATE mail_aside SET moves_to = 1", REFUSED) for role in ("sync", "send")),
    *((role, "UPDATE mail_aside SET conversation_id = conversation_id", "rows") for role in ("sync", "send")),
    # Who may sign in.
    *((role, "SELECT password FROM people_staff", REFUSED) for role in ("sync", "send")),
    *((role, "SELECT name, is_active FROM people_staff", "rows") for role in ("sync", "send")),
    *((role, "UPDATE people_staff SET role = 'super'", REFUSED) for role in ("sync", "send")),
    *((role, "DELETE FROM people_staff", REFUSED) for role in ("sync", "send")),
    *((role, f"SELECT FROM {table}", REFUSED) for role in ("sync", "send") for table in SIGN_INS),
    *((role, "UPDATE people_consent SET customers_only = false", REFUSED) for role in ("sync", "send")),
    *((role, "SELECT FROM people_handover", REFUSED) for role in ("sync", "send")),
    # Settings: each writes the certificate that it saw first, and nothing else.
    ("sync", "UPDATE mailboxes_mailbox SET imap_pinned_sha256 = 'x'", "rows"),
    ("sync", "UPDATE mailboxes_mailbox SET smtp_pinned_sha256 = 'x'", REFUSED),
    ("send", "UPDATE mailboxes_mailbox SET smtp_pinned_sha256 = 'x'", "rows"),
    ("send", "UPDATE mailboxes_mailbox SET imap_pinned_sha256 = 'x'", REFUSED),
    *(
        (role, f"UPDATE mailboxes_mailbox SET {change}", REFUSED)
        for role in ("sync", "send")
        for change in ("owner_id = {boss}", "imap_host = 'evil.example'", "smtp_host = 'evil.example'", "reply_to = 'x'")
    ),
    *((role, "DELETE FROM mailboxes_mailbox", REFUSED) for role in ("sync", "send")),
    ("sync", "SELECT pattern FROM mailboxes_denyentry", "rows"),
    ("sync", "DELETE FROM mailboxes_denyentry", REFUSED),
    ("send", "SELECT pattern FROM mailboxes_denyentry", REFUSED),
    ("sync", "UPDATE mailboxes_folder SET next_uid = 1", "rows"),
    ("sync", "UPDATE mailboxes_folder SET mailbox_id = mailbox_id", REFUSED),
    ("send", "SELECT FROM mailboxes_folder", REFUSED),
    ("send", "SELECT FROM mailboxes_lease", REFUSED),
    ("sync", "SELECT FROM mailboxes_systememail", "rows"),
    ("sync", "UPDATE mailboxes_systememail SET unchecked_certificates = true", REFUSED),
    ("send", "UPDATE mailboxes_systememail SET sent_in_hour = 1", "rows"),
    ("send", "UPDATE mailboxes_systememail SET smtp_host = 'evil.example'", REFUSED),
    ("sync", "SELECT text FROM people_notice", REFUSED),
    ("send", "UPDATE people_notice SET mailed_at = now()", "rows"),
    ("send", "UPDATE people_notice SET text = 'x'", REFUSED),
    # Passwords: those that the work needs, none of them to be exchanged for another.
    ("sync", "SELECT ciphertext FROM mailboxes_secret WHERE field = 'imap'", "rows"),
    ("sync", "SELECT ciphertext FROM mailboxes_secret WHERE field = 'smtp'", "nothing"),
    ("send", "SELECT ciphertext FROM mailboxes_secret WHERE field = 'smtp'", "rows"),
    ("send", "SELECT ciphertext FROM mailboxes_secret WHERE field = 'imap'", "nothing"),
    ("sync", "SELECT ciphertext FROM mailboxes_systemsecret", "nothing"),
    ("send", "SELECT ciphertext FROM mailboxes_systemsecret", "rows"),
    ("sync", "SELECT ciphertext FROM mailboxes_probesecret", "nothing"),
    ("send", "SELECT ciphertext FROM mailboxes_probesecret", REFUSED),
    *(
        (role, f"{deed} {table}{rest}", REFUSED)
        for role in ("sync", "send")
        for table in ("mailboxes_secret", "mailboxes_systemsecret")
        for deed, rest in (("UPDATE", " SET ciphertext = ''"), ("DELETE FROM", ""))
    ),
    # Tests that nobody asked for, and passwords tried where nobody wanted them.
    ("sync", "UPDATE mailboxes_probe SET state = state", "rows"),
    ("sync", "UPDATE mailboxes_probe SET settings = '{{}}'", REFUSED),
    ("sync", "UPDATE mailboxes_probe SET mailbox_id = NULL", REFUSED),
    ("send", "SELECT FROM mailboxes_probe", REFUSED),
    # Letters on their way out.
    ("send", "UPDATE outbox_delivery SET state = 'queued'", "rows"),
    *(
        ("send", f"UPDATE outbox_delivery SET {change}", REFUSED)
        for change in ("author_id = {boss}", "bcc = '[]'", "text = 'x'", "envelope_sender = 'x'", "created_at = now()")
    ),
    ("send", "SELECT data FROM outbox_outgoingfile", "rows"),
    ("sync", "SELECT text FROM outbox_delivery", REFUSED),
    ("sync", "SELECT data FROM outbox_outgoingfile", REFUSED),
    # Who looked.
    *((role, f"{deed} mail_opening", REFUSED) for role in ("sync", "send") for deed in ("SELECT FROM", "DELETE FROM")),
    ("sync", "SELECT mark FROM mail_digest", "rows"),
    ("sync", "UPDATE mail_digest SET day = NULL", REFUSED),
    ("send", "UPDATE mail_digest SET day = NULL", "rows"),
    ("send", "UPDATE mail_digest SET wanted = false", REFUSED),
    # Work.
    ("sync", "SELECT FROM procrastinate_jobs", REFUSED),
    ("sync", "SELECT app.defer('send', '{{}}', NULL, NULL)", REFUSED),
    ("send", "SELECT FROM procrastinate_jobs", "nothing"),
]  # fmt: skip


@pytest.fixture
def house(db: None, acting_as: Any) -> World:
    """The owner's mailbox with a row in every table; two passwords of it."""
    world = make_world(acting_as)
    [message] = arrive(acting_as, world.inbox, letter())
    known = dict.fromkeys(("owner_id", "staff_id", "author_id"), world.owner.pk)
    known |= {"mailbox_id": world.mailbox.pk, "folder_id": world.inbox.pk, "reader_id": world.reader.pk}
    known |= dict.fromkeys(("message_id", "answers_id", "sent_id"), message.pk)
    known |= dict.fromkeys(("conversation_id", "stood_in_id"), message.conversation_id)
    known |= {"customer_id": world.customer.pk}
    with acting_as("superuser"), transaction.atomic(), connection.cursor() as cursor:
        fill(world, known)
        cursor.execute("DELETE FROM mailboxes_secret")
        cursor.execute(
            "INSERT INTO mailboxes_secret (mailbox_id, field, ciphertext) SELECT b.id, f, '' FROM mailboxes_mailbox b,"
            " unnest(ARRAY['imap', 'smtp']) f"
        )
        cursor.execute("UPDATE outbox_delivery SET state = 'sending'")
        cursor.execute("UPDATE mail_aside SET conversation_id = %s", [message.conversation_id])
    return world


def outcome(acting_as: Any, role: str, statement: str, box: int) -> str:
    """rows, nothing, or the class of the error; whatever happened is undone."""
    from django.db import DatabaseError

    with acting_as("superuser"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.mailbox_id', %s, true)", [str(box)])
        try:
            with acting_as(role), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)
                told = "rows" if cursor.rowcount > 0 else "nothing"
        except DatabaseError as error:
            told = str(getattr(error.__cause__, "sqlstate", "?"))
        transaction.set_rollback(True)
    return told


@pytest.mark.rule("S-068")
@pytest.mark.rule("S-073")
def test_s073_a_worker_that_was_taken_over_has_the_rights_of_its_work_alone(house, acting_as):
    wrong = []
    for role, words, wanted in TRIES:
        statement = words.format(box=house.mailbox.pk, boss=house.boss.pk)
        told = outcome(acting_as, role, statement, house.mailbox.pk)
        if told != wanted:
            wrong.append(f"{role}: {statement}: {told}, not {wanted}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.rule("S-029")
@pytest.mark.rule("S-068")
def test_s068_sync_reads_other_passwords_while_a_test_needs_them(house, acting_as):
    box = house.mailbox.pk
    smtp = "SELECT ciphertext FROM mailboxes_secret WHERE field = 'smtp'"
    company, typed = (
        "SELECT ciphertext FROM mailboxes_systemsecret",
        "SELECT ciphertext FROM mailboxes_probesecret",
    )

    def seen(kind: str, state: str, settings: str) -> list[str]:
        with acting_as("superuser"), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE mailboxes_probe SET kind = %s, state = %s, settings = %s", [kind, state, settings]
            )
        return [outcome(acting_as, "sync", statement, box) for statement in (smtp, company, typed)]

    assert seen("smtp", "waiting", '{"system": true}') == ["nothing"] * 3
    assert seen("imap", "running", '{"system": false}') == ["nothing", "nothing", "rows"]
    assert seen("smtp", "running", '{"system": false}') == ["rows", "nothing", "rows"]
    assert seen("system", "running", '{"system": true}') == ["nothing", "rows", "rows"]
    assert seen("send", "works", '{"system": true}') == ["nothing"] * 3
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE mailboxes_probe SET kind = 'smtp', state = 'running'")
    assert outcome(acting_as, "sync", smtp, house.colleague_mailbox.pk) == "nothing"


def test_each_right_of_a_worker_has_rows_and_each_row_a_right(db):
    """A policy without a right, or a right without a policy, is something that was forgotten."""
    covered = {
        (f"postern_{role}", table, command)
        for table, _, roles, word, _ in policies()
        for role in ("sync", "send")
        if f"postern_{role}" in roles
        for command in (("SELECT", "INSERT", "UPDATE", "DELETE") if word == "ALL" else (word,))
    }
    rights = {(role, table, command) for role, table, command, _ in workwall.granted() if table in WALLED}
    assert rights <= covered
    assert {(table, role) for role, table, _ in covered} == {(table, role) for role, table, _ in rights}
    others = {table for _, table, _, _ in workwall.granted()} - WALLED.keys()
    assert {t for t in others if not t.startswith("procrastinate_")} <= OPEN.keys()


def test_no_worker_changes_whose_a_row_is(db):
    changes = {}
    for role, table, command, column in workwall.granted():
        if command == "UPDATE":
            changes.setdefault((table, role), set()).add(column)
    for table, name in EQUAL:
        roles = next(p[2] for p in policies() if p[:2] == (table, name))
        for role in roles.split(", "):
            if role != "postern_web":
                assert not changes[table, role] & (KEYS | {""}), (table, role)


def test_what_a_worker_may_change_of_a_letter_is_what_became_of_it():
    columns = {Delivery._meta.get_field(name).column for name in fate.FATE}
    may = {
        c
        for role, table, command, c in workwall.granted()
        if (role, table, command) == ("postern_send", "outbox_delivery", "UPDATE")
    }
    assert may == columns | {"answers_id"}


@pytest.mark.parametrize("role", ["sync", "send"])
def test_a_message_and_its_conversation_go_with_all_that_hangs_on_them(house, acting_as, role):
    """The rights suffice for what Django takes along: each table that points there is asked."""
    with acting_as(role), at_mailbox(house.mailbox.pk):
        message = Message.objects.get()
        assert message.delete()[0] > 5
        assert Conversation.objects.filter(pk=message.conversation_id).delete()[0] > 1
    with acting_as("superuser"):
        assert not Message.objects.exists() and not ConversationShare.objects.exists()
        assert Delivery.objects.get().answers_id is None
