"""The shell in a real browser: nothing refused by the policy, and the keyboard does what the page says."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from postern.people.models import Customer, Staff
from tests.web.served import served

CHROMIUM = shutil.which("chromium")
PASSWORD = "a long pass phrase"  # conftest.py
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]


@pytest.fixture
def address(marta: Staff) -> Iterator[str]:
    """Where the pages are served."""
    Customer.objects.create(name="Hoffmann Tiling")
    with served() as url:
        yield url


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opened = browser.new_page(base_url=address, color_scheme="light")
        opened.complaints = []
        opened.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.goto("/jump/")
        opened.get_by_label("E-mail").fill("marta@northlink.example")
        opened.get_by_label("Password").fill(PASSWORD)
        opened.keyboard.press("Enter")
        opened.wait_for_selector("#palette", state="attached")
        opened.wait_for_load_state("load")
        yield opened
        browser.close()


def shown(page: Any, name: str) -> bool:
    return bool(page.evaluate(f"document.querySelector('{name}').matches(':popover-open')"))


def test_the_shell_by_keyboard(page: Any) -> None:
    page.keyboard.press("Control+k")
    assert shown(page, "#palette")
    page.keyboard.type("hoff")
    page.keyboard.press("Escape")
    assert not shown(page, "#palette")
    page.keyboard.press("?")
    assert shown(page, "#shortcuts")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("Inter")
    assert page.complaints == []


def test_letters_typed_into_a_field_are_no_shortcuts(page: Any) -> None:
    page.get_by_label("Search", exact=True).fill("")
    page.get_by_label("Search", exact=True).type("?gd")
    assert not shown(page, "#shortcuts")
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""


def test_the_phone_has_no_sideways_scrolling_and_can_sign_out(page: Any) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("navigation", name="Main").get_by_role("button", name="Profile").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in/")
    page.go_back()
    page.reload()
    page.wait_for_url("**/sign-in/**")
