"""Exports, counts, health, logs and previews: each is its owner's, or tells nothing of anybody (S-138, S-059)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.models import Opening, Sighting
from postern.mail.pairing import file_by_hand
from postern.mail.sharing import share
from postern.mailboxes.models import DenyEntry, MailboxHealth, Probe, Reader
from postern.outbox.models import Delivery
from postern.people.models import Customer, Staff, Token
from tests.api.caller import Caller
from tests.privacy import matrix
from tests.privacy.scene import content_of
from tests.privacy.test_matrix import OPERATIONS, PAGES
from tests.web.browser import Browser
from tests.world import NOON, World, arrive, letter, make_folder, make_world

# Every page and operation that exports, counts, measures, logs or erases, and whose what it tells is. There are no
# metrics, no webhooks, no insights and no erasure yet: the first of them fails here until it is decided.
KINDS = re.compile(
    "exports?|csv|counts?|metrics?|health|insights?|reports?|statistics|stats|erase|erasure|webhooks?|log|ledger|download"
    "|import|live|backup|digest"
)
OWN, MAIL, COMPANYS = "of the own mailboxes", "of a message that one may read", "nobody's mail"
SURFACES = {
    "live": OWN,
    "reader-log": OWN,
    "reader-log-csv": OWN,
    "reader-log-digest": OWN,
    "message-download": MAIL,
    "customers-import": COMPANYS,
    "count_messages": OWN,
    "get_health": OWN,
    "get_ledger": OWN,
    "get_digest": OWN,
    "choose_digest": OWN,
    "list_reader_log": OWN,
    "list_certificate_log": OWN,
    "import_customers": COMPANYS,
}
OUTCOMES = {
    OWN: {matrix.OWN_LIST, matrix.OWNER_SEES, matrix.OWNER_DOES, matrix.STAFF},
    MAIL: {matrix.MAIL, matrix.MAIL_DONE},
    COMPANYS: {matrix.STAFF},
}
PREVIEWS = {"deny-preview", "preview_deny_list", "suggest_customers", "get_provider_hint"}
"""All that show in advance what something would do; the forms of an action are in the matrix under `act`."""
NOT_THERE = [
    "/metrics", "/metrics/", "/health", "/healthz", "/status/", "/stats/", "/admin/", "/debug/", "/export/", "/insights/",
    "/api/v1/metrics", "/api/v1/health", "/api/v1/export", "/api/v1/insights", "/api/v1/webhooks", "/api/v1/stats",
]  # fmt: skip


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    return make_world(acting_as)


def browser(staff: Staff | None) -> Browser:
    client = Browser(raise_request_exception=False)
    if staff is not None:
        client.force_login(staff)
    return client


@pytest.mark.rule("S-138")
def test_s138_every_export_count_and_log_is_listed_with_whose_it_is():
    named = {name for name in (*PAGES, *OPERATIONS) if any(map(KINDS.fullmatch, re.split("[-_]", name)))}
    assert named == SURFACES.keys()
    for name, whose in SURFACES.items():
        rows = matrix.WEB.get(name) or matrix.API[name]
        assert {row.outcome for row in rows} <= OUTCOMES[whose], name
    assert {
        name for name in (*PAGES, *OPERATIONS) if re.search("preview|suggest|template|signature|hint", name)
    } == PREVIEWS


def surfaces(world: World) -> list[tuple[str, str]]:
    """(name, address) of every page and operation that reads and names no mail: lists, counts, Config, people."""
    ids = {"customer": world.customer.pk, "colleague": world.colleague.pk, "reader": world.reader.pk}
    ids |= {"owner": world.owner.pk, "known": 0}
    found = []
    for name, rows in (*matrix.WEB.items(), *matrix.API.items()):
        for row in rows:
            if (
                row.method != "GET"
                or not set(row.ids) <= ids.keys() - {"known"}
                or name in ("events", "font")
            ):
                continue
            path = PAGES.get(name) or OPERATIONS[name][1]
            query = row.query
            for part in row.ids:
                path = re.sub(r"<[^>]+>|\{[^}]+\}", str(ids[part]), path, count=1)
            for part, pk in ids.items():
                query = query.replace(f"{{{part}}}", str(pk))
            found.append((name, path + re.sub(r"\{\w+\}", "0", query)))
    return found


FOR_STRANGERS = ("sign-in", "first-run", "inbox", "config", "count_messages", "list_administrators")
_KEY = re.compile(rb'(name="key" value=")[^"]+|"used_at": ?"[^"]+"')
"""New in every answer: the composer's key against sending twice, and that a token was used a moment ago."""


