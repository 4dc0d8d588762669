"""Every page, for everybody, with every kind of message: nothing breaks, and what is not theirs is not there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.browser import Browser, browser_of
from tests.web.office import Office


def owners_pages(office: Office) -> dict[str, int]:
    """Every address of the owner's pages, and the answer it gives."""
    pages = {
        "/messages/inbox/": 200,
        "/messages/sent/": 200,
        "/messages/blocked/": 200,
        "/messages/drafts/": 200,
        "/compose/": 200,
        f"/compose/?customer={office.brandt.pk}": 200,
        "/compose/?to=a@b.example": 200,
        "/customers/": 200,
        "/customers/?q=brandt": 200,
        "/customers/?q=nobody-of-this-name": 200,
        "/leads/": 200,
        "/customers/new/": 200,
        "/customers/new/?kind=lead&email=a@b.example": 200,
        "/customers/import/": 200,
        f"/customers/{office.brandt.pk}/": 200,
        f"/customers/{office.brandt.pk}/edit/": 200,
        f"/customers/{office.brandt.pk}/communication/": 200,
        f"/customers/{office.lead.pk}/": 200,
        f"/customers/{office.lead.pk}/communication/": 200,
        "/profile/": 200,
        "/profile/email/": 200,
        "/jump/?q=brandt": 200,
        "/live/": 200,
    }
    for show in ("all", "unread", "unknown", "customers", "leads", "nonsense"):
        pages[f"/messages/inbox/?show={show}"] = 200
    pages["/messages/inbox/?q=packet+loss&since=2026-01-01&until=x"] = 200
    pages["/messages/inbox/?after=nonsense"] = 200
    for name, message in office.mail.items():
        place = "sent" if message.outgoing else "inbox"
        pages[f"/messages/{place}/{message.pk}/"] = 200
        for view in ("body", "source", "letter.eml"):
            pages[f"/messages/{message.pk}/{view}{'' if '.' in view else '/'}"] = 200
        unknown = name in ("unknown", "bare", "broken", "automatic")
        for key in ("pair", "add"):
            pages[f"/messages/{message.pk}/do/{key}/"] = 200 if unknown else 404
        pages[f"/messages/{message.pk}/do/block/"] = 404 if message.outgoing else 200
        pages[f"/messages/{message.pk}/do/delete/"] = 200
        pages[f"/messages/{message.pk}/do/nonsense/"] = 404
    pages[f"/messages/{office.mail['unknown'].pk}/do/pair/?q=brandt"] = 200
    pages[f"/messages/{office.mail['unknown'].pk}/do/add/?kind=lead"] = 200
    for delivery in office.out.values():
        pages[f"/compose/{delivery.pk}/"] = 200
    return pages


def test_every_page_of_the_owner(office: Office) -> None:
    browser = browser_of(office.marta)
    got = {path: browser.get(path).status_code for path in owners_pages(office)}
    wrong = {
        path: (status, got[path]) for path, status in owners_pages(office).items() if got[path] != status
    }
    assert not wrong


def test_others_find_nothing_of_the_owners(office: Office) -> None:
    """Elena may read the mail; Tom waits for a mailbox of his own; the boss sees nothing. None of them writes."""
    message, sent = office.mail["unknown"].pk, office.mail["sent"].pk
    reading = [f"/messages/inbox/{message}/", f"/messages/sent/{sent}/", f"/messages/{message}/source/"]
    writing = [f"/compose/{d.pk}/" for d in office.out.values()] + [f"/messages/{message}/do/pair/"]
    expected = {office.elena: 200, office.tom: 404, office.boss: 404}
    for staff, status in expected.items():
        browser = browser_of(staff)
        assert [browser.get(path).status_code for path in reading] == [status] * 3, staff
        assert {browser.get(path).status_code for path in writing} == {404}, staff
        for path in (
            "/messages/inbox/",
            f"/customers/{office.brandt.pk}/communication/",
            "/messages/drafts/",
        ):
            page = browser.get(path)
            assert page.status_code == 200
            assert ("ovens" in page.content.decode()) is (
                staff == office.elena and path != "/messages/drafts/"
            )


def test_config_is_the_super_administrators(office: Office) -> None:
    boss, marta = browser_of(office.boss), browser_of(office.marta)
    for path in ("/config/email/", "/config/administrators/", f"/config/administrators/{office.tom.pk}/"):
        assert (boss.get(path).status_code, marta.get(path).status_code) == (200, 404)
    assert boss.get("/config/").status_code == 302


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/profile/", {"name": ""}),
        ("/profile/password/", {"old_password": "wrong", "new_password1": "a", "new_password2": "b"}),
        ("/profile/tokens/", {"name": ""}),
        ("/profile/email/", {"address": "nonsense", "imap_port": "x", "deny_list": "not a pattern !"}),
        ("/profile/email/test/", {"probe": "nonsense"}),
        ("/customers/new/", {"name": ""}),
        ("/customers/import/", {}),
        ("/compose/", {"do": "send", "to": "", "subject": ""}),
        ("/compose/", {"do": "send", "to": "nonsense", "subject": "x", "text": "x"}),
    ],
)
def test_a_form_with_mistakes_comes_back_with_them(office: Office, path: str, data: dict[str, str]) -> None:
    answer = browser_of(office.marta).post(path, data)
    assert answer.status_code == 422, (path, answer.status_code)


@pytest.mark.parametrize("key", ["pair", "add", "block"])
def test_an_action_with_mistakes_says_so(office: Office, key: str) -> None:
    data = {"customer": "999999999", "kind": "nonsense", "what": "domain"}
    message = office.mail["unknown"] if key != "block" else office.mail["broken"]
    if key == "block":
        with office.acting_as("superuser"):
            type(message).objects.filter(pk=message.pk).update(from_address="no address")
    answer = browser_of(office.marta).post(f"/messages/{message.pk}/do/{key}/", data)
    assert answer.status_code == 422 and "banner red" in answer.content.decode()


def test_empty_pages_say_what_will_be_there(db: None, acting_as: Any) -> None:
    from postern.people.models import Staff

    with acting_as("superuser"):
        nobody = Staff.objects.create_staff(email="new@isp.example", name="New", password=None, role="super")
    browser = browser_of(nobody)
    pages = {
        "/messages/inbox/": "Your door to customers",
        "/messages/inbox/?show=unread": "Nothing found",
        "/messages/sent/": "Nothing sent yet",
        "/messages/blocked/": "Nobody is blocked",
        "/messages/drafts/": "No drafts",
        "/customers/": "Nobody here yet",
        "/leads/": "Nobody here yet",
        "/compose/": "You have no mailbox yet",
        "/profile/email/": "Save your mailbox first",
        "/profile/": "API tokens",
        "/config/email/": "Email",
        "/config/administrators/": "Add an administrator",
    }
    for path, words in pages.items():
        answer = browser.get(path)
        assert answer.status_code == 200 and words in answer.content.decode(), path


def test_the_first_run_is_there_once(db: None) -> None:
    stranger = Browser()
    assert stranger.get("/", follow=True).redirect_chain[-1] == (
        "/welcome/",
        302,
    )  # whoever opens the address
    assert stranger.post("/welcome/", {"name": "", "email": "x", "password": "short"}).status_code == 422
    data = {"name": "Ruth Berg", "email": "ruth@isp.example", "password": "a sentence is quite fine"}
    assert stranger.post("/welcome/", data).status_code == 302
    assert stranger.get("/profile/email/").status_code == 200
    assert Browser().get("/welcome/").status_code == 404
    assert Browser().get("/", follow=True).redirect_chain[-1] == ("/sign-in/?next=/", 302)
