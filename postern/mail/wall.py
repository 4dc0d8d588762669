"""The second lock: roles' rights, row policies and the few definer functions, as data.

`raise_wall` applies it after every migration, as postern_owner; it is idempotent. The catalogue test
and `postern check` compare the database with the tables below: a table without a decision fails them.
Sync and send reach one mailbox at a time: the one named by `app.mailbox_id`; their rights are in postern.mail.workwall.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from postern.mail import (
    filingwall,
    keys,
    leaving,
    logwall,
    outwall,
    sharewall,
    staffwall,
    trustwall,
    workwall,
)
from postern.mail.sealing import seal

FUNCTIONS = """
-- Web may ask for work and never read the job table. Arguments are ids only.
CREATE OR REPLACE FUNCTION app.defer(task text, args jsonb, lock text, at timestamptz) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF task NOT IN ('send', 'file_mail', 'tell') THEN RAISE EXCEPTION 'unknown task'; END IF;
  PERFORM procrastinate_defer_jobs_v1(
    ARRAY[ROW(task, task, 0, lock, NULL, args, at)::procrastinate_job_to_defer_v1]);
END $$;

-- A customer whose making was undone goes, unless it has an address or mail that somebody filed there by hand.
CREATE OR REPLACE FUNCTION app.unmake(customer bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM people_address WHERE customer_id = customer)
    OR EXISTS (SELECT FROM mail_party WHERE customer_id = customer) THEN RETURN; END IF;
  UPDATE outbox_delivery SET customer_id = NULL WHERE customer_id = customer;
  DELETE FROM people_customer WHERE id = customer;
END $$;

-- How many administrators there are, for the first-run page.
CREATE OR REPLACE FUNCTION app.is_empty() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$ SELECT NOT EXISTS (SELECT FROM people_staff) $$;

-- What nobody needs any more. A function, so that the worker needs no right to read sessions or steps taken.
CREATE OR REPLACE FUNCTION app.tidy() RETURNS void LANGUAGE sql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
  DELETE FROM mailboxes_probesecret WHERE probe_id IN
    (SELECT id FROM mailboxes_probe WHERE finished_at IS NOT NULL OR created_at < now() - interval '1 day');
  DELETE FROM mailboxes_probe WHERE finished_at < now() - interval '1 day' OR created_at < now() - interval '2 days';
  DELETE FROM people_attempt WHERE at < now() - interval '1 day';
  DELETE FROM django_session WHERE expire_date < now();
  DELETE FROM mail_action WHERE created_at < now() - interval '7 days';
  -- Shares that ended; those of a mailbox that is storing letters at this moment have time until the next hour.
  DELETE FROM mail_conversationshare
    WHERE ends_at < now() AND pg_try_advisory_xact_lock(7009, (mailbox_id % 2147483648)::int);
  DELETE FROM mail_opening WHERE at < now() - interval '2 years';
$$;

-- The planner's first idea of what a first sync fills; for all that comes later there is autovacuum. Without
-- statistics any index that begins with the mailbox looks as good to it as the one with the whole key, and to find
-- one letter it reads every one of the mailbox.
CREATE OR REPLACE FUNCTION app.take_stock() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_stat_user_tables WHERE relid = 'mail_message'::regclass
             AND last_analyze IS NULL AND last_autoanalyze IS NULL) THEN
    ANALYZE mail_message, mail_sighting, mail_reference;
  END IF;
END $$;

CREATE SEQUENCE IF NOT EXISTS customer_number START 1001;

-- The one way to search: what the person may read, newest first, from a place on. Straight "@@" under a row policy
-- looks at every visible row, because that operator is not leakproof; here the index of words is used.
CREATE OR REPLACE FUNCTION app.search(words text, incoming boolean, before timestamptz, before_id bigint, most bigint)
  RETURNS TABLE (id bigint, at timestamptz) LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  wanted tsquery := words::tsquery;
  keys bigint[] := ARRAY(SELECT k FROM unnest(app.visible()) k WHERE NOT incoming OR k & 2 = 0);
BEGIN
  RETURN QUERY SELECT s.message_id, s.received_at FROM mail_messagesearch s
    WHERE s.tsv @@ wanted AND s.wall_key = ANY (keys)
      AND s.received_at <= before AND (s.received_at < before OR s.message_id < before_id)
    ORDER BY s.received_at DESC, s.message_id DESC LIMIT most;
