"""The second lock of letters on their way out: who may write one, in whose name, and who sees it.

Who wrote one, and what went out, stays as it was: a trigger, since the pages save whole rows. Applied with the rest
of the wall (postern.mail.wall).
"""

FUNCTIONS = """
-- Nobody becomes the author of another's letter. What is on its way or out, the pages' role no longer changes; of a letter in
-- somebody's name, the owner of the mailbox changes only what becomes of it. The customer may be deleted at any time.
CREATE OR REPLACE FUNCTION app.keep_letter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  fate text[] := '{state,code,problem,advice,server_text,send_at,give_up_at,date,raw,message_id,key,key_digest,customer_id,updated_at}';
  changes boolean := false;
BEGIN
  IF current_user NOT IN ('postern_web', 'postern_sync', 'postern_send') THEN RETURN NEW; END IF;
  IF (NEW.author_id, NEW.created_at) <> (OLD.author_id, OLD.created_at) THEN changes := true;
  ELSIF current_user = 'postern_web' THEN
    IF OLD.state IN ('sending', 'accepted') THEN
      changes := to_jsonb(NEW) - '{customer_id,updated_at}'::text[] <> to_jsonb(OLD) - '{customer_id,updated_at}'::text[];
    ELSIF OLD.author_id IS DISTINCT FROM app.me() THEN
      changes := to_jsonb(NEW) - fate <> to_jsonb(OLD) - fate OR NEW.state NOT IN ('held', OLD.state)
        OR NEW.raw <> OLD.raw OR (OLD.raw IS NULL AND NEW.raw IS NOT NULL) OR NEW.message_id NOT IN ('', OLD.message_id);
    END IF;
  END IF;
  IF changes THEN RAISE EXCEPTION 'not allowed' USING ERRCODE = 'insufficient_privilege'; END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER keep_letter BEFORE UPDATE ON outbox_delivery FOR EACH ROW EXECUTE FUNCTION app.keep_letter();
"""

FUNCTION_RIGHTS: dict[str, tuple[str, ...]] = {"app.keep_letter()": ()}

_OWNED = "mailbox_id = ANY ((SELECT app.owned())::bigint[])"
_BOX = "mailbox_id = (SELECT app.box())"

# A letter is written by the owner of its mailbox, or by a reader who may answer the message it answers.
_WRITES = """{d}.author_id = (SELECT app.me()) AND ({d}.mailbox_id = ANY ((SELECT app.owned())::bigint[])
  OR (NOT {d}.forward AND EXISTS (SELECT FROM mail_message m WHERE m.id = {d}.answers_id
    AND m.mailbox_id = {d}.mailbox_id AND m.deleted_at IS NULL
    AND m.wall_key = ANY ((SELECT app.answerable())::bigint[]))))"""
_WRITES_IT = _WRITES.replace("{d}", "outbox_delivery")
# A letter names no message but those its writer sees: whether the foreign key holds would tell (rule S-073).
_SEES = (
    "(outbox_delivery.{0} IS NULL OR EXISTS (SELECT FROM mail_message m WHERE m.id = outbox_delivery.{0}))"
)
_NAMES_SEEN = f"{_SEES.format('answers_id')} AND {_SEES.format('sent_id')}"
# What a reader wrote is the owner's to see as soon as it was sent off; before that it is its author's.
_SENT_FOR_ME = f"{_OWNED} AND state <> 'draft'"
_WRITES_FILE = f"""EXISTS (SELECT FROM outbox_delivery d WHERE d.id = {{table}}.delivery_id
  AND ({{table}}.{_OWNED} OR {{table}}.mailbox_id = d.mailbox_id) AND {_WRITES.replace("{d}", "d")})"""
_AUTHORS_FILE = """EXISTS (SELECT FROM outbox_delivery d WHERE d.id = {table}.delivery_id
  AND d.author_id = (SELECT app.me()))"""

WALLED: dict[str, dict[tuple[str, str], str]] = {
    "outbox_delivery": {
        ("web", "SELECT"): f"({_SENT_FOR_ME}) OR ({_WRITES_IT})"
        " OR (author_id = (SELECT app.me()) AND state IN ('draft', 'queued', 'failed', 'held'))",
        ("web", "INSERT"): f"{_WRITES_IT} AND {_NAMES_SEEN}",
        ("web", "UPDATE"): f"(({_SENT_FOR_ME}) OR ({_WRITES_IT})) AND {_NAMES_SEEN}",
        ("web", "DELETE"): "author_id = (SELECT app.me()) AND state IN ('draft', 'failed', 'held')",
        ("worker", "SELECT"): _BOX,
        ("worker", "UPDATE"): _BOX,
    },
    "outbox_outgoingfile": {
        ("web", "SELECT"): "EXISTS (SELECT FROM outbox_delivery d WHERE d.id = {table}.delivery_id)",
        ("web", "INSERT"): _WRITES_FILE,
        ("web", "UPDATE"): _WRITES_FILE,
        ("web", "DELETE"): _AUTHORS_FILE,
        ("send", "SELECT"): _BOX,
        ("send", "DELETE"): _BOX,
    },
}
