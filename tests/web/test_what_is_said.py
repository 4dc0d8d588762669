"""What the pages of access and of leaving say: what is so at that moment, to whom it belongs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from postern.mailboxes.models import Reader
from postern.people.models import Staff
from tests.web.browser import browser_of
from tests.web.office import Office


@pytest.fixture
def office(closed_office: Office) -> Office:
    return closed_office


def access(page: str) -> str:
    """The card of the settings where access is given."""
    return page.partition('id="access"')[2].partition("</section>")[0]


def give(office: Office, who: Any, **more: str) -> str:
    done = browser_of(office.marta).post("/profile/email/access/", {"reader": who.pk, **more}, follow=True)
    return done.content.decode()


def test_access_that_shows_nothing_yet_is_told_as_such(office: Office) -> None:
    given = give(office, office.tom, may_reply="on")
    waits = "can read this mailbox and answer in your name once a mailbox of their own is set up."
    assert f"Tom Okafor {waits}" in given
    assert "Not now: waits until a mailbox of their own is set up." in access(given)
    assert "Only you" in access(given) and "1 person" not in access(given)
    given = give(office, office.elena)
    assert "Elena Ruiz can now read this mailbox." in given
    assert "1 person" in access(given) and access(given).count("Not now:") == 1


def test_access_that_has_ended_counts_for_nobody(office: Office) -> None:
    ended = timezone.now() - timedelta(days=2)
    with office.acting_as("superuser"):
        Reader.objects.create(mailbox=office.mailbox, staff=office.elena, ends_at=ended)
    page = access(browser_of(office.marta).get("/profile/email/").content.decode())
    assert f"Not now: access ended on {timezone.localtime(ended):%-d %B %Y}." in page and "Only you" in page


def test_each_button_of_a_list_says_whom_it_is_about(office: Office) -> None:
    assert 'aria-label="Remove Elena Ruiz"' in give(office, office.elena)
    listed = browser_of(office.boss).get("/config/administrators/").content.decode()
    assert all(f'aria-label="Change {one.name}"' in listed for one in office.everybody)
    marta = browser_of(office.marta)
    made = marta.post("/profile/tokens/", {"name": "Nightly report"}).content.decode()
    assert 'aria-label="Revoke Nightly report"' in made and "never used" in made


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"successor": "none"}, "It takes a written reason to read your mail when you leave."),
        ({"successor": "anyone"}, "whoever a super-administrator names may read all your mail."),
        (
            {"successor": "elena", "customers_only": "on"},
            "Elena Ruiz may read customers’ conversations.",
        ),
    ],
    ids=lambda value: value["successor"] if isinstance(value, dict) else "",
)
def test_who_may_read_when_one_leaves_is_said_where_it_was_chosen(
    office: Office, chosen: dict[str, str], told: str
) -> None:
    named = chosen | ({"successor": str(office.elena.pk)} if chosen["successor"] == "elena" else {})
    done = browser_of(office.marta).post("/profile/consent/", named, follow=True)
    assert done.redirect_chain == [("/profile/#leaving", 302)]
    assert f"Saved. {told}" in done.content.decode() or f", {told}" in done.content.decode()


def test_who_disables_somebody_comes_to_where_the_mail_is_handed_over(office: Office) -> None:
    page = f"/config/administrators/{office.marta.pk}/"
    done = browser_of(office.boss).post(f"{page}disable/", follow=True)
    assert done.redirect_chain == [(page, 302)]
    told = done.content.decode()
    assert "Marta Lindqvist can no longer sign in" in told and "Hand the mail to a successor" in told
    assert browser_of(office.elena).post(f"{page}disable/").status_code == 404


def test_readers_stand_by_name(office: Office) -> None:
    """Not as the database happens to find them, which changes from one look to the next."""
    with office.acting_as("superuser"):
        Staff.objects.filter(pk=max(office.elena, office.tom, key=lambda one: one.pk).pk).update(name="Aaron")
        Staff.objects.filter(pk=min(office.elena, office.tom, key=lambda one: one.pk).pk).update(name="Zoe")
    for who in (office.elena, office.tom):
        page = access(give(office, who))
    assert page.index(">Aaron</b>") < page.index(">Zoe</b>")
