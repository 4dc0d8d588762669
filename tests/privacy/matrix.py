"""Who may do what: a row for every page and every operation of the API, an outcome for every actor.

test_matrix.py holds the program to it; a route or a method without its row fails. Outcomes:

  sees     success, and the owner's private words are shown
  done     success, about one's own things or the company's
  refused  an honest 4xx that is about one's own things; nothing is written
  absent   404, byte for byte as for an id that never was; nothing is written
  same     as for an id that never was, whatever that answers; nothing is written
  door     the way to sign in (401 by the API); nothing is written

Whatever the outcome: the words of the owner's mail reach only the owner and their readers, the words that
are the owner's alone only the owner, those of an answer in the owner's name only its author, and the owner
once it is sent off. Nobody but the owner changes a row of the owner's mailbox, except the author of such an
answer the rows of that answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

ACTORS = ("owner", "reader", "answerer", "noimap", "colleague", "boss", "stranger")
"""The answerer is a reader who may answer in the owner's name."""

# One outcome for each actor, in that order.
MAIL = ("sees", "sees", "sees", "absent", "absent", "absent", "door")
MAIL_DONE = ("done", "done", "done", "absent", "absent", "absent", "door")
MAIL_LIST = ("sees", "sees", "sees", "done", "done", "done", "door")
MAY_ANSWER = ("done", "absent", "done", "absent", "absent", "absent", "door")
OWNER_SEES = ("sees", "absent", "absent", "absent", "absent", "absent", "door")
OWNER_DOES = ("done", "absent", "absent", "absent", "absent", "absent", "door")
OWNER_DOES_SAME = ("done", "same", "same", "same", "same", "same", "door")
OWN_LIST = ("sees", "done", "done", "done", "done", "done", "door")
ANSWERER_SEES = ("absent", "absent", "sees", "absent", "absent", "absent", "door")
ANSWERER_DOES = ("absent", "absent", "done", "absent", "absent", "absent", "door")
BOTH_SEE = ("sees", "absent", "sees", "absent", "absent", "absent", "door")
BOTH_DO = ("done", "absent", "done", "absent", "absent", "absent", "door")
AUTHOR_DOES = ("refused", "absent", "done", "absent", "absent", "absent", "door")
WRITERS_LIST = ("sees", "done", "sees", "done", "done", "done", "door")
HAS_MAILBOX = ("done", "done", "done", "absent", "done", "absent", "door")
MAY_WRITE = ("done", "done", "done", "refused", "done", "refused", "door")
STAFF = ("done", "done", "done", "done", "done", "done", "door")
SUPER = ("absent", "absent", "absent", "absent", "absent", "done", "door")
NOBODY = ("absent",) * 7
EVERYBODY = ("done",) * 7
SOON = str(date.today() + timedelta(days=30))
WHY = "The customers wait for answers."
SUPER_REFUSED = (*("absent",) * 5, "refused", "door")
ALL_REFUSED = ("refused",) * 6 + ("door",)


@dataclass(frozen=True)
class Row:
    """One request. `ids` fill the route's placeholders: a name of the scene, or "=" and the text itself."""

    outcome: tuple[str, ...]
    method: str = "GET"
    ids: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    query: str = ""
    file: str = ""
    """The field of an upload."""
    headers: tuple[tuple[str, str], ...] = ()
    """What htmx sends along, where a view reads it."""


def get(outcome: tuple[str, ...], *ids: str, query: str = "") -> Row:
    return Row(outcome, "GET", ids, query=query)


def post(outcome: tuple[str, ...], *ids: str, file: str = "", **body: Any) -> Row:
    return Row(outcome, "POST", ids, body, file=file)


def send(method: str, outcome: tuple[str, ...], *ids: str, **body: Any) -> Row:
    return Row(outcome, method, ids, body)


def htmx(row: Row, name: str = "Request", value: str = "true") -> Row:
    """The same request sent by htmx."""
    return replace(row, headers=((f"HX-{name}", value),))


def both(*rows: Row) -> list[Row]:
    """Each as a browser sends it, and as htmx does."""
    return [*rows, *map(htmx, rows)]


BESIDE = ("sees", "sees", "sees", "same", "same", "same", "door")
"""The list beside an open message, asked for again: whatever the message, nothing of it is in it."""
AHEAD = ("sees", "absent", "absent", "absent", "absent", "absent", "door")
"""What htmx asks ahead of the person."""

