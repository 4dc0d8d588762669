"""The second lock of the workers: which commands and columns postern_sync and postern_send have, table by table.

Least privilege: what its code does not do, neither may its role. So whoever took a worker over makes nobody a reader,
changes no settings, reads no password of staff, no sign-in and no secret that its work does not need. What a role may
do is done at one mailbox at a time (`app.box()`), except where a condition below says `true`: there the work goes
over all mailboxes. That names stop mistakes; rights stop intruders too (docs/decisions/0019-keys-and-workers.md).
Applied with the rest of the wall (postern.mail.wall).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ALL = "SELECT, INSERT, UPDATE, DELETE"
# A person without the hash of their password.
_STAFF = "SELECT (id, email, name, role, title, is_active, single_keys, must_change_password, one_time_until, has_notice, sign_ins, created_at)"
# What went out, who wrote it and to whom stays as it is: a worker writes what became of it.
_FATE = (
    "state, send_at, attempts, give_up_at, code, problem, advice, server_text, refused, deferred, accepted, "
    "accepted_at, sent_id, raw, updated_at"
)
# Where reading stands in a folder; whose folder it is stays as it is.
_CURSOR = "role, uidvalidity, next_uid, first_uid, history_since, history_done, highestmodseq, exists"
# A letter that its owner moves to a shared conversation is named in moves_to: no worker moves one there.
_ASIDE = (
    "SELECT, INSERT (message_id, mailbox_id, conversation_id), UPDATE (conversation_id, stood_in_id), DELETE"
)

SHARED_WORK: dict[str, str] = {
    "mail_message": _ALL,
    "mail_body": _ALL,
    "mail_raw": _ALL,
    "mail_messagesearch": _ALL,
    "mail_attachment": _ALL,
    "mail_bcc": "SELECT, INSERT, DELETE",
    "mail_party": "SELECT, INSERT, DELETE",
    "mail_conversation": "SELECT, INSERT, DELETE",
    "mail_reference": _ALL,
    "mail_sighting": _ALL,
    "mail_errand": _ALL,
    "mail_messageread": "SELECT, INSERT, DELETE",
    "mail_aside": _ASIDE,
    # An empty conversation takes its shares along when it goes; no worker shares one.
    "mail_conversationshare": "SELECT, DELETE",
    "mailboxes_reader": "SELECT (id, mailbox_id, staff_id)",
    "people_address": "SELECT",
    "people_staff": _STAFF,
    "django_migrations": "SELECT",
}
"""What both do, since both file letters: sync those that come, send the copies of those that go."""

RIGHTS: dict[str, dict[str, str]] = {
    "sync": {
        **SHARED_WORK,
        "mail_digest": "SELECT (mailbox_id, mark)",
        # A letter that was there twice goes, and what answered it forgets that it did.
        "outbox_delivery": "SELECT (id, mailbox_id, answers_id, sent_id), UPDATE (answers_id, sent_id)",
        "mailboxes_mailbox": "SELECT, UPDATE (imap_pinned_sha256)",
        "mailboxes_mailboxhealth": "SELECT, INSERT, UPDATE",
        "mailboxes_secret": "SELECT",
        "mailboxes_denyentry": "SELECT (id, mailbox_id, pattern)",
        "mailboxes_folder": f"SELECT, INSERT, UPDATE ({_CURSOR})",
        "mailboxes_lease": "SELECT, INSERT, UPDATE",
        "mailboxes_probe": "SELECT, UPDATE (state, steps, result, finished_at)",
        "mailboxes_probesecret": "SELECT, DELETE",
        # What the company says of certificates.
        "mailboxes_systememail": "SELECT",
        "mailboxes_systemsecret": "SELECT",
    },
    "send": {
        **SHARED_WORK,
        "mail_digest": "SELECT, UPDATE (upto, day)",
        "outbox_delivery": f"SELECT, UPDATE (answers_id, {_FATE})",
        "outbox_outgoingfile": "SELECT, DELETE",
        "mailboxes_mailbox": "SELECT, UPDATE (smtp_pinned_sha256)",
        "mailboxes_mailboxhealth": "SELECT (mailbox_id, smtp_seen_sha256, smtp_known_host), UPDATE (smtp_seen_sha256, smtp_known_host)",
        "mailboxes_secret": "SELECT",
        "mailboxes_systememail": "SELECT, UPDATE (hour_began_at, sent_in_hour)",
        "mailboxes_systemsecret": "SELECT",
        "people_notice": "SELECT, UPDATE (mailed_at, mailings, message_id)",
        "procrastinate_jobs": _ALL,
        "procrastinate_events": _ALL,
        "procrastinate_periodic_defers": _ALL,
        "procrastinate_workers": _ALL,
    },
}
"""role -> table -> what GRANT takes: commands, each on the whole table or on the columns in brackets."""

_BOX = "mailbox_id = (SELECT app.box())"
_RUNNING = "EXISTS (SELECT FROM mailboxes_probe p WHERE {which} AND p.state = 'running')"
_TESTS_SMTP = _RUNNING.format(
    which="p.mailbox_id = mailboxes_secret.mailbox_id AND p.kind IN ('smtp', 'send')"
)
# A test of the company's server, or of a mailbox that sends through it; who asked for one was looked at then.
_TESTS_SYSTEM = _RUNNING.format(which="p.settings @> '{\"system\": true}'")
_TESTS_IT = _RUNNING.format(which="p.id = {table}.probe_id")

WALLED: dict[str, dict[tuple[str, str], str]] = {
    # Which mailboxes there are, to watch them, and the pages of all of them.
    "mailboxes_mailbox": {
        ("worker", "SELECT"): "true",
        ("worker", "UPDATE"): "id = (SELECT app.box())",
    },
    # Of thousands of mailboxes that had nothing new one statement dates the last look.
    "mailboxes_mailboxhealth": {
        ("sync", "SELECT"): "true",
        ("sync", "INSERT"): "true",
        ("sync", "UPDATE"): "true",
        ("send", "SELECT"): _BOX,
        ("send", "UPDATE"): _BOX,
    },
    # A password for its own work; sync tries the one for sending while its owner has it tested.
    "mailboxes_secret": {
        ("sync", "SELECT"): f"{_BOX} AND (field = 'imap' OR {_TESTS_SMTP})",
        ("send", "SELECT"): f"{_BOX} AND field = 'smtp'",
    },
    "mailboxes_reader": {("worker", "SELECT"): _BOX},
    "mailboxes_denyentry": {("sync", "SELECT"): _BOX},
    # Where nobody is at a mailbox any more, its folders say whether something is to be forgotten.
    "mailboxes_folder": {
        ("sync", "SELECT"): "true",
        ("sync", "INSERT"): _BOX,
        ("sync", "UPDATE"): _BOX,
    },
    "mailboxes_lease": {("sync", "SELECT"): "true", ("sync", "INSERT"): "true", ("sync", "UPDATE"): "true"},
    # A test may be about no mailbox yet, or about the company's server.
    "mailboxes_probe": {("sync", "SELECT"): "true", ("sync", "UPDATE"): "true"},
    "mailboxes_probesecret": {("sync", "SELECT"): _TESTS_IT, ("sync", "DELETE"): _TESTS_IT},
    "mailboxes_systememail": {("worker", "SELECT"): "true", ("send", "UPDATE"): "true"},
    "mailboxes_systemsecret": {("sync", "SELECT"): _TESTS_SYSTEM, ("send", "SELECT"): "true"},
}
"""Which rows of the settings: the tables of mail say it where they are listed."""

_GRANT = re.compile(r"(\w+)(?: \(([^)]*)\))?(?:, |$)")


def granted() -> Iterator[tuple[str, str, str, str]]:
    """Yield (role, table, command, column) for each right; column '' is the whole table."""
    for role, tables in RIGHTS.items():
        for table, words in tables.items():
            for command, columns in _GRANT.findall(words):
                for column in columns.split(", "):
                    yield f"postern_{role}", table, command, column
