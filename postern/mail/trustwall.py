"""What the database itself keeps and tells of certificates. Applied with the rest of the wall."""

_UNCHECKED = """EXISTS (SELECT FROM people_staff o WHERE o.id = owner_id AND o.is_active)
    AND (imap_skip_validation AND imap_host <> '' AND imap_security <> 'none'
    OR smtp_skip_validation AND smtp_host <> '' AND smtp_security <> 'none' AND NOT use_system_smtp)"""

FUNCTIONS = f"""
-- How many mailboxes have a server whose certificate is not checked: a number, for who decides whether they may.
CREATE OR REPLACE FUNCTION app.count_unchecked() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
  SELECT count(*) FROM mailboxes_mailbox WHERE app.is_super() AND {_UNCHECKED} $$;

-- The company allows it no longer: tell the owners whose mailboxes stop.
CREATE OR REPLACE FUNCTION app.tell_unchecked() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE box mailboxes_mailbox;
BEGIN
  IF NOT app.is_super() THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  FOR box IN SELECT * FROM mailboxes_mailbox WHERE {_UNCHECKED} ORDER BY id LOOP
    PERFORM app.tell(box.owner_id, format('Your company no longer allows connections to mail servers whose certificate '
      'is not checked. A server of your mailbox %s is one of them: Postern does not connect to it any more. Under My '
      'Profile, Email, switch “Don’t validate certificate” off, or ask for a certificate that holds.', box.address));
  END LOOP;
END $$;

-- A server showed another certificate than the one remembered: its mailbox's owner decides, and has to know.
CREATE OR REPLACE FUNCTION app.tell_changed(box bigint, host text, sha256 text) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE found mailboxes_mailbox;
BEGIN
  SELECT * INTO STRICT found FROM mailboxes_mailbox WHERE id = box;
  PERFORM app.tell(found.owner_id, format('The mail server “%s” of your mailbox %s shows another certificate than the '
    'one remembered, and nothing was sent to it. Ask whoever runs the server whether it has a new certificate; if so, '
    'accept it under My Profile, Email. It shows now, SHA-256: %s', host, found.address, sha256));
END $$;
"""  # noqa: S608  the condition above is ours

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {
    "app.count_unchecked()": ("web",),
    "app.tell_unchecked()": ("web",),
    "app.tell_changed(bigint, text, text)": ("sync", "send"),
}

_OWNED = "mailbox_id = ANY ((SELECT app.owned())::bigint[])"
_SUPER = "(SELECT app.is_super())"
_MOMENT = "at >= now() AND at <= clock_timestamp()"
WALLED: dict[str, dict[tuple[str, str], str]] = {
    # A line is about what the person themselves does now, to a mailbox of theirs or to what all may; nobody changes
    # or removes one. Super-administrators see them all: servers and fingerprints, no mail.
    "mailboxes_trustline": {
        ("web", "SELECT"): f"{_OWNED} OR {_SUPER}",
        ("web", "INSERT"): f"by_id = (SELECT app.me()) AND {_MOMENT} AND CASE WHEN mailbox_id IS NULL "
        f"THEN {_SUPER} ELSE {_OWNED} END",
    }
}
