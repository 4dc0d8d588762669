"""The shell, the palette, the theme, error pages, and that no page opens without a sign-in."""

import re
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver

from postern.people.models import Customer, Staff
from postern.web import urls
from postern.web.base import nav, sidebar, views
from postern.web.base.toast import toast, trigger
from tests.web.browser import Browser

OPEN = {"sign-in", "sign-out", "theme", "font"}


def every_route(patterns: list[Any], before: str = "") -> list[tuple[str, str]]:
    """(name, path with made-up arguments) of all pages, those of later rooms included."""
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += every_route(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            route = re.sub(r"<int:\w+>", "1", before + str(pattern.pattern))
            found.append((pattern.name or "", "/" + re.sub(r"<[^>]+>", "x", route)))
    return found


def test_no_page_opens_without_signing_in(marta: Staff) -> None:
    for name, path in every_route(urls.urlpatterns):
        if name in OPEN or name.startswith("demo"):
            continue
        for answer in (Browser().get(path), Browser().post(path)):
            closed = answer.status_code in (404, 405, 401, 403)
            sent_away = answer.status_code == 302 and answer.headers["Location"].startswith("/sign-in/")
            assert closed or sent_away, f"{path} ({name}) answers a stranger with {answer.status_code}"


def test_the_shell_names_the_person_and_hides_what_is_not_theirs(inside: Browser) -> None:
    page = inside.get("/jump/").content.decode()
    assert "Marta Lindqvist" in page and 'action="/sign-out/"' in page
    assert "Config" not in page
    assert page.count("<h1") >= 1 and 'class="skip"' in page


@pytest.mark.parametrize(("role", "shown"), [("admin", False), ("super", True)])
def test_config_is_for_super_administrators(role: str, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nav, "reverse", lambda name, args=(): f"/{name}/")
    keys = [entry.place.key for entry in nav.entries(Staff(role=role), {})]
    assert ("config" in keys) is shown


def test_every_script_of_a_page_carries_the_nonce_of_its_answer(inside: Browser) -> None:
    answer = inside.get("/jump/")
    found = re.search(r"'nonce-([\w-]+)'", answer.headers["Content-Security-Policy"])
    assert found
    scripts = re.findall(r"<script\b[^>]*>", answer.content.decode())
    assert len(scripts) >= 3
    assert all(f'nonce="{found[1]}"' in script for script in scripts)


def test_the_palette_finds_customers_and_escapes_what_was_typed(inside: Browser) -> None:
    Customer.objects.create(name="Hoffmann <b>Tiling</b>")
    page = inside.get("/jump/", {"q": "hoffmann"}, headers={"HX-Request": "true"})
    assert "<html" not in page.content.decode()
    assert inside.get("/jump/", {"q": "<script>x"}).content.decode().count("<script>x") == 0


def test_live_refreshes_counts_in_place(inside: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = sidebar.Health("bad", "Password rejected", detail="<marta>")
    monkeypatch.setattr(sidebar, "health", lambda staff: bad)
    page = inside.get("/live/", headers={"HX-Request": "true"}).content.decode()
    assert 'id="health"' in page and "dot bad" in page and "&lt;marta&gt;" in page
    assert page.count('hx-swap-oob="true"') >= 2


@pytest.mark.parametrize(
    ("theme", "kept"), [("dark", "dark"), ("light", "light"), ("system", ""), ("<x>", "")]
)
def test_a_theme_is_kept_in_a_cookie(client: Browser, theme: str, kept: str) -> None:
    browser = Browser()
    browser.cookies["theme"] = "dark"
    answer = browser.post("/theme/", {"theme": theme, "next": "//evil.example"})
    assert answer.headers["Location"] == "/"
    assert browser.cookies["theme"].value == kept
    page = browser.get("/nothing/").content.decode()
    assert (f'data-theme="{kept}"' in page) if kept else ("data-theme" not in page)


def test_a_forged_theme_cookie_does_nothing(client: Browser) -> None:
    client.cookies["theme"] = '"><script>x</script>'
    assert "<script>x" not in client.get("/nothing/").content.decode()


@pytest.mark.parametrize("path", ["/nothing/", "/customers/99999999/", "/messages/inbox/x/"])
def test_what_is_not_there_says_so_in_our_look(inside: Browser, path: str) -> None:
    answer = inside.get(path)
    assert answer.status_code == 404
    assert "Nothing here" in answer.content.decode() and path not in answer.content.decode()
    assert "nonce-" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("view", "status", "words"),
    [
        (views.not_found, 404, "Nothing here"),
        (views.bad_request, 400, "makes no sense"),
        (views.server_error, 500, "give your administrator this number"),
        (views.csrf_failure, 403, "This form is too old"),
    ],
)
def test_error_pages_ask_nothing_of_the_database(view: Any, status: int, words: str) -> None:
    """They are drawn when the transaction is already broken: no user, no session, no query."""
    answer = view(RequestFactory(SERVER_NAME="localhost").get("/x/"))
    assert answer.status_code == status and words in answer.content.decode()


def test_the_font_is_inter_and_may_be_kept(client: Browser) -> None:
    answer = client.get("/fonts/inter.ttf")
    assert answer.headers["Content-Type"] == "font/ttf"
    assert "immutable" in answer.headers["Cache-Control"] and "public" in answer.headers["Cache-Control"]
    assert len(answer.content) > 100_000


def fragment() -> tuple[HttpRequest, HttpResponse]:
    return RequestFactory().post("/x/", headers={"HX-Request": "true"}), HttpResponse()


def test_a_toast_travels_beside_other_events() -> None:
    request, response = fragment()
    trigger(response, "mail:new")
    toast(request, response, "“Fax” deleted\r\nSet-Cookie: x=1", undo="/undo/1/")
    header = response.headers["HX-Trigger"]
    assert header.isascii() and "\n" not in header
    assert '"mail:new"' in header and '"undo": "/undo/1/"' in header
