"""The second lock where somebody leaves: what a super-administrator sets off without seeing anything of it.

Web's role reaches no other person's mailbox; these definer functions do exactly this much for it. They are
applied with the rest of the wall (postern.mail.wall), and told in docs/decisions/0010-leaving.md.
"""

MOST_DAYS = 366
"""A handover ends after a year at the latest."""
LEAST_REASON = 20
"""Characters that the reason of a break-glass has at least."""

FUNCTIONS = f"""
-- Tell somebody what they must know: no other page opens for them before they read it, and it is mailed as well.
CREATE OR REPLACE FUNCTION app.tell(who bigint, words text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE number bigint;
BEGIN
  INSERT INTO people_notice (staff_id, text, created_at) VALUES (who, words, now()) RETURNING id INTO number;
  UPDATE people_staff SET has_notice = true WHERE id = who;
  PERFORM app.defer('tell', jsonb_build_object('notice_id', number), NULL, NULL);
END $$;

-- Somebody may no longer sign in: everything that is signed in ends for good, passwords are deleted, grants of
-- theirs and to them end, nothing of theirs is sent. Their mail stays, and nobody sees it.
CREATE OR REPLACE FUNCTION app.offboard(who bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE boxes bigint[]; box bigint;
BEGIN
  IF NOT app.is_super() THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  UPDATE people_staff SET is_active = false, sign_ins = sign_ins + 1 WHERE id = who;
  -- Before the mailboxes are locked: whoever is storing letters there holds the one lock and waits for the other.
  DELETE FROM mail_conversationshare
    WHERE staff_id = who OR mailbox_id IN (SELECT id FROM mailboxes_mailbox WHERE owner_id = who);
  -- Whoever is saving settings at this moment finishes first, or finds that they are gone.
  boxes := ARRAY(SELECT b.id FROM (SELECT id FROM mailboxes_mailbox WHERE owner_id = who ORDER BY id FOR UPDATE) b);
  DELETE FROM people_token WHERE staff_id = who;
  DELETE FROM mailboxes_secret WHERE mailbox_id = ANY (boxes);
  DELETE FROM mailboxes_probesecret WHERE probe_id IN (SELECT id FROM mailboxes_probe WHERE staff_id = who);
  DELETE FROM mailboxes_probe WHERE staff_id = who AND state = 'waiting';
  DELETE FROM mailboxes_reader WHERE mailbox_id = ANY (boxes) OR staff_id = who;
  UPDATE mailboxes_mailbox SET has_imap_secret = false, has_smtp_secret = false,
    settings_version = settings_version + 1 WHERE id = ANY (boxes);
  UPDATE mailboxes_mailboxhealth SET state = 'failed', since = now(), code = 'disabled', server_text = '',
    message = 'This mailbox stopped when your account was disabled: its passwords were deleted.',
    advice = 'Enter the password again to start it.' WHERE mailbox_id = ANY (boxes);
  -- One that some have got stays as it was sent: held, it would be sent to all of them again.
  UPDATE outbox_delivery SET state = 'accepted', code = 'disabled', server_text = '', updated_at = now(),
    raw = CASE WHEN sent_id IS NULL THEN raw END, advice = '',
    problem = 'An account was disabled before this message had reached everybody: its author’s, or that of the mailbox’s owner.'
    WHERE state = 'queued' AND accepted <> '[]' AND (author_id = who OR mailbox_id = ANY (boxes));
  UPDATE outbox_delivery SET state = 'held', code = 'disabled', send_at = NULL, server_text = '', updated_at = now(),
    problem = 'An account was disabled before this message went out: its author’s, or that of the mailbox’s owner.',
    advice = 'Look at it again, then send it or discard it.'
    WHERE state = 'queued' AND (author_id = who OR mailbox_id = ANY (boxes));
  FOREACH box IN ARRAY boxes LOOP
    PERFORM pg_notify('postern_mailboxes', json_build_object('mailbox', box)::text);
  END LOOP;
  PERFORM pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', who)::text);
END $$;

-- Give a successor the mail of somebody who was disabled, to read, until a day. With the owner's consent as far as
-- that goes; else with a reason, customers' conversations only. Either way it is logged and the owner is told.
CREATE OR REPLACE FUNCTION app.hand_over(whose bigint, heir bigint, why text, until timestamptz)
  RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE agreed people_consent; found_ground text; narrow boolean; line bigint; told text; me bigint := app.me();
BEGIN
  IF NOT app.is_super() OR heir = me OR heir = whose
    OR NOT EXISTS (SELECT FROM people_staff WHERE id = heir AND is_active)
    OR NOT EXISTS (SELECT FROM people_staff WHERE id = whose AND NOT is_active)
  THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  IF until IS NULL OR until <= now() OR until > now() + interval '{MOST_DAYS} days' THEN
    RAISE EXCEPTION 'no such end' USING ERRCODE = 'check_violation'; END IF;
  SELECT * INTO agreed FROM people_consent
    WHERE staff_id = whose AND (successor_id IS NULL OR successor_id = heir);
  found_ground := CASE WHEN agreed.staff_id IS NULL THEN 'break_glass' ELSE 'consent' END;
  narrow := coalesce(agreed.customers_only, true);
  IF found_ground = 'break_glass' AND length(trim(why)) < {LEAST_REASON} THEN
    RAISE EXCEPTION 'a reason is needed' USING ERRCODE = 'check_violation'; END IF;
  INSERT INTO people_handover (owner_id, successor_id, by_id, ground, reason, customers_only, ends_at, created_at)
    VALUES (whose, heir, me, found_ground, trim(why), narrow, until, now()) RETURNING id INTO line;
  INSERT INTO mailboxes_reader (mailbox_id, staff_id, incoming_only, customers_only, may_reply, ends_at, handover_id, created_at)
    SELECT id, heir, false, narrow, false, until, line, now() FROM mailboxes_mailbox WHERE owner_id = whose
    ON CONFLICT (mailbox_id, staff_id) DO UPDATE SET incoming_only = false, customers_only = narrow,
      may_reply = false, ends_at = until, handover_id = line;
  SELECT format('%s handed your mail in Postern to %s, to read %s until %s. %s Everything they open is in your reader log.',
      (SELECT name FROM people_staff WHERE id = me), (SELECT name FROM people_staff WHERE id = heir),
      CASE WHEN narrow THEN 'customers’ conversations' ELSE 'all of it' END, to_char(until, 'FMDD FMMonth YYYY'),
      CASE WHEN found_ground = 'consent' THEN 'You had agreed to this under My Profile.'
           ELSE 'You had not agreed to this. The reason given: ' || trim(why) END) INTO told;
  PERFORM app.tell(whose, told);
  PERFORM pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', heir)::text);
  RETURN line;
END $$;

-- What was handed over ends: because a super-administrator says so, and when the owner may sign in again.
CREATE OR REPLACE FUNCTION app.end_handover(whose bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE heir bigint;
BEGIN
  IF NOT app.is_super() THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  FOR heir IN WITH gone AS (DELETE FROM mailboxes_reader r USING mailboxes_mailbox b
      WHERE b.id = r.mailbox_id AND b.owner_id = whose AND r.handover_id IS NOT NULL RETURNING r.staff_id)
    SELECT DISTINCT staff_id FROM gone
  LOOP
    INSERT INTO people_handover (owner_id, successor_id, by_id, ground, reason, customers_only, ends_at, created_at)
      VALUES (whose, heir, app.me(), 'ended', '', true, now(), now());
    PERFORM pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', heir)::text);
  END LOOP;
END $$;
"""  # noqa: S608  the two numbers above are ours

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.tell(bigint, text)": (),
    "app.offboard(bigint)": ("web",),
    "app.hand_over(bigint, bigint, text, timestamptz)": ("web",),
    "app.end_handover(bigint)": ("web",),
}

_MINE = "staff_id = (SELECT app.me())"
_SUPER = "(SELECT app.is_super())"
WALLED: dict[str, dict[tuple[str, str], str]] = {
    "people_consent": {("web", "SELECT"): f"{_MINE} OR {_SUPER}", ("web", "WRITE"): _MINE},
    # The log: lines come from the functions above alone, and nobody changes or removes one.
    "people_handover": {
        ("web", "SELECT"): f"{_SUPER} OR owner_id = (SELECT app.me()) OR successor_id = (SELECT app.me())"
    },
    "people_notice": {
        ("web", "SELECT"): _MINE,
        ("web", "UPDATE"): _MINE,
        ("send", "SELECT"): "true",
        ("send", "UPDATE"): "true",
    },
}
