"""Sharing one conversation by name, on the pages: give, see, take back; and the letter that stands aside."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from postern.mail.models import ConversationShare, Message
from postern.mailboxes.models import Reader
from tests.web.browser import browser_of
from tests.web.office import Office, letter


@pytest.fixture
def office(closed_office: Office) -> Office:
    return closed_office


def text(response: Any) -> str:
    return str(response.content.decode())


def url(office: Office, name: str = "known") -> str:
    return f"/messages/inbox/{office.mail[name].pk}/"


def share(office: Office, who: Any, **more: str) -> Any:
    address = f"/messages/{office.mail['known'].pk}/share/"
    return browser_of(office.marta).post(address, {"colleague": who.pk, **more}, follow=True)


def test_shared_it_is_in_the_colleagues_inbox_marked_whose_it_is_and_nothing_else_is(office):
    elena = browser_of(office.elena)
    assert elena.get(url(office)).status_code == 404
    shared = text(share(office, office.elena))
    assert "Elena Ruiz can now read this conversation." in shared and "You and Elena" in shared
    assert "until you take it back" in shared
    inbox = text(elena.get("/messages/inbox/"))
    thread = Message.objects.filter(conversation=office.mail["known"].conversation_id)
    assert "in marta@northlink.example" in inbox
    opened = text(elena.get(url(office)))
    assert "Marta’s conversation, shared with you" in opened and "Share this conversation" not in opened
    with office.acting_as("superuser"):
        pks = set(thread.values_list("pk", flat=True))
        others = Message.objects.filter(mailbox=office.mailbox).exclude(pk__in=pks)
        for one in others:
            assert f"/messages/inbox/{one.pk}/" not in inbox
            assert elena.get(f"/messages/{one.pk}/body/").status_code == 404
        assert len(pks) > 1 and others.count() > 3
    tab = text(elena.get(f"/customers/{office.brandt.pk}/communication/"))
    assert "Marta’s conversation" in tab and 'popovertarget="who-sees" aria-label="Share' not in tab


@pytest.mark.rule("S-133")
def test_a_page_that_showed_fewer_messages_shares_none_of_them(office):
    page = text(browser_of(office.marta).get(url(office)))
    number = re.search(r'name="messages" value="(\d+)"', page)
    assert number and int(number[1]) > 1
    told = text(share(office, office.elena, messages=str(int(number[1]) - 1)))
    assert f"It has {number[1]} messages by now" in told and "Elena Ruiz can now read" not in told
    assert browser_of(office.elena).get(url(office)).status_code == 404
    assert "Elena Ruiz can now read" in text(share(office, office.elena, messages=number[1]))


def test_taken_back_it_is_gone_with_the_next_request(office):
    share(office, office.elena)
    elena = browser_of(office.elena)
    assert elena.get(url(office)).status_code == 200
    address = f"/messages/{office.mail['known'].pk}/share/{office.elena.pk}/remove/"
    assert elena.post(address).status_code == browser_of(office.boss).post(address).status_code == 404
    done = text(browser_of(office.marta).post(address, follow=True))
    assert "Elena Ruiz can no longer read this conversation." in done and "Only you can see this" in done
    assert elena.get(url(office)).status_code == 404
    assert "marta@northlink.example" not in text(elena.get("/messages/inbox/"))
    assert browser_of(office.marta).post(address).status_code == 404


def test_what_is_said_of_it_is_so_at_that_moment(office):
    waits = "Tom Okafor can read this conversation once a mailbox of their own is set up."
    assert waits in text(share(office, office.tom))
    share(office, office.elena)
    with office.acting_as("superuser"):
        Reader.objects.create(mailbox=office.mailbox, staff=office.elena)
    address = f"/messages/{office.mail['known'].pk}/share/{office.elena.pk}/remove/"
    taken = text(browser_of(office.marta).post(address, follow=True))
    assert "Elena Ruiz still reads this, through the access you gave to the mailbox." in taken
    assert "can no longer read" not in taken
    assert browser_of(office.elena).get(url(office)).status_code == 200


def test_what_cannot_be_shared_says_why(office):
    address, elena = f"/messages/{office.mail['known'].pk}/share/", str(office.elena.pk)
    marta = browser_of(office.marta)
    for typed, told in (
        ({"colleague": ""}, "Choose a colleague."),
        ({"colleague": "x"}, "Choose a colleague."),
        ({"colleague": elena, "until": "2020-01-01"}, "The end lies in the past: choose a later day."),
        ({"colleague": elena, "until": "soon"}, "Type the end as a date like 2026-12-31."),
        ({"colleague": str(office.marta.pk)}, "The conversation is yours; you read it already."),
    ):
        assert told in text(marta.post(address, typed, follow=True))
    with office.acting_as("superuser"):
        assert not ConversationShare.objects.exists()


def test_until_a_day_and_back_to_the_customer(office):
    day = timezone.localdate() + timedelta(days=40)
    done = share(office, office.elena, until=day.isoformat(), back=str(office.brandt.pk))
    thread = office.mail["known"].conversation_id
    assert done.redirect_chain == [(f"/customers/{office.brandt.pk}/communication/?thread={thread}", 302)]
    assert f"until {day:%-d %B %Y}" in text(done)
    with office.acting_as("superuser"):
        assert timezone.localtime(ConversationShare.objects.get().ends_at).date() == day


def test_who_has_no_mailbox_yet_is_told_that_something_waits(office):
    share(office, office.tom)
    tom = browser_of(office.tom)
    assert "It stays closed until your own mailbox is set up" in text(tom.get("/messages/inbox/"))
    assert tom.get(url(office)).status_code == 404


@pytest.mark.rule("S-133")
def test_a_letter_that_stands_aside_says_so_to_the_owner_alone_and_is_added(office):
    share(office, office.elena)
    line = "References: <thread@brandt-bakery.example>\r\n"
    office.arrive("aside", letter(sender="Paul <paul@else.example>", subject="By the way", headers=line))
    page = url(office, "aside")
    elena, marta = browser_of(office.elena), browser_of(office.marta)
    told = "This answers a conversation that you shared with Elena Ruiz."
    assert told in text(marta.get(page))
    assert elena.get(page).status_code == 404
    address = f"/messages/{office.mail['aside'].pk}/share/add/"
    assert elena.post(address).status_code == browser_of(office.boss).post(address).status_code == 404
    added = text(marta.post(address, follow=True))
    assert "Added to the conversation." in added and told not in added
    assert elena.get(page).status_code == 200 and told not in text(elena.get(page))
    assert marta.post(address).status_code == 404
    offered = "Take it out again"
    assert offered in added and offered not in text(elena.get(page))
    out = address.replace("/add/", "/take-out/")
    assert elena.post(out).status_code == browser_of(office.boss).post(out).status_code == 404
    assert elena.get(page).status_code == 200
    taken = text(marta.post(out, follow=True))
    assert "Taken out of the conversation again." in taken and told in taken and offered not in taken
    assert (
        elena.get(page).status_code
        == elena.get(f"/messages/{office.mail['aside'].pk}/body/").status_code
        == 404
    )
    assert marta.post(out).status_code == 404


@pytest.mark.rule("S-062")
def test_an_open_stream_of_the_colleague_is_told_that_its_right_has_changed(office):
    """What ends a stream is an event of the database, sent when a share comes, changes or goes."""
    import psycopg
    from django.db import connection

    parameters = connection.get_connection_params()
    parameters = {k: v for k, v in parameters.items() if k in ("host", "port", "user", "password", "dbname")}
    with psycopg.connect(**parameters, autocommit=True) as ear:
        ear.execute("LISTEN postern_events")
        share(office, office.elena)
        share(office, office.elena, until=(timezone.localdate() + timedelta(days=9)).isoformat())
        browser_of(office.marta).post(f"/messages/{office.mail['known'].pk}/share/{office.elena.pk}/remove/")
        heard = [one.payload for one in ear.notifies(timeout=5, stop_after=3)]
    assert heard == [f'{{"kind" : "access", "mailbox" : 0, "id" : {office.elena.pk}}}'] * 3
