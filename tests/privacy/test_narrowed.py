"""What a narrowed grant, or one conversation shared by name, does not show has its subject nowhere (S-063).

There is no share here that shows a letter without its subject: a letter is shown whole or not at all. So each letter
below has a word of its own in everything it has, and each reader is asked everything that can be asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from postern.mail.access import viewing_as
from postern.mail.actions import mark_read
from postern.mail.models import Message, Opening
from postern.mail.readerlog import note
from postern.mail.sharing import share
from postern.mailboxes.models import Reader
from postern.outbox.models import Delivery
from postern.people.models import Staff
from postern.web.inbox import events
from tests.api.caller import Caller
from tests.privacy import matrix
from tests.privacy.scene import content_of
from tests.privacy.test_matrix import OPERATIONS, PAGES
from tests.web.browser import Browser
from tests.web.test_events import signed_in
from tests.world import World, arrive, letter, make_mailbox, make_world

WORDS = ("alpha", "betta", "gamma", "delta", "epsil", "phiii", "psiii")
SEES = {
    "customers": {"alpha", "gamma"},
    "incoming": {"alpha", "betta", "delta", "phiii", "psiii"},
    "both": {"alpha"},
    "friend": {"phiii"},
}
BEHIND = {"customers": "betta", "incoming": "gamma", "both": "betta", "friend": "psiii"}
"""Of each, a letter that answers one that they see and that they do not see."""


def full(word: str, sender: str, to: str = "owner@isp.example", headers: str = "") -> bytes:
    """A letter with its word in subject, names, text, the name and the words of a file, and a blind copy."""
    body = (
        f"--b\r\nContent-Type: text/plain\r\n\r\n{word}text\r\n--b\r\nContent-Type: text/plain\r\n"
        f'Content-Disposition: attachment; filename="{word}file.txt"\r\n\r\n{word}inside\r\n--b--\r\n'
    )
    head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n" + headers
    return letter(
        sender=f"{word.title()} Name <{sender}>",
        to=to,
        subject=f"{word}subject",
        mid=f"{word}.mid@b.example",
        body=body,
        headers=head,
    )


@dataclass
class House:
    world: World
    readers: dict[str, Staff]
    mail: dict[str, Message]


_GRETA, _STRANGER = "greta@brandt-bakery.example", "x@else.example"


_kept: list[House] = []


@pytest.fixture
def house(request: Any, database: None, acting_as: Any) -> Iterator[House]:
    """One house for the whole file: what a test does is rolled back; a new one where the tables were emptied."""
    if not _kept or not _still_there(acting_as):
        request.getfixturevalue("db")
        _kept[:] = [build(acting_as)]
    with transaction.atomic():
        yield _kept[0]
        transaction.set_rollback(True)


def _still_there(acting_as: Any) -> bool:
    with acting_as("superuser"):
        return Message.objects.filter(subject="psiiisubject", pk=_kept[0].mail["psiii"].pk).exists()


def build(acting_as: Any) -> House:
    world = make_world(acting_as)
    answers = "References: <alpha.mid@b.example>\r\n"
    blind = "Bcc: gammablind@isp.example\r\n"
    mail = {}
    for word, folder, raw in (
        ("alpha", world.inbox, full("alpha", _GRETA)),
        ("betta", world.inbox, full("betta", "x@bettaplace.example", headers=answers)),
        ("gamma", world.sent, full("gamma", "owner@isp.example", _GRETA, answers + blind)),
        ("delta", world.inbox, full("delta", "x@deltaplace.example")),
        ("epsil", world.sent, full("epsil", "owner@isp.example", "x@epsilplace.example")),
        ("phiii", world.inbox, full("phiii", _STRANGER)),
    ):
        [mail[word]] = arrive(acting_as, folder, raw)
    scopes = {
        "customers": {"customers_only": True},
        "incoming": {"incoming_only": True},
        "both": {"customers_only": True, "incoming_only": True},
    }
    readers = {"friend": world.colleague}
    with acting_as("superuser"):
        Reader.objects.all().delete()
        for name, scope in scopes.items():
            readers[name] = Staff.objects.create_staff(
                email=f"{name}@isp.example", name=f"{name.title()} Person", password=None
            )
            make_mailbox(readers[name])
            Reader.objects.create(mailbox=world.mailbox, staff=readers[name], may_reply=True, **scope)
    with viewing_as(world.owner):
        share(staff=world.owner, conversation=mail["phiii"].conversation_id, colleague=world.colleague)
    aside = full("psiii", "y@psiiiplace.example", headers="References: <phiii.mid@b.example>\r\n")
    [mail["psiii"]] = arrive(acting_as, world.inbox, aside)
    _leave_traces(world, readers, mail)
    return House(world, readers, mail)


def _leave_traces(world: World, readers: dict[str, Staff], mail: dict[str, Message]) -> None:
    """Others have opened what one does not see, and somebody has begun to answer it."""
    reader = readers["incoming"]
    with viewing_as(reader):
        for word in ("betta", "delta"):
            message = Message.objects.visible_to(reader).select_related("mailbox").get(pk=mail[word].pk)
            note(staff=reader, messages=[message], what=Opening.What.BODY, door=Opening.Door.PAGE)
            mark_read(staff=reader, message=message)
        Delivery.objects.create(
            mailbox=world.mailbox,
            author=reader,
            answers=message,
            subject="Re: deltasubject",
            text="own words",
        )


def browser(staff: Staff) -> Browser:
    client = Browser(raise_request_exception=False)
    client.force_login(staff)
    return client


_MESSAGES = {"known", "unknown", "sent", "confided", "aside"}
_THREADS = {"thread", "confided_thread"}


def addresses(house: House, hidden: Message) -> list[str]:
    """Every page and operation that only reads: of nobody in particular, the customer's, the letter's and its thread's."""
    ids = dict.fromkeys(_MESSAGES, hidden.pk) | dict.fromkeys(_THREADS, hidden.conversation_id)
    ids |= {"customer": house.world.customer.pk, "mailbox": house.world.mailbox.pk, "file": 2}
    found = set()
    for name, rows in (*matrix.WEB.items(), *matrix.API.items()):
        template = PAGES.get(name) or OPERATIONS[name][1]
        for row in rows:
            if row.method != "GET" or name == "events":
                continue
            path, query = template, row.query.replace("stripe", hidden.subject[:5])
            for part in row.ids:
                value = part[1:] if part.startswith("=") else str(ids.get(part, 0))
                path = re.sub(r"<[^>]+>|\{[^}]+\}", value, path, count=1)
            for part, pk in ids.items():
                query = query.replace(f"{{{part}}}", str(pk))
            found.add(path + re.sub(r"\{\w+\}", "0", query))
    return sorted(found)