def plain(response: Any) -> bytes:
    return _KEY.sub(b"", content_of(response))


def told(staff: Staff | None, program: Caller, world: World, acting_as: Any) -> dict[str, bytes]:
    """What every surface tells somebody."""
    cache.clear()  # tokens that do not work are counted there
    with acting_as("superuser"):
        Token.objects.update(used_at=None, created_at=NOON - timedelta(days=400))  # not "2 s ago"
    page = browser(staff)
    answers = {}
    for name, path in surfaces(world):
        if staff is None and name not in FOR_STRANGERS:
            continue
        api = path.startswith("/api/v1")
        response = program.get(path.removeprefix("/api/v1")) if api else page.get(path)
        assert response.status_code in (200, 302, 401, 404), path
        answers[path] = plain(response)
    return answers


def live_a_little(world: World, acting_as: Any) -> None:
    """The owner's days: letters, filing, answers that fail, tests, a sick mailbox, readers who look, a share, a block."""
    stripes = [letter(sender="Zebra <z@stripes.example>", subject=f"stripe {n}") for n in range(3)]
    first, *_ = arrive(acting_as, world.inbox, *stripes, letter(subject="stripe known"))
    arrive(acting_as, world.sent, letter(sender="owner@isp.example", to="greta@brandt-bakery.example"))
    box = world.mailbox
    with viewing_as(world.owner):
        file_by_hand(message=first, customer=world.customer)
        share(staff=world.owner, conversation=first.conversation_id, colleague=world.reader)
    with acting_as("superuser"):
        for state in ("draft", "failed", "queued", "held", "unknown", "accepted"):
            Delivery.objects.create(
                mailbox=box, author=world.owner, state=state, customer=world.customer, subject="z"
            )
        MailboxHealth.objects.create(
            mailbox=box, state="failed", message="zebra", code="zebra", total=9, done=3
        )
        Probe.objects.create(staff=world.owner, mailbox=box, kind="imap", state="failed")
        DenyEntry.objects.create(mailbox=box, pattern="stripes.example")
        Sighting.objects.create(
            mailbox=box, folder=world.inbox, uidvalidity=7, uid=70, outcome="denied", reason="z"
        )
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
        Opening.objects.create(
            at=timezone.now(), mailbox=box, message_id=first.pk, conversation_id=first.conversation_id,
            reader_id=world.reader.pk, reader_name="Zebra", what="body", door="page", subject="stripe", outgoing=False,
            received_at=timezone.now(), customers=[world.customer.pk],
        )  # fmt: skip


@pytest.mark.rule("S-138")
def test_s138_nothing_that_lists_counts_or_exports_moves_with_anothers_mail(world, acting_as):
    """A super-administrator, who sees all of Config and everybody's page there, and nobody at all: the same bytes."""
    programs = {world.boss: Caller(world.boss), None: Caller(token="made-up")}
    before = {staff: told(staff, program, world, acting_as) for staff, program in programs.items()}
    assert len(before[world.boss]) > 40
    live_a_little(world, acting_as)
    for staff, program in programs.items():
        for path, answer in told(staff, program, world, acting_as).items():
            assert answer == before[staff][path], (staff, path)
    owner = browser(world.owner)
    assert b"stripe" in owner.get("/messages/inbox/").content, "and there was something to tell"
    assert b"Zebra" in owner.get("/profile/reader-log.csv").content


@pytest.mark.rule("S-138")
def test_s138_there_is_no_door_for_machines_that_counts_without_a_person(world):
    """Nothing is there for a stranger, nor for a super-administrator with a session or a token."""
    boss, program = browser(world.boss), Caller(world.boss)
    for path in NOT_THERE:
        assert browser(None).get(path, follow=True).status_code == 404, path
        assert boss.get(path, follow=True).status_code == 404, path
        if path.startswith("/api"):
            assert program.get(path.removeprefix("/api/v1")).status_code == 404, path


