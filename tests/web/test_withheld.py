"""A letter of which only the header is here, on every page and by the API: marked, and everything works on it (R-022)."""

from __future__ import annotations

from typing import Any

import pytest

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mail.preparing import Arrival
from postern.mail.withholding import STRANGER, header_of, header_only
from postern.mailboxes.models import DenyEntry
from postern.outbox.begin import forward, reply
from tests.api.caller import Caller, ok
from tests.web.browser import Browser
from tests.web.office import PLAN, Office, letter, mixed
from tests.world import NOON, stored

pytestmark = pytest.mark.rule("R-022")
REASON = "Too large: 73 MB, at most 50 MB is read."
MARK = "Only the header of this message is here."


def withheld(office: Office, uid: int, *, headers: str = "", reason: str = REASON, **parts: Any) -> Message:
    """A letter of 73 MB with a file, of which the header came in."""
    head, body = mixed((PLAN, b"%PDF", ""))
    raw = header_of(letter(headers=headers + head, body=body, **parts))
    one = header_only(Arrival(uid, frozenset(), NOON, raw), size=73 << 20, reason=reason)
    with office.acting_as("sync"):
        (message,) = stored(office.inbox, [one])
    return message


@pytest.fixture
def unknown(office: Office) -> Message:
    return withheld(office, 900_001, sender="Site office <site@builder.example>", subject="All plans")


@pytest.fixture
def known(office: Office) -> Message:
    return withheld(
        office, 900_002, subject="Ovens", headers="References: <thread@brandt-bakery.example>\r\n"
    )


def page(staff: Any, path: str) -> str:
    browser = Browser()
    browser.force_login(staff)
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_the_list_the_letter_and_the_source_say_so(office: Office, unknown: Message, known: Message) -> None:
    listed = page(office.marta, "/messages/inbox/")
    assert listed.count(f"Only the header is here. {REASON}") == 2
    assert "All plans" in listed and "Author not found" in listed
    opened = page(office.marta, f"/messages/inbox/{unknown.pk}/")
    assert MARK in opened and REASON in opened and "read it in your own mail program" in opened
    assert "Floor-plan" not in opened
    assert "Subject: All plans" in page(office.marta, f"/messages/{unknown.pk}/source/")
    assert MARK not in page(office.marta, f"/messages/inbox/{office.mail['known'].pk}/")


COMING = "the whole message is brought in at the next check for mail."


def test_a_strangers_letter_says_what_to_do_and_once_done_what_comes(office: Office) -> None:
    letter = withheld(office, 900_003, sender="Ada <ada@new.example>", subject="Fibre?", reason=STRANGER)
    place = f"/messages/inbox/{letter.pk}/"
    told = page(office.marta, place)
    assert "Pair the sender" in told and "read it in your own mail program" in told and COMING not in told
    assert '<article class="read">' in told
    told = page(office.elena, place)
    shown = told.partition('<article class="read"')[2].partition("</article>")[0]
    assert "nobody here knows who this is from or to" in shown and "where its owner can read it" in shown
    assert "Pair the sender" not in shown and "your own mail program" not in shown
    browser = Browser()
    browser.force_login(office.marta)
    browser.post(f"/messages/{letter.pk}/do/pair/", {"customer": str(office.brandt.pk)})
    told = page(office.marta, place)
    shown = told.partition('<article class="read"')[2].partition("</article>")[0]
    assert COMING in shown and "Pair the sender" not in shown
    assert 'hx-trigger="mail:new from:body' in shown.partition(">")[0]


def test_it_is_in_the_conversation_of_its_customer(office: Office, known: Message) -> None:
    assert known.conversation_id == office.mail["thread"].conversation_id
    for staff in (office.marta, office.elena):
        told = page(staff, f"/customers/{office.brandt.pk}/communication/")
        assert MARK in told and REASON in told
    assert REASON not in page(office.boss, f"/customers/{office.brandt.pk}/communication/")


def test_the_actions_work_on_it(office: Office) -> None:
    """View, the fifth, is above."""
    browser = Browser()
    browser.force_login(office.marta)
    asked = {
        "pair": {"customer": str(office.brandt.pk)},
        "add": {"kind": "lead", "name": "Site office", "email": "add@builder.example"},
        "block": {"what": "address"},
        "delete": {},
    }
    for number, (key, data) in enumerate(asked.items()):
        message = withheld(office, 900_010 + number, sender=f"{key}@builder.example", subject=key)
        answer = browser.post(f"/messages/{message.pk}/do/{key}/", data)
        assert answer.status_code == 302, answer.content.decode()[:2000]
        with viewing_as(office.marta):
            mine = Message.objects.owned_by(office.marta).get(pk=message.pk)
            assert mine.known is (key in ("pair", "add"))
            assert (mine.deleted_at is not None) is (key == "delete")
            blocked = DenyEntry.objects.filter(pattern=f"{key}@builder.example").exists()
            assert blocked is (key == "block")


def test_an_answer_and_a_forward_begin_without_what_is_not_here(office: Office, known: Message) -> None:
    with viewing_as(office.marta):
        answer = reply(staff=office.marta, message=known)
        assert answer.subject == "Re: Ovens" and answer.to[0][1] == "greta@brandt-bakery.example"
        passed = forward(staff=office.marta, message=known)
        assert passed.files.count() == 0
        assert "was not brought into Postern" in passed.text and REASON in passed.text


def test_the_api_says_so(office: Office, known: Message) -> None:
    caller = Caller(office.marta)
    listed = ok(caller.get("/inbox"))["messages"]
    assert {m["subject"]: m["withheld"] for m in listed}["Ovens"] == REASON
    assert [m["subject"] for m in listed if m["withheld"]] == ["Ovens"]
    whole = ok(caller.get(f"/messages/{known.pk}"))
    assert (whole["withheld"], whole["size"], whole["text"], whole["attachments"]) == (
        REASON,
        73 << 20,
        "",
        [],
    )
