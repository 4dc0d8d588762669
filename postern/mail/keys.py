"""Who is asking, and which classes of mail they may see: what every row policy stands on, worked out in the database.

Applied with the rest of the wall (postern.mail.wall).
"""

FUNCTIONS = """
CREATE SCHEMA IF NOT EXISTS app;
GRANT USAGE ON SCHEMA app TO postern_web, postern_sync, postern_send;

-- Every policy asks these at every statement. They are in plpgsql, which plans them once a session: until 17, PostgreSQL
-- plans functions in SQL anew at each statement, which took a millisecond, four times as long as the rest of it.

-- Who is asking. Garbage and an empty setting are nobody.
CREATE OR REPLACE FUNCTION app.me() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE v text := current_setting('app.staff_id', true);
BEGIN
  IF v ~ '^[0-9]{1,18}$' THEN RETURN (SELECT s.id FROM people_staff s WHERE s.is_active AND s.id = v::bigint); END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION app.is_super() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN RETURN EXISTS (SELECT FROM people_staff s WHERE s.id = app.me() AND s.role = 'super'); END $$;

-- The one mailbox a worker is at.
CREATE OR REPLACE FUNCTION app.box() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp AS
$$ SELECT CASE WHEN v ~ '^[0-9]{1,18}$' THEN v::bigint END FROM current_setting('app.mailbox_id', true) v $$;

-- Mailboxes the person owns.
CREATE OR REPLACE FUNCTION app.owned() RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE who bigint := app.me();
BEGIN RETURN ARRAY(SELECT id FROM mailboxes_mailbox WHERE owner_id = who); END $$;

-- Grants in force for a person: none at all unless a mailbox of their own is set up (row 7). An owner's grants
-- hold while the owner may sign in; what was handed over, while they may not.
CREATE OR REPLACE FUNCTION app.readings(staff bigint)
  RETURNS TABLE (mailbox_id bigint, incoming_only boolean, customers_only boolean, may_reply boolean)
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT r.mailbox_id, r.incoming_only, r.customers_only, r.may_reply
     FROM mailboxes_reader r JOIN mailboxes_mailbox b ON b.id = r.mailbox_id
     JOIN people_staff o ON o.id = b.owner_id AND o.is_active = (r.handover_id IS NULL)
    WHERE r.staff_id = staff AND (r.ends_at IS NULL OR r.ends_at > statement_timestamp())
      AND EXISTS (SELECT FROM mailboxes_mailbox own WHERE own.owner_id = staff AND own.imap_ready);
END $$;

-- Conversations that their owners share with a person by name, in force, under the same conditions.
CREATE OR REPLACE FUNCTION app.shares_with(staff bigint) RETURNS TABLE (mailbox_id bigint, conversation_id bigint)
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT s.mailbox_id, s.conversation_id
     FROM mail_conversationshare s JOIN mail_conversation c ON c.id = s.conversation_id AND c.mailbox_id = s.mailbox_id
     JOIN mailboxes_mailbox b ON b.id = s.mailbox_id JOIN people_staff o ON o.id = b.owner_id AND o.is_active
    WHERE s.staff_id = staff AND (s.ends_at IS NULL OR s.ends_at > statement_timestamp())
      AND EXISTS (SELECT FROM mailboxes_mailbox own WHERE own.owner_id = staff AND own.imap_ready);
END $$;

-- Every class of mail a person may read: mailbox * 4 + outgoing * 2 + (not a customer's). A shared conversation has
-- classes of its own, -4 * (conversation + 1) + the same: its owner's, its readers' and those of whom it is shared with.
CREATE OR REPLACE FUNCTION app.visible_to(staff bigint) RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  who bigint := (SELECT s.id FROM people_staff s WHERE s.id = staff AND s.is_active);
  keys bigint[] := ARRAY(
    SELECT b.id * 4 + n FROM mailboxes_mailbox b, generate_series(0, 3) n WHERE b.owner_id = who
    UNION
    SELECT r.mailbox_id * 4 + n FROM app.readings(who) r, generate_series(0, 3) n
      WHERE (n < 2 OR NOT r.incoming_only) AND (n % 2 = 0 OR NOT r.customers_only));
BEGIN
  IF NOT EXISTS (SELECT FROM mail_conversationshare) THEN RETURN keys; END IF;  -- nothing is shared by name here
  RETURN keys || ARRAY(
    SELECT -4 * (s.conversation_id + 1) + (k & 3)
      FROM unnest(keys) k JOIN mail_conversationshare s ON s.mailbox_id = k >> 2
    UNION
    SELECT -4 * (s.conversation_id + 1) + n FROM app.shares_with(who) s, generate_series(0, 3) n);
END $$;

CREATE OR REPLACE FUNCTION app.visible() RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$ BEGIN RETURN app.visible_to(app.me()); END $$;

-- Every class of others' mail that a person may answer in its owner's name: a part of what they may read.
CREATE OR REPLACE FUNCTION app.answerable_to(staff bigint) RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  who bigint := (SELECT s.id FROM people_staff s WHERE s.id = staff AND s.is_active);
  keys bigint[] := ARRAY(
    SELECT DISTINCT r.mailbox_id * 4 + n FROM app.readings(who) r, generate_series(0, 3) n
      WHERE r.may_reply AND (n < 2 OR NOT r.incoming_only) AND (n % 2 = 0 OR NOT r.customers_only));
BEGIN
  RETURN keys || ARRAY(
    SELECT DISTINCT -4 * (s.conversation_id + 1) + (k & 3)
      FROM unnest(keys) k JOIN mail_conversationshare s ON s.mailbox_id = k >> 2);
END $$;

CREATE OR REPLACE FUNCTION app.answerable() RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$ BEGIN RETURN app.answerable_to(app.me()); END $$;

-- Mailboxes shared with the person, or conversations in them, in force.
CREATE OR REPLACE FUNCTION app.shared() RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE who bigint := app.me();
BEGIN
  RETURN ARRAY(SELECT r.mailbox_id FROM app.readings(who) r UNION SELECT s.mailbox_id FROM app.shares_with(who) s);
END $$;
"""

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.me()": ("web",),
    "app.is_super()": ("web",),
    "app.box()": ("sync", "send"),
    "app.owned()": ("web",),
    "app.readings(bigint)": (),
    "app.shares_with(bigint)": (),
    "app.visible_to(bigint)": ("web",),
    "app.visible()": ("web",),
    "app.answerable_to(bigint)": ("web", "send"),
    "app.answerable()": ("web",),
    "app.shared()": ("web",),
}
