"""The second lock of letters on their way out: who may write one, in whose name, and who sees it.

Applied with the rest of the wall (postern.mail.wall).
"""

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
        ("worker", "ALL"): _BOX,
    },
    "outbox_outgoingfile": {
        ("web", "SELECT"): "EXISTS (SELECT FROM outbox_delivery d WHERE d.id = {table}.delivery_id)",
        ("web", "INSERT"): _WRITES_FILE,
        ("web", "UPDATE"): _WRITES_FILE,
        ("web", "DELETE"): _AUTHORS_FILE,
        ("worker", "ALL"): _BOX,
    },
}