def shown(response: Any) -> str:
    """All that an answer says, without the words that were asked for."""
    body = b"".join(response) if response.streaming else content_of(response)
    return (body.decode("utf-8", "replace") + str(dict(response.items()))).lower()


@pytest.mark.rule("S-063")
@pytest.mark.parametrize("name", ["customers", "incoming", "friend"])
def test_s063_nothing_of_what_a_grant_does_not_show_is_anywhere(house, name):
    """Timeline, lists, Jump, search, letters and files, conversations, reader log, CSV, panels, counts: every address."""
    staff, hidden = house.readers[name], house.mail[BEHIND[name]]
    page, program = browser(staff), Caller(staff)
    forbidden = [word for word in WORDS if word not in SEES[name]]
    seen, asked = "", 0
    for path in addresses(house, hidden):
        api = path.startswith("/api/v1")
        response = program.get(path.removeprefix("/api/v1")) if api else page.get(path)
        text = shown(response)
        if "q=" in path:
            text = text.replace(hidden.subject[:5], "")
        told = [word for word in forbidden if word in text]
        assert told == [], (path, told, response.status_code)
        assert response.status_code < 500, path
        seen, asked = seen + text, asked + 1
    assert asked > 60
    assert [word for word in SEES[name] if f"{word}subject" not in seen] == [], "and what it shows is there"


@pytest.mark.rule("S-063")
@pytest.mark.parametrize("name", ["both", "friend"])
def test_s063_the_panel_numbers_and_search_are_those_of_what_is_shown(house, name):
    staff, mail = house.readers[name], house.mail
    page, program = browser(staff), Caller(staff)
    hidden, visible = mail[BEHIND[name]], [word for word in SEES[name] if not mail[word].outgoing]
    assert json.loads(program.get("/counts").content)["unread"] == len(visible)
    for template in ("/messages/inbox/?q={}", "/jump/?q={}", "/api/v1/inbox?q={}subject"):
        ask = program.get if template.startswith("/api") else page.get
        told = {
            word: content_of(ask(template.removeprefix("/api/v1").format(word))).replace(word.encode(), b"")
            for word in {"zzzzz", *WORDS} - SEES[name]
        }
        nowhere = told.pop("zzzzz")
        assert [word for word, there in told.items() if there != nowhere] == [], template
    first = mail[sorted(SEES[name])[0]]
    thread = json.loads(program.get(f"/conversations/{first.conversation_id}").content)
    assert {one["subject"][:5] for one in thread["messages"]} <= SEES[name]
    panel = page.get(f"/messages/inbox/{first.pk}/").content.decode()
    others = [one.name for other, one in house.readers.items() if other != name] + ["Noimap"]
    assert not [other for other in others if other in panel]
    answers = [program.get(f"/messages/{pk}").content for pk in (hidden.pk, 999_999)]
    assert answers[0] == answers[1]


@pytest.mark.rule("S-063")
@pytest.mark.rule("S-106")
def test_s063_the_event_stream_names_what_is_shown_and_nothing_else(house):
    for name, staff in house.readers.items():
        request = signed_in(staff)
        told = {
            word
            for word, message in house.mail.items()
            if events._may_know(
                request, staff.pk, {"kind": "message", "mailbox": message.mailbox_id, "id": message.pk}
            )
        }
        assert told == SEES[name], name
        for kind in ("health", "delivery", "probe"):
            event: events.Event = {"kind": kind, "mailbox": house.world.mailbox.pk, "id": 999_999}
            assert not events._may_know(request, staff.pk, event)


@pytest.mark.rule("S-063")
def test_s063_a_grant_that_is_narrowed_takes_along_what_was_begun_under_it(house, acting_as):
    """The draft of an answer to a letter that is no longer shown: the author's own words stay, the subject goes."""
    reader = house.readers["incoming"]
    assert "deltasubject" in browser(reader).get("/messages/drafts/").content.decode()
    with acting_as("superuser"):
        Reader.objects.filter(staff=reader).update(customers_only=True)
        draft = Delivery.objects.get(author=reader)
    for path in ("/messages/drafts/", f"/compose/{draft.pk}/", "/messages/inbox/", "/jump/?q=delt"):
        assert "delta" not in browser(reader).get(path).content.decode().lower(), path
    for path in ("/deliveries", f"/deliveries/{draft.pk}", "/inbox?q=delt", "/reader-log"):
        assert b"delta" not in Caller(reader).get(path).content.lower(), path