WEB: dict[str, list[Row]] = {
    # The shell
    "home": [get(STAFF)],
    "sign-in": [get(EVERYBODY), post((*("done",) * 6, "refused"))],
    "sign-out": [post(EVERYBODY)],
    "first-password": [
        get(STAFF),
        post(STAFF, new_password1="a long pass phrase", new_password2="a long pass phrase"),
    ],
    "notices": [get(STAFF), post(STAFF, upto="999999")],
    "theme": [post(EVERYBODY)],
    "jump": both(get(MAIL_LIST, query="?q=stripe")),
    "live": [get(STAFF)],
    "font": [get(EVERYBODY)],
    # Messages
    "inbox": [get(MAIL_LIST), get(MAIL_LIST, query="?show=unknown"), get(MAIL_LIST, query="?q=stripe")],
    "message": [
        get(MAIL, "known"),
        get(MAIL, "unknown"),
        get(MAIL_DONE, "confided"),
        htmx(get(BESIDE, "known"), "Target", "list"),
        htmx(get(AHEAD, "known"), "Preloaded"),
    ],
    "sent": [get(MAIL_LIST)],
    "sent-message": [
        get(MAIL, "sent"),
        htmx(get(BESIDE, "sent"), "Target", "totals"),
        htmx(get(AHEAD, "sent"), "Preloaded"),
    ],
    "blocked": [get(OWN_LIST)],
    "unblock": [post(OWNER_DOES, "entry")],
    "check-now": [post(STAFF)],
    "message-body": [get(MAIL, "known"), htmx(get(AHEAD, "known"), "Preloaded")],
    "message-source": [get(MAIL, "known"), get(MAIL, "sent"), htmx(get(AHEAD, "known"), "Preloaded")],
    "message-download": [get(MAIL, "known"), get(MAIL, "sent")],
    "attachment": [get(MAIL, "known", "file"), htmx(get(AHEAD, "known", "file"), "Preloaded")],
    "act": [
        get(OWNER_SEES, "unknown", "=pair"),
        get(OWNER_SEES, "unknown", "=add"),
        get(OWNER_SEES, "unknown", "=block"),
        get(OWNER_SEES, "unknown", "=delete"),
        post(OWNER_DOES, "unknown", "=pair", customer="{customer}"),
        post(OWNER_DOES, "unknown", "=add", name="New", kind="lead"),
        post(OWNER_DOES, "unknown", "=block", what="domain", remove="on"),
        post(OWNER_DOES, "unknown", "=delete", trash="on"),
        post(OWNER_DOES, "unknown", "=unread"),
        post(OWNER_DOES, "known", "=unpair"),
        post((*NOBODY[:6], "door"), "known", "=nothing"),
    ],
    "undo": both(post(OWNER_DOES_SAME, "action")),
    # One conversation, shared by name
    "share": [
        post(OWNER_DOES, "known", colleague="{colleague}"),
        post(OWNER_DOES, "confided", colleague="0"),
    ],
    "share-remove": [post(OWNER_DOES, "confided", "confidant")],
    "share-add": [post(OWNER_DOES, "aside")],
    "share-take-out": [post(OWNER_DOES, "added")],
    "events": [get(STAFF)],
    "communication": [get(MAIL_LIST, "customer"), get(MAIL_LIST, "customer", query="?thread={thread}")],
    # Writing
    "compose": [get(STAFF), post(MAY_WRITE, to="a@b.example", subject="Hello", do="save")],
    "draft": [
        get(OWNER_SEES, "draft"),
        get(OWNER_SEES, "queued"),
        get(ANSWERER_SEES, "answer"),
        get(BOTH_SEE, "answer_queued"),
        post(OWNER_DOES, "draft", to="a@b.example", subject="Changed", do="save"),
        post(ANSWERER_DOES, "answer", to="a@b.example", subject="Changed", do="save"),
    ],
    "compose-attach": [post(OWNER_DOES, "draft", file="file"), post(ANSWERER_DOES, "answer", file="file")],
    "compose-detach": [
        post(OWNER_DOES, "draft", "outgoing"),
        post(ANSWERER_DOES, "answer", "answer_file"),
    ],
    "compose-discard": [
        post(OWNER_DOES, "draft"),
        post(ANSWERER_DOES, "answer"),
        post(ANSWERER_DOES, "answer_failed"),
    ],
    "compose-undo": both(post(OWNER_DOES, "queued"), post(BOTH_DO, "answer_queued")),
    "compose-settle": [
        post(OWNER_DOES, "unsure", arrived="no"),
        post(BOTH_DO, "answer_unsure", arrived="no"),
    ],
    "compose-reply": [post(MAY_ANSWER, "known"), post(MAY_ANSWER, "unknown")],
    "compose-forward": [post(OWNER_DOES, "known")],
    "drafts": [get(WRITERS_LIST)],
    # My Profile
    "profile": [get(OWN_LIST), post(STAFF, name="Renamed")],
    "profile-password": [post(ALL_REFUSED, old_password="wrong", new_password1="x", new_password2="x")],
    "profile-consent": [
        post(STAFF, successor="anyone", customers_only="on"),
        post(STAFF, successor="none"),
    ],
    "profile-tokens": [post(STAFF, name="script")],
    "token-remove": [post(OWNER_DOES, "token")],
    "profile-email": [get(OWN_LIST), post(STAFF, address="mine@isp.example")],
    "deny-preview": [post(STAFF, deny_list="stripes.example")],
    "mailbox-resume": [post(HAS_MAILBOX)],
    "mailbox-compare": [post(HAS_MAILBOX)],
    "mailbox-certificate": [post(HAS_MAILBOX, sha256="cd" * 32)],
    "probe-start": both(
        post(MAY_WRITE, probe="imap"),
        post((*("absent",) * 5, "refused", "door"), probe="system"),
    ),
    "probe": [get(OWNER_SEES, "probe")],
    "access-give": [post(STAFF, reader="{colleague}"), post(STAFF, reader="{reader}", may_reply="on")],
    "access-remove": [post(OWNER_DOES, "grant")],
    "reader-log": [get(OWN_LIST), get(OWN_LIST, query="?message={known}")],
    "reader-log-csv": [get(OWN_LIST)],
    "reader-log-digest": [post(STAFF, mailbox="{mailbox}", zone="Europe/Berlin")],
    # Customers and leads belong to all administrators
    "customers": [get(STAFF, query="?q=brandt")],
    "leads": [get(STAFF)],
    "customer-new": [get(STAFF), post(STAFF, kind="lead", name="New", status="new", email="n@new.example")],
    "customers-import": [get(STAFF), post(STAFF, file="file")],
    "customer": [get(STAFF, "customer")],
    "customer-edit": [
        get(STAFF, "customer"),
        post(STAFF, "customer", kind="customer", name="Brandt", number="77", status="active"),
    ],
    "customer-convert": [post(STAFF, "lead")],
    "address-add": [post(STAFF, "customer", email="new@brandt-bakery.example", kind="other")],
    "address-change": [post(STAFF, "customer", "address", kind="billing")],
    "address-remove": [post(STAFF, "customer", "address")],
    # Config
    "config": [get(SUPER)],
    "config-email": [get(SUPER), post(SUPER, sender_name="Office", smtp_port="465", hourly_limit="0")],
    "administrators": [get(SUPER), post(SUPER, name="New", email="new@isp.example", role="admin")],
    "administrator": [
        get(SUPER, "colleague"),
        get(SUPER, "gone"),
        post(SUPER, "colleague", name="Renamed", role="admin"),
    ],
    "administrator-disable": [get(SUPER, "colleague"), post(SUPER, "colleague")],
    "administrator-enable": [post(SUPER, "gone")],
    "administrator-first-password": [post(SUPER, "fresh"), post(SUPER_REFUSED, "colleague")],
    "handover": [
        post(SUPER, "gone", successor="{colleague}", until=SOON, reason=WHY),
        post(SUPER_REFUSED, "gone", successor="{boss}", until=SOON, reason=WHY),
        post(SUPER_REFUSED, "owner", successor="{colleague}", until=SOON, reason=WHY),
    ],
    "handover-end": [post(SUPER, "gone")],
    # Setting up: closed as soon as there is an administrator
    "first-run": [
        get(NOBODY),
        post(NOBODY, name="Evil", email="e@evil.example", password="a long pass phrase"),
    ],
    "demo-sign-in": [get(NOBODY, "=token")],
}

