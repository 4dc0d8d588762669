"""The database is gone: every door says so politely, asks to come back, and opens again by itself (R-008)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from postern.people.models import Staff
from tests.api.caller import Caller, ok, refused
from tests.roles import hire
from tests.web.browser import Browser

pytestmark = pytest.mark.rule("R-008")


@pytest.fixture
def marta(db: None) -> Staff:
    return hire(email="marta@isp.example", name="Marta", password=None, role="super")


@pytest.fixture
def browser(marta: Staff) -> Browser:
    browser = Browser(raise_request_exception=False)
    browser.force_login(marta)
    return browser


@pytest.fixture
def gone(monkeypatch: Any) -> Callable[[], None]:
    """Call it, and nothing answers at the database's address; `monkeypatch.undo()` brings it back."""

    def go() -> None:
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")

    return go


def test_a_page_says_so_and_tries_again_by_itself(browser: Browser, gone: Any, monkeypatch: Any) -> None:
    assert browser.get("/messages/inbox/").status_code == 200
    gone()
    for path in ("/messages/inbox/", "/sign-in/", "/nothing-here/"):
        answer = browser.get(path)
        page = answer.content.decode()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10"), path
        assert "Back in a moment" in page and '<meta http-equiv="refresh" content="10">' in page
        assert "nonce-" in answer.headers["Content-Security-Policy"]
        assert "nonexistent" not in page
    sent = browser.post("/customers/new/", {"name": "x"})
    assert sent.status_code == 503
    assert "send it again" in sent.content.decode() and "refresh" not in sent.content.decode()
    monkeypatch.undo()
    connection.close()
    assert browser.get("/messages/inbox/").status_code == 200


def test_a_program_gets_a_problem(marta: Staff, gone: Any, monkeypatch: Any) -> None:
    caller = Caller(marta)
    assert ok(caller.get("/counts")) == {"unread": 0, "unknown": 0}
    gone()
    answer = caller.get("/counts")
    told = refused(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "10" and "nonexistent" not in str(told)
    monkeypatch.undo()
    connection.close()
    assert ok(caller.get("/counts")) == {"unread": 0, "unknown": 0}


def test_a_session_that_ends_in_the_middle_of_a_request(
    marta: Staff, browser: Browser, monkeypatch: Any, acting_as: Any
) -> None:
    """What was written before is not kept, and the next request has a session of its own."""
    from postern.mail import lists

    def ended(*_: Any) -> None:
        Staff.objects.filter(pk=marta.pk).update(title="half done")
        with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    caller = Caller(marta)
    monkeypatch.setattr(lists, "counts", ended)
    refused(caller.get("/counts"), 503, "unavailable")
    monkeypatch.undo()
    assert ok(caller.get("/counts")) == {"unread": 0, "unknown": 0}
    assert browser.get("/messages/inbox/").status_code == 200
    marta.refresh_from_db()
    assert marta.title == ""


def test_letters_out_of_reach_are_told_alike(browser: Browser, monkeypatch: Any) -> None:
    from postern.mail import lists
    from postern.mail.letterstore import LetterStoreDown

    def down(*_: Any, **__: Any) -> None:
        raise LetterStoreDown("the bucket is silent")

    monkeypatch.setattr(lists, "inbox", down)
    answer = browser.get("/messages/inbox/")
    assert answer.status_code == 503 and "the bucket" not in answer.content.decode()


@pytest.fixture
def full_disk(acting_as: Any) -> Iterator[None]:
    """PostgreSQL says that there is no room for another customer."""
    with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE 'could not extend file \"base/16388\"' USING ERRCODE = 'disk_full'; END$$;"
            " CREATE TRIGGER no_room BEFORE INSERT ON people_customer FOR EACH ROW EXECUTE FUNCTION no_room()"
        )
    yield
    with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION no_room CASCADE")


@pytest.mark.rule("R-009")
def test_a_full_disk_is_called_one(full_disk: None, browser: Browser, marta: Staff) -> None:
    """PostgreSQL still reads then, so nobody can say that it cannot be reached."""
    page = browser.post("/customers/new/", {"name": "Ida", "kind": "customer", "status": "active"})
    words = page.content.decode()
    assert page.status_code == 503 and "is full" in words and "cannot reach" not in words
    assert "send it again" in words and "base/" not in words
    told = refused(Caller(marta).post("/customers", {"name": "Ida"}), 503, "unavailable")
    assert "is full" in told["detail"]
