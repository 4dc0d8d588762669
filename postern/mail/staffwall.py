"""The second lock of who may sign in and by which token: a person changes their own, a super-administrator four columns.

A row comes in by two functions alone: added by a super-administrator, with a password that its person must change
before anything else; or as the first of all. Nobody's password, sign-in address or sign-ins are within reach of a
super-administrator, whatever the pages do (rule S-134). Applied with the rest of the wall (postern.mail.wall); told in docs/decisions/0016-forgotten-passwords.md.
"""

from postern.people.onetime import ONE_TIME_HOURS

FUNCTIONS = f"""
-- A super-administrator changes somebody's name, title, role, or whether they may sign in; NULL leaves it as it is.
-- Who no longer may is offboarded (app.offboard); whose account comes back, what was handed over ends. Returns '',
-- or why nothing was done: last_super.
CREATE OR REPLACE FUNCTION app.manage_staff(who bigint, new_name text, new_title text, new_role text, active boolean)
  RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE before people_staff;
BEGIN
  IF NOT app.is_super() OR new_role NOT IN ('super', 'admin') THEN
    RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  -- All of them, locked: two super-administrators must not step down at the same moment.
  PERFORM FROM people_staff WHERE role = 'super' AND is_active OR id = who ORDER BY id FOR UPDATE;
  SELECT * INTO STRICT before FROM people_staff WHERE id = who;
  IF NOT (coalesce(new_role, before.role) = 'super' AND coalesce(active, before.is_active))
    AND NOT EXISTS (SELECT FROM people_staff WHERE role = 'super' AND is_active AND id <> who)
  THEN RETURN 'last_super'; END IF;
  IF before.is_active AND NOT active THEN PERFORM app.offboard(who);
  ELSIF NOT before.is_active AND active THEN PERFORM app.end_handover(who); END IF;
  UPDATE people_staff SET name = coalesce(new_name, before.name), title = coalesce(new_title, before.title),
    role = coalesce(new_role, before.role), is_active = coalesce(active, before.is_active) WHERE id = who;
  RETURN '';
END $$;

-- A super-administrator adds somebody, with the hash of a first password. Whoever makes an account knows that one: it
-- opens nothing but the page to choose another, and ends. Returns the new id.
CREATE OR REPLACE FUNCTION app.add_staff(new_email text, new_name text, new_role text, hash text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE made bigint;
BEGIN
  IF NOT app.is_super() OR new_role NOT IN ('super', 'admin') THEN
    RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  INSERT INTO people_staff (email, name, role, password, must_change_password, one_time_until, is_active, title,
      single_keys, has_notice, sign_ins, created_at)
    VALUES (new_email, new_name, new_role, hash, true, now() + interval '{ONE_TIME_HOURS} hours', true, '',
      true, false, 0, now()) RETURNING id INTO made;
  RETURN made;
END $$;

-- A super-administrator gives another first password to who never chose one of their own: nobody's mail hangs on it.
-- False for everybody else, and for who was reset at the server's shell: they had one before.
CREATE OR REPLACE FUNCTION app.renew_first(who bigint, hash text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT app.is_super() THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  UPDATE people_staff SET password = hash, one_time_until = now() + interval '{ONE_TIME_HOURS} hours'
    WHERE id = who AND is_active AND must_change_password
      AND NOT EXISTS (SELECT FROM people_handover WHERE owner_id = who AND ground = 'password')
      AND NOT EXISTS (SELECT FROM mailboxes_mailbox WHERE owner_id = who);
  RETURN FOUND;
END $$;

-- The token of that digest, if it works: asked before anybody is known. It ends with its date and with its person's right
-- to sign in. Its use is kept to the minute; requests side by side do not wait for one another.
CREATE OR REPLACE FUNCTION app.token(hash text) RETURNS SETOF people_token LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE found people_token;
BEGIN
  SELECT t.* INTO found FROM people_token t JOIN people_staff s ON s.id = t.staff_id AND s.is_active
    WHERE t.digest = hash AND (t.ends_at IS NULL OR t.ends_at > now());
  IF found.id IS NULL THEN RETURN; END IF;
  IF found.used_at IS NULL OR found.used_at <= now() - interval '1 minute' THEN
    UPDATE people_token SET used_at = now()
      WHERE id IN (SELECT id FROM people_token WHERE id = found.id FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN NEXT found;
END $$;

-- The first of all, who makes the account for themselves: only while nobody is here. Returns the new id.
CREATE OR REPLACE FUNCTION app.first_staff(new_email text, new_name text, hash text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7008);  -- two at the same moment
  IF EXISTS (SELECT FROM people_staff) THEN
    RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  INSERT INTO people_staff (email, name, role, password, must_change_password, is_active, title, single_keys,
      has_notice, sign_ins, created_at)
    VALUES (new_email, new_name, 'super', hash, false, true, '', true, false, 0, now()) RETURNING id INTO made;
  RETURN made;
END $$;
"""  # noqa: S608  the number above is ours

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.manage_staff(bigint, text, text, text, boolean)": ("web",),
    "app.add_staff(text, text, text, text)": ("web",),
    "app.renew_first(bigint, text)": ("web",),
    "app.token(text)": ("web",),
    "app.first_staff(text, text, text)": ("web",),
}

_SELF = "id = (SELECT app.me())"
_MINE = "staff_id = (SELECT app.me())"
WALLED: dict[str, dict[tuple[str, str], str]] = {
    # Everybody at work here may know who else is; of one's own row, web changes the columns below.
    "people_staff": {
        ("web", "SELECT"): "true",
        ("web", "UPDATE"): _SELF,
        ("worker", "SELECT"): "true",
    },
    # A token is its person's: nobody makes one for somebody else (rule S-134), and none changes once it is made.
    "people_token": {("web", "SELECT"): _MINE, ("web", "INSERT"): _MINE, ("web", "DELETE"): _MINE},
}
UPDATE_COLUMNS: dict[str, tuple[str, ...]] = {
    "people_notice": ("seen_at",),
    "people_staff": ("has_notice", "must_change_password", "name", "password", "single_keys", "title"),
}
"""What web may change of tables where that is not every column."""