END $$;

-- A message's search row has the message's key: whoever may no longer read it does not find it either.
CREATE OR REPLACE FUNCTION app.follow_message() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE mail_messagesearch SET wall_key = NEW.wall_key, received_at = NEW.received_at WHERE message_id = NEW.id;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER follow_message AFTER UPDATE ON mail_message FOR EACH ROW
  WHEN ((OLD.wall_key, OLD.received_at) IS DISTINCT FROM (NEW.wall_key, NEW.received_at))
  EXECUTE FUNCTION app.follow_message();
"""

SOURCES = (
    keys.FUNCTIONS,
    FUNCTIONS,
    *(part.FUNCTIONS for part in (filingwall, leaving, logwall, outwall, sharewall, staffwall, trustwall)),
)
TRIGGERS = {("mail_message", "follow_message"), ("outbox_delivery", "keep_letter")}
FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    **keys.FUNCTION_RIGHTS,
    "app.defer(text, jsonb, text, timestamptz)": ("web", "send"),
    "app.is_empty()": ("web",),
    "app.unmake(bigint)": ("send",),
    "app.search(text, boolean, timestamptz, bigint, bigint)": ("web",),
    "app.follow_message()": (),
    "app.take_stock()": ("sync",),
    **filingwall.FUNCTION_RIGHTS,
    **leaving.FUNCTION_RIGHTS,
    **logwall.FUNCTION_RIGHTS,
    **outwall.FUNCTION_RIGHTS,
    **sharewall.FUNCTION_RIGHTS,
    **staffwall.FUNCTION_RIGHTS,
    **trustwall.FUNCTION_RIGHTS,
    "app.tidy()": ("send",),
}

OWNED = "mailbox_id = ANY ((SELECT app.owned())::bigint[])"
SEEN = "EXISTS (SELECT FROM mail_message m WHERE m.id = {table}.message_id)"
SEEN_IN = "EXISTS (SELECT FROM mail_message m WHERE m.conversation_id = {table}.id)"
MINE = "staff_id = (SELECT app.me())"
BOX = "mailbox_id = (SELECT app.box())"

SAME_BOX = "EXISTS (SELECT FROM mail_message m WHERE m.id = {table}.message_id AND m.mailbox_id = {table}.mailbox_id)"
# What points at a message names the message's own mailbox, and says nothing about messages that are not the person's.
OWN_MESSAGES = f"{OWNED} AND {SAME_BOX}"
# A worker does a test with the secrets of its mailbox: nobody has another's password tried anywhere.
OWN_PROBE = f"{MINE} AND (mailbox_id IS NULL OR {OWNED})"
ANY = "true"
# The mailbox is in the key, except for a shared conversation's.
BOX_OF_KEY = """CASE WHEN wall_key > 0 THEN wall_key >> 2 = (SELECT app.box()) ELSE EXISTS (SELECT FROM mail_conversation c
  WHERE c.id = -(wall_key >> 2) - 1 AND c.mailbox_id = (SELECT app.box())) END"""

# table -> {(role, command): condition}. SELECT uses USING, INSERT uses WITH CHECK, the others both.
WALLED: dict[str, dict[tuple[str, str], str]] = {
    "mail_message": {
        ("web", "SELECT"): "wall_key = ANY ((SELECT app.visible())::bigint[])",
        ("web", "UPDATE"): OWNED,
        ("worker", "ALL"): BOX,
    },
    "mail_body": {("web", "SELECT"): SEEN, ("worker", "ALL"): BOX},
    "mail_raw": {("web", "SELECT"): SEEN, ("worker", "ALL"): BOX},
    "mail_messagesearch": {
        ("web", "SELECT"): "wall_key = ANY ((SELECT app.visible())::bigint[])",
        ("worker", "ALL"): BOX_OF_KEY,
    },
    "mail_attachment": {("web", "SELECT"): SEEN, ("worker", "ALL"): BOX},
    "mail_bcc": {("web", "SELECT"): OWNED, ("worker", "ALL"): BOX},
    "mail_party": {("web", "SELECT"): SEEN, ("web", "WRITE"): OWN_MESSAGES, ("worker", "ALL"): BOX},
    "mail_conversation": {
        ("web", "SELECT"): SEEN_IN,
        ("worker", "ALL"): BOX,
    },
    "mail_reference": {("worker", "ALL"): BOX},
    "mail_sighting": {("web", "SELECT"): OWNED, ("worker", "ALL"): BOX},
    "mail_errand": {("web", "SELECT"): OWNED, ("web", "WRITE"): OWN_MESSAGES, ("worker", "ALL"): BOX},
    "mail_messageread": {
        ("web", "SELECT"): MINE,
        ("web", "WRITE"): f"{MINE} AND {SAME_BOX}",
        ("worker", "ALL"): BOX,
    },
    "mail_action": {("web", "SELECT"): MINE, ("web", "WRITE"): MINE},
    "mailboxes_mailbox": {
        ("web", "SELECT"): "owner_id = (SELECT app.me()) OR id = ANY ((SELECT app.shared())::bigint[])",
        ("web", "WRITE"): "owner_id = (SELECT app.me())",
    },
    "mailboxes_mailboxhealth": {("web", "SELECT"): OWNED, ("web", "WRITE"): OWNED},
    "mailboxes_secret": {("web", "SELECT"): OWNED, ("web", "WRITE"): OWNED},
    "mailboxes_reader": {
        ("web", "SELECT"): f"{OWNED} OR {MINE}",
        ("web", "INSERT"): f"{OWNED} AND handover_id IS NULL",  # that is for app.hand_over
        ("web", "UPDATE"): f"{OWNED} AND handover_id IS NULL",
        ("web", "DELETE"): OWNED,
    },
    "mailboxes_denyentry": {("web", "SELECT"): OWNED, ("web", "WRITE"): OWNED},
    "mailboxes_folder": {("web", "SELECT"): OWNED},
    "mailboxes_lease": {},
    "mailboxes_probe": {("web", "SELECT"): MINE, ("web", "WRITE"): OWN_PROBE},
    "mailboxes_probesecret": {
        ("web", "WRITE"): "EXISTS (SELECT FROM mailboxes_probe p WHERE p.id = {table}.probe_id)",
    },
    "mailboxes_systememail": {("web", "SELECT"): ANY, ("web", "WRITE"): "(SELECT app.is_super())"},
    "mailboxes_systemsecret": {("web", "WRITE"): "(SELECT app.is_super())"},
    **leaving.WALLED,
    **logwall.WALLED,
    **outwall.WALLED,
    **sharewall.WALLED,
    **staffwall.WALLED,
    **trustwall.WALLED,
}
for _table, _decisions in workwall.WALLED.items():
    WALLED[_table] |= _decisions

# Tables without mail: every person at work here may use them. What workers may is in postern.mail.workwall.
OPEN: dict[str, str] = {
    "people_customer": "SELECT, INSERT, UPDATE, DELETE",
    "people_address": "SELECT, INSERT, UPDATE, DELETE",
    "people_attempt": "SELECT, INSERT, DELETE",
    "django_session": "SELECT, INSERT, UPDATE, DELETE",
    "django_content_type": "SELECT",
    "django_migrations": "SELECT",
    "auth_group": "",
    "auth_group_permissions": "",
    "auth_permission": "",
}
# The job table and its relatives: the sender's alone.
JOBS = (
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
)

# What web may read of the tables that hold secrets: enough to write a row over another, never the ciphertext.
SECRET_COLUMNS: dict[str, tuple[str, ...]] = {
    "mailboxes_secret": ("id", "mailbox_id", "field"),
    "mailboxes_systemsecret": ("id",),
    "mailboxes_probesecret": ("probe_id",),
}
# What web may change of tables where that is not every column. Where a message stands is not the pages' to say: whether
# there is a conversation of some number, and whether it is shared, would tell of others' (rule S-073).
UPDATE_COLUMNS: dict[str, tuple[str, ...]] = {
    **staffwall.UPDATE_COLUMNS,
    "mail_message": ("deleted_at", "known", "owner_party"),
}

_COMMANDS = {
    "SELECT": ("SELECT",),
    "INSERT": ("INSERT",),
    "UPDATE": ("UPDATE",),
    "DELETE": ("DELETE",),
    "WRITE": ("INSERT", "UPDATE", "DELETE"),
    "ALL": ("ALL",),
}
_ROLES = {
    "web": "postern_web",
    "sync": "postern_sync",
    "send": "postern_send",
    "worker": "postern_sync, postern_send",
}


def policies() -> list[tuple[str, str, str, str, str]]:
    """Return (table, policy name, roles, command, condition) for each policy of the wall."""
    rows = [
        (table, f"{role}_{command.lower()}", _ROLES[role], command, condition.replace("{table}", table))
        for table, decisions in WALLED.items()
        for (role, word), condition in decisions.items()
        for command in _COMMANDS[word]
    ]
    return rows + [(table, "owner_all", "postern_owner", "ALL", "true") for table in WALLED]


def _policy_sql(table: str, name: str, roles: str, command: str, condition: str) -> str:
    using = "" if command == "INSERT" else f" USING ({condition})"
    check = "" if command in ("SELECT", "DELETE") else f" WITH CHECK ({condition})"
    return f"CREATE POLICY {name} ON {table} FOR {command} TO {roles}{using}{check}"


def _rights_of(table: str) -> set[str]:
    commands = {c for (role, word) in WALLED[table] if role == "web" for c in _COMMANDS[word]}
    if table in SECRET_COLUMNS:
        commands.discard("SELECT")
    if table in UPDATE_COLUMNS:
        commands.discard("UPDATE")
    return commands


def rights() -> set[tuple[str, str, str]]:
    """Return (table, role, command) for each right on a whole table that the processes' roles have."""
    found = {(table, role, command) for role, table, command, column in workwall.granted() if not column}
    for table, commands in OPEN.items():
        found |= {(table, "postern_web", command) for command in commands.split(", ") if command}
    for table in WALLED:
        found |= {(table, "postern_web", command) for command in _rights_of(table)}
    return found