def previews(world: World, message: int) -> dict[str, bytes]:
    """What each preview tells the colleague, about addresses and ids of the owner's and about their own letter."""
    page, program = browser(world.colleague), Caller(world.colleague)
    own = world.colleague_mailbox.pk
    deny = "stripes.example\nz@stripes.example\nbrandt-bakery.example"
    asked = {
        "deny-preview": page.post("/profile/email/deny/", {"deny_list": deny}),
        "preview_deny_list": program.post(f"/mailboxes/{own}/deny-list/preview", {"deny_list": deny}),
        "suggest_customers": program.get(f"/messages/{message}/suggestions"),
        "block": page.get(f"/messages/{message}/do/block/"),
        "delete": page.get(f"/messages/{message}/do/delete/"),
        "pair": page.get(f"/messages/{message}/do/pair/"),
        "add": page.get(f"/messages/{message}/do/add/"),
        "letter": page.get(f"/messages/inbox/{message}/"),
    }
    for number, address in enumerate(
        ("z@stripes.example", "owner@isp.example", "greta@brandt-bakery.example")
    ):
        asked[f"hint {number}"] = program.get(f"/provider-hint?address={address}")
        asked[f"compose {number}"] = page.get("/compose/", {"to": address, "customer": world.customer.pk})
        asked[f"new {number}"] = page.get("/customers/new/", {"email": address})
        asked[f"jump {number}"] = page.get("/jump/", {"q": address})
    refused = {name: answer.status_code for name, answer in asked.items() if answer.status_code != 200}
    assert set(refused) <= {"hint 0", "hint 1", "hint 2"}, refused  # no provider that is known
    return {name: plain(answer) for name, answer in asked.items()}


@pytest.mark.rule("S-059")
def test_s059_a_preview_knows_what_its_reader_knows(world, acting_as):
    """With addresses and an own letter of somebody with whom the owner writes, files and blocks: as before they did."""
    with acting_as("superuser"):
        theirs = make_folder(world.colleague_mailbox)
        Customer.objects.create(name="Nobody's")
    [own] = arrive(
        acting_as,
        theirs,
        letter(sender="Zebra <z@stripes.example>", to="colleague@isp.example", subject="own"),
    )
    previews(world, own.pk)  # the letter is read from now on, which the sidebar counts
    before = previews(world, own.pk)
    assert b"own" in before["letter"]
    live_a_little(world, acting_as)
    after = previews(world, own.pk)
    for name, answer in after.items():
        assert answer == before[name], name


@pytest.mark.rule("S-059")
def test_s059_previews_by_id_of_what_is_anothers_are_of_what_is_not_there(world, acting_as):
    [theirs] = arrive(acting_as, world.inbox, letter(sender="Zebra <z@stripes.example>", subject="stripe"))
    with acting_as("superuser"):
        draft = Delivery.objects.create(mailbox=world.mailbox, author=world.owner, subject="stripe")
    page, program = browser(world.colleague), Caller(world.colleague)
    box, missing = world.mailbox.pk, 999_999

    def same(*answers: Any) -> None:
        assert answers[0].status_code == answers[1].status_code
        asked_for = rb'(message|write|thread)=\d+|value="\d+"'
        assert re.sub(asked_for, b"", plain(answers[0])) == re.sub(asked_for, b"", plain(answers[1]))

    for pk in (theirs.pk,):
        same(*(program.get(f"/messages/{one}/suggestions") for one in (pk, missing)))
        for form in ("pair", "add", "block", "delete"):
            same(*(page.get(f"/messages/{one}/do/{form}/") for one in (pk, missing)))
    same(
        *(
            program.post(f"/mailboxes/{one}/deny-list/preview", {"deny_list": "a.example"})
            for one in (box, missing)
        )
    )
    address = f"/customers/{world.customer.pk}/communication/"
    same(*(page.get(address, {"write": one}) for one in (draft.pk, missing)))
    same(*(page.get(address, {"thread": one}) for one in (theirs.conversation_id, missing)))
    same(*(page.get("/profile/reader-log/", {"message": one}) for one in (theirs.pk, missing)))
    typed = {"to": "a@b.example", "subject": "x", "do": "save"}
    answers = [page.post("/compose/", typed | {"mailbox": one}) for one in (box, missing)]
    assert answers[0].status_code == answers[1].status_code
    with acting_as("superuser"):
        assert not Delivery.objects.filter(mailbox=world.mailbox, subject="x").exists()