API: dict[str, list[Row]] = {
    # Messages
    "list_inbox": [get(MAIL_LIST), get(MAIL_LIST, query="?q=stripe&show=unknown")],
    "list_sent": [get(MAIL_LIST)],
    "count_messages": [get(STAFF)],
    "check_mail": [post(STAFF)],
    "get_message": [get(MAIL, "known"), get(MAIL, "unknown"), get(MAIL, "sent")],
    "mark_message_read": [post(MAIL_DONE, "known")],
    "get_message_source": [get(MAIL, "known"), get(MAIL, "sent")],
    "get_attachment": [get(MAIL, "known", "file")],
    "suggest_customers": [get(OWNER_DOES, "unknown")],
    "get_conversation": [get(MAIL, "thread"), get(MAIL_DONE, "confided_thread")],
    # One conversation, shared by name
    "list_shares": [get(OWNER_DOES, "confided_thread"), get(OWNER_DOES, "thread")],
    "share_conversation": [
        send("PUT", OWNER_DOES, "thread", "colleague"),
        send("PUT", OWNER_DOES, "confided_thread", "confidant", ends_at="2199-01-01T00:00:00Z"),
    ],
    "take_back_share": [send("DELETE", OWNER_DOES, "confided_thread", "confidant")],
    "add_to_conversation": [post(OWNER_DOES, "aside")],
    "take_out_of_conversation": [post(OWNER_DOES, "added")],
    "act_on_message": [
        post(OWNER_DOES, "unknown", "=pair", customer="{customer}"),
        post(OWNER_DOES, "unknown", "=add", name="New", kind="lead"),
        post(OWNER_DOES, "unknown", "=block", what="domain", remove=True),
        post(OWNER_DOES, "unknown", "=delete", trash=True),
        post(OWNER_DOES, "known", "=unpair"),
        post(MAIL_DONE, "unknown", "=unread"),
        post((*NOBODY[:6], "door"), "known", "=nothing"),
    ],
    "undo_action": [post(OWNER_DOES, "action")],
    "list_blocked": [get(OWN_LIST)],
    "unblock": [send("DELETE", OWNER_DOES, "entry")],
    # Writing
    "list_deliveries": [get(WRITERS_LIST), get(WRITERS_LIST, query="?customer={customer}")],
    "new_draft": [post(MAY_WRITE, to="a@b.example", subject="Hello"), post(OWNER_DOES, mailbox="{mailbox}")],
    "reply": [post(MAY_ANSWER, "known", to_all=True)],
    "forward": [post(OWNER_DOES, "known")],
    "get_delivery": [
        get(OWNER_SEES, "draft"),
        get(OWNER_SEES, "queued"),
        get(ANSWERER_SEES, "answer"),
        get(BOTH_SEE, "answer_queued"),
    ],
    "save_draft": [
        send("PATCH", OWNER_DOES, "draft", subject="Changed"),
        send("PATCH", ANSWERER_DOES, "answer", subject="Changed"),
    ],
    "discard_draft": [
        send("DELETE", OWNER_DOES, "draft"),
        send("DELETE", ANSWERER_DOES, "answer"),
        send("DELETE", AUTHOR_DOES, "answer_failed"),
    ],
    "attach_file": [post(OWNER_DOES, "draft", file="file"), post(ANSWERER_DOES, "answer", file="file")],
    "get_outgoing_file": [
        get(OWNER_SEES, "draft", "outgoing"),
        get(ANSWERER_SEES, "answer", "answer_file"),
    ],
    "detach_file": [
        send("DELETE", OWNER_DOES, "draft", "outgoing"),
        send("DELETE", ANSWERER_DOES, "answer", "answer_file"),
    ],
    "send": [
        post(OWNER_DOES, "draft", undo_seconds=60),
        post(ANSWERER_DOES, "answer", undo_seconds=60),
        post(AUTHOR_DOES, "answer_failed", undo_seconds=60),
    ],
    "undo_send": [post(OWNER_DOES, "queued"), post(BOTH_DO, "answer_queued")],
    "settle_delivery": [
        post(OWNER_DOES, "unsure", arrived=False),
        post(BOTH_DO, "answer_unsure", arrived=False),
    ],
    # Customers and leads belong to all administrators
    "list_customers": [get(STAFF, query="?q=brandt")],
    "add_customer": [post(STAFF, name="New", email="n@new.example")],
    "import_customers": [post(STAFF, file="file")],
    "get_customer": [get(STAFF, "customer")],
    "change_customer": [send("PATCH", STAFF, "customer", name="Brandt")],
    "convert_lead": [post(STAFF, "lead")],
    "add_address": [post(STAFF, "customer", email="new@brandt-bakery.example")],
    "change_address": [send("PATCH", STAFF, "customer", "address", kind="billing")],
    "remove_address": [send("DELETE", STAFF, "customer", "address")],
    "get_communication": [get(MAIL_LIST, "customer")],
    # My Profile
    "get_me": [get(STAFF)],
    "change_me": [send("PATCH", STAFF, name="Renamed")],
    "get_consent": [get(STAFF)],
    "set_consent": [send("PUT", STAFF, agreed=True, customers_only=False)],
    "list_notices": [get(STAFF)],
    "read_notices": [post(STAFF, upto=999999)],
    "list_colleagues": [get(STAFF)],
    "list_mailboxes": [get(OWN_LIST)],
    "add_mailbox": [post(STAFF, address="second@isp.example")],
    "get_mailbox": [get(OWNER_SEES, "mailbox")],
    "change_mailbox": [send("PATCH", OWNER_DOES, "mailbox", tracking=False)],
    "get_health": [get(OWNER_SEES, "mailbox")],
    "resume_mailbox": [post(OWNER_DOES, "mailbox")],
    "compare_mailbox": [post(OWNER_DOES, "mailbox")],
    "list_certificate_log": [get(OWNER_DOES, "mailbox")],
    "accept_certificate": [post(OWNER_DOES, "mailbox", sha256="ab" * 32)],
    "preview_deny_list": [post(OWNER_DOES, "mailbox", deny_list="stripes.example")],
    "get_ledger": [get(OWNER_SEES, "mailbox")],
    "get_company_server": [get(STAFF)],
    "get_provider_hint": [get(STAFF, query="?address=x@gmail.com")],
    "list_readers": [get(OWNER_DOES, "mailbox")],
    "grant_access": [
        send("PUT", OWNER_DOES, "mailbox", "colleague"),
        send("PUT", OWNER_DOES, "mailbox", "reader", may_reply=True),
    ],
    "revoke_access": [send("DELETE", OWNER_DOES, "mailbox", "reader")],
    "list_reader_log": [get(OWN_LIST), get(OWN_LIST, query="?reader={reader}&customer={customer}")],
    "get_digest": [get(OWNER_DOES, "mailbox")],
    "choose_digest": [send("PUT", OWNER_DOES, "mailbox", wanted=True, time_zone="Europe/Berlin")],
    "probe_settings": [
        post(
            STAFF,
            kind="imap",
            settings={"imap_host": "127.0.0.1", "imap_username": "x", "imap_password": "y"},
        )
    ],
    "probe_mailbox": [post(OWNER_DOES, "mailbox", kind="imap")],
    "get_probe": [get(OWNER_SEES, "probe")],
    # Config
    "get_system_email": [get(SUPER)],
    "list_all_certificates": [get(SUPER)],
    "change_system_email": [send("PATCH", SUPER, sender_name="Office")],
    "probe_system_email": [
        post(SUPER, settings={"smtp_host": "127.0.0.1", "smtp_username": "x", "smtp_password": "y"})
    ],
    "list_administrators": [get(SUPER)],
    "add_administrator": [post(SUPER, name="New", email="new@isp.example")],
    "renew_first_password": [post(SUPER, "fresh"), post(SUPER_REFUSED, "colleague")],
    "change_administrator": [send("PATCH", SUPER, "colleague", title="Care")],
    "list_handovers": [get(SUPER)],
    "hand_over": [
        post(SUPER, "gone", successor="{colleague}", ends_at=f"{SOON}T12:00:00Z", reason=WHY),
        post(SUPER_REFUSED, "gone", successor="{boss}", ends_at=f"{SOON}T12:00:00Z", reason=WHY),
        post(SUPER_REFUSED, "owner", successor="{colleague}", ends_at=f"{SOON}T12:00:00Z", reason=WHY),
    ],
    "end_handover": [send("DELETE", SUPER, "gone")],
    # Tokens
    "list_tokens": [get(OWN_LIST)],
    "make_token": [post(STAFF, name="script")],
    "revoke_token": [send("DELETE", OWNER_DOES, "token")],
}
