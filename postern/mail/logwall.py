"""The second lock of the reader log and of its daily digest. Applied with the rest of the wall (postern.mail.wall)."""

FUNCTIONS = """
-- The lines of the log of the mailbox a worker is at, after one of them: the digest's only look at it. Whoever is
-- writing a line finishes first, so that none comes later with a lower number than the last one told.
CREATE OR REPLACE FUNCTION app.openings_since(after bigint, most bigint) RETURNS SETOF mail_opening LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '5s' AS $$
BEGIN
  LOCK TABLE mail_opening IN SHARE MODE;
  RETURN QUERY SELECT o.* FROM mail_opening o WHERE o.mailbox_id = app.box() AND o.id > after ORDER BY o.id LIMIT most;
END $$;
"""

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {"app.openings_since(bigint, bigint)": ("send",)}

_BOX = "mailbox_id = (SELECT app.box())"
_OWNED = "mailbox_id = ANY ((SELECT app.owned())::bigint[])"
_SAME_BOX = "EXISTS (SELECT FROM mail_message m WHERE m.id = {table}.message_id AND m.mailbox_id = {table}.mailbox_id)"
_OPENS = f"reader_id = (SELECT app.me()) AND at = now() AND NOT ({_OWNED}) AND {_SAME_BOX}"
WALLED: dict[str, dict[tuple[str, str], str]] = {
    # A reader adds a line about themselves, now, for mail of somebody else that they see; nobody changes or removes
    # one, and only the owner reads it.
    "mail_opening": {("web", "SELECT"): _OWNED, ("web", "INSERT"): _OPENS},
    "mail_digest": {
        ("web", "SELECT"): _OWNED,
        ("web", "INSERT"): _OWNED,
        ("web", "UPDATE"): _OWNED,
        ("worker", "SELECT"): _BOX,
        ("send", "UPDATE"): _BOX,
    },
}
