"""The second lock of conversations that are shared by name: what keeps them marked, and keeps others out of them.

Applied with the rest of the wall (postern.mail.wall); why it is as it is: docs/decisions/0011-shared-conversations.md.
"""

FUNCTIONS = """
-- Letters of a shared conversation are marked, so that their wall key is the conversation's own, and open pages of
-- the colleague ask anew. Waits for whoever is storing letters of the mailbox: they find the share, or are found.
CREATE OR REPLACE FUNCTION app.follow_shares() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE share mail_conversationshare; any_left boolean;
BEGIN
  share := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  IF TG_OP = 'UPDATE' THEN
    IF (OLD.mailbox_id, OLD.conversation_id, OLD.staff_id) IS DISTINCT FROM (NEW.mailbox_id, NEW.conversation_id, NEW.staff_id)
    THEN RAISE EXCEPTION 'a share stays what it is' USING ERRCODE = 'check_violation'; END IF;
  ELSE
    IF TG_OP = 'INSERT' AND NOT EXISTS (SELECT FROM mail_conversation c
      WHERE c.id = share.conversation_id AND c.mailbox_id = share.mailbox_id)
    THEN RAISE EXCEPTION 'the conversation is of another mailbox' USING ERRCODE = 'check_violation'; END IF;
    PERFORM pg_advisory_xact_lock(7009, (share.mailbox_id % 2147483648)::int);
    any_left := EXISTS (SELECT FROM mail_conversationshare s WHERE s.conversation_id = share.conversation_id);
    UPDATE mail_message SET shared = any_left
      WHERE conversation_id = share.conversation_id AND mailbox_id = share.mailbox_id AND shared <> any_left;
  END IF;
  PERFORM pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', share.staff_id)::text);
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER follow_shares AFTER INSERT OR UPDATE OR DELETE ON mail_conversationshare
  FOR EACH ROW EXECUTE FUNCTION app.follow_shares();

-- No letter moves into a shared conversation, or out of it, by itself (rule S-133): only one that stands aside of
-- it, while its owner adds it or takes it out again (app.add_aside, app.take_out).
CREATE OR REPLACE FUNCTION app.keep_apart() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM mail_conversationshare s WHERE s.conversation_id IN (OLD.conversation_id, NEW.conversation_id))
    AND NOT EXISTS (SELECT FROM mail_aside a WHERE a.message_id = NEW.id AND a.moves_to = NEW.conversation_id)
  THEN RAISE EXCEPTION 'a shared conversation does not grow by itself' USING ERRCODE = 'check_violation'; END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER keep_apart BEFORE UPDATE ON mail_message FOR EACH ROW
  WHEN (OLD.conversation_id IS DISTINCT FROM NEW.conversation_id) EXECUTE FUNCTION app.keep_apart();

-- The key of a Message-ID, as postern.mail.references makes it.
CREATE OR REPLACE FUNCTION app.id_hash(id text) RETURNS bigint LANGUAGE sql IMMUTABLE SECURITY DEFINER
  SET search_path = public, pg_temp AS
$$ SELECT ('x' || encode(substr(sha256(convert_to(id, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint $$;

-- The mailbox of a letter of the person's own, with its one lock (whoever stores letters there has finished).
CREATE OR REPLACE FUNCTION app.own_letter(letter bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE box bigint;
BEGIN
  SELECT m.mailbox_id INTO box FROM mail_message m JOIN mailboxes_mailbox b ON b.id = m.mailbox_id
    WHERE m.id = letter AND b.owner_id = app.me();
  IF box IS NULL THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  PERFORM pg_advisory_xact_lock(7009, (box % 2147483648)::int);
  RETURN box;
END $$;

-- A letter moves to a conversation, and pages that show it or showed it ask anew.
CREATE OR REPLACE FUNCTION app.move_aside(letter bigint, box bigint, there bigint) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE colleague bigint; here bigint;
BEGIN
  SELECT conversation_id INTO here FROM mail_message WHERE id = letter;
  UPDATE mail_aside SET moves_to = there WHERE message_id = letter;
  UPDATE mail_message SET conversation_id = there,
    shared = EXISTS (SELECT FROM mail_conversationshare s WHERE s.conversation_id = there) WHERE id = letter;
  UPDATE mail_aside SET moves_to = NULL WHERE message_id = letter;
  FOR colleague IN SELECT DISTINCT staff_id FROM mail_conversationshare WHERE conversation_id IN (here, there) LOOP
    PERFORM pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', colleague)::text);
  END LOOP;
  PERFORM pg_notify('postern_events', json_build_object('kind', 'message', 'mailbox', box, 'id', letter)::text);
END $$;

-- The owner adds a letter that stands aside to the conversation it answers. What referred to it follows; the rest of
-- the conversation it stood in does not. Returns that conversation, NULL where nothing stands aside.
CREATE OR REPLACE FUNCTION app.add_aside(letter bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE box bigint := app.own_letter(letter); here bigint; there bigint; own text; keys jsonb;
BEGIN
  SELECT a.conversation_id, m.conversation_id, m.message_id INTO there, here, own
    FROM mail_aside a JOIN mail_message m ON m.id = a.message_id WHERE a.message_id = letter AND a.added_at IS NULL;
  IF there IS NULL THEN RETURN NULL; END IF;
  PERFORM app.move_aside(letter, box, there);
  WITH gone AS (UPDATE mail_reference r SET conversation_id = there WHERE r.mailbox_id = box AND r.conversation_id = here
      AND (r.id_hash = app.id_hash(own) OR NOT EXISTS (SELECT FROM mail_message m WHERE m.conversation_id = here))
      RETURNING r.id_hash)
    SELECT coalesce(jsonb_agg(id_hash), '[]') INTO keys FROM gone;
  UPDATE mail_aside SET added_at = now(), stood_in_id = here, moved = keys WHERE message_id = letter;
  RETURN there;
END $$;

-- The owner takes a letter out again that they added, and it alone: back to where it stood, or, where that is no more
-- or is shared itself by now, to a conversation of its own. Returns that conversation, NULL for any other letter.
CREATE OR REPLACE FUNCTION app.take_out(letter bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE box bigint := app.own_letter(letter); here bigint; back bigint; keys jsonb;
BEGIN
  SELECT m.conversation_id, a.stood_in_id, a.moved INTO here, back, keys FROM mail_aside a JOIN mail_message m ON m.id = a.message_id
    WHERE a.message_id = letter AND a.added_at IS NOT NULL AND m.conversation_id = a.conversation_id;
  IF here IS NULL THEN RETURN NULL; END IF;
  IF back IS NULL OR back = here OR EXISTS (SELECT FROM mail_conversationshare s WHERE s.conversation_id = back) THEN
    INSERT INTO mail_conversation (mailbox_id) VALUES (box) RETURNING id INTO back;
  END IF;
  PERFORM app.move_aside(letter, box, back);
  -- What came along goes back, except the id of a letter that is in the conversation by now.
  UPDATE mail_reference r SET conversation_id = back WHERE r.mailbox_id = box AND r.conversation_id = here
    AND r.id_hash IN (SELECT k::bigint FROM jsonb_array_elements_text(keys) k)
    AND NOT EXISTS (SELECT FROM mail_message m WHERE m.conversation_id = here AND app.id_hash(m.message_id) = r.id_hash);
  UPDATE mail_aside SET added_at = NULL, stood_in_id = NULL, moved = NULL WHERE message_id = letter;
  RETURN back;
END $$;
"""

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.follow_shares()": (),
    "app.keep_apart()": (),
    "app.id_hash(text)": (),
    "app.own_letter(bigint)": (),
    "app.move_aside(bigint, bigint, bigint)": (),
    "app.add_aside(bigint)": ("web",),
    "app.take_out(bigint)": ("web",),
}

_OWNED = "mailbox_id = ANY ((SELECT app.owned())::bigint[])"
_BOX = "mailbox_id = (SELECT app.box())"
# A conversation is shared by the owner of the mailbox in which it is, not of any mailbox.
_GIVES = f"""{{table}}.{_OWNED} AND EXISTS (SELECT FROM mail_conversation c
  WHERE c.id = {{table}}.conversation_id AND c.mailbox_id = {{table}}.mailbox_id)"""
WALLED: dict[str, dict[tuple[str, str], str]] = {
    "mail_conversationshare": {
        ("web", "SELECT"): f"{_OWNED} OR staff_id = (SELECT app.me())",
        ("web", "INSERT"): _GIVES,
        # Before the keys are asked: their errors would tell of others' conversations and shares.
        ("web", "UPDATE"): _GIVES,
        ("web", "DELETE"): _OWNED,
        ("worker", "SELECT"): _BOX,
        ("worker", "DELETE"): _BOX,
    },
    # That a letter answers a shared conversation is the owner's to know; it is noted by the worker alone.
    "mail_aside": {("web", "SELECT"): _OWNED, ("worker", "ALL"): _BOX},
}