def column_rights() -> set[tuple[str, str, str, str]]:
    """Return (table, role, command, column) for each right on a column alone."""
    found = {(table, role, command, column) for role, table, command, column in workwall.granted() if column}
    for command, tables in (("SELECT", SECRET_COLUMNS), ("UPDATE", UPDATE_COLUMNS)):
        for table, columns in tables.items():
            found |= {(table, "postern_web", command, column) for column in columns}
    return found


# The wall of whatever version stood here: what this one no longer has, or has otherwise, goes. Not CASCADE: what somebody
# else built upon it is theirs, and is named by the refusal.
_CLEAR = """DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT polname, polrelid::regclass AS place FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    WHERE c.relnamespace = 'public'::regnamespace
  LOOP EXECUTE format('DROP POLICY %I ON %s', r.polname, r.place); END LOOP;
  FOR r IN SELECT tgname, tgrelid::regclass AS place FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE p.pronamespace = to_regnamespace('app')
  LOOP EXECUTE format('DROP TRIGGER %I ON %s', r.tgname, r.place); END LOOP;
  FOR r IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = to_regnamespace('app')
  LOOP EXECUTE format('DROP ROUTINE %s', r.name); END LOOP;
END $$"""


def raise_wall(cursor: Any) -> None:
    """Apply functions, rights and policies, whatever stood there before. Run as postern_owner, inside one transaction,
    after migrating."""
    cursor.execute(_CLEAR)
    for functions in SOURCES:
        cursor.execute(functions)
    for function, roles in FUNCTION_RIGHTS.items():
        cursor.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        for role in roles:
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO postern_{role}")
    cursor.execute("GRANT USAGE ON SCHEMA public TO postern_web, postern_sync, postern_send")
    cursor.execute(
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO postern_web, postern_sync, postern_send"
    )
    cursor.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM postern_web, postern_sync, postern_send")
    for table, role, command in sorted(rights()):
        cursor.execute(f"GRANT {command} ON {table} TO {role}")
    for (table, role, command), some in groupby(sorted(column_rights()), key=lambda right: right[:3]):
        columns = ", ".join(column for *_, column in some)
        cursor.execute(f"GRANT {command} ({columns}) ON {table} TO {role}")
    for table in JOBS:
        cursor.execute(f"REVOKE ALL ON SEQUENCE {table}_id_seq FROM postern_web, postern_sync")
    for table in WALLED:
        cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in OPEN:
        cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    for policy in policies():
        cursor.execute(_policy_sql(*policy))
    cursor.execute(seal(policies()))
