"""The pages as a person meets them: a real server, Debian's Chromium, and an office full of mail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # Django is not set up yet when this file is read
    from tests.web.office import Office

CHROMIUM = shutil.which("chromium")
SHELL = shutil.which("chromium-headless-shell") or CHROMIUM
"""Chromium without the browser around the page, Debian's package of that name: the same pages and network for less
than half of the work. The whole browser shows them where the shell is not installed, and what it does by itself."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,SpareRendererForSitePerProcess",
]
SCREENSHOTS = os.environ.get("POSTERN_SCREENSHOTS", "")
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser; without one it is skipped, and says so."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if SHELL is None or CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="NOT TESTED: no Chromium on this machine"))


@pytest.fixture
def office(db: None, acting_as: Any) -> Office:
    from django.core.cache import cache

    from tests.web.office import furnish

    cache.clear()
    return furnish(lambda role: acting_as(role, everywhere=False))


@pytest.fixture
def address(db: None) -> Iterator[str]:
    """Where the pages are served."""
    from tests.web.served import served

    with served() as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser a file: Playwright's event loop must be gone before other tests run loops of their own.

    While it is there, Django has to be told that a test may still ask the database.
    """
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as play:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = play.chromium.launch(executable_path=SHELL, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """`visit(staff, size=DESK, dark=False, scripts=True)` opens a page for somebody who is signed in (None: nobody).

    What the console complains about, and every address asked for elsewhere, fails the test at its end.
    """
    opened: list[Any] = []

    def open_page(
        staff: Any = None, size: dict[str, int] = DESK, dark: bool = False, scripts: bool = True
    ) -> Any:
        context = chromium.new_context(
            base_url=address,
            viewport=size,
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            has_touch=size is PHONE,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.complaints, page.strangers = [], []

        def complain(message: Any) -> None:
            # A form that comes back with its mistakes is a 422, which Chromium mentions.
            if message.type in ("error", "warning") and "status of 422" not in message.text:
                page.complaints.append(f"{page.url}: {message.text}")

        page.on("console", complain)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((address, "data:")) else page.strangers.append(r.url),
        )
        opened.append(page)
        if staff is not None and scripts:
            context.add_cookies([{"url": address, **session_of(staff)}])
        elif staff is not None:
            sign_in(page, staff)
        return page

    yield open_page
    for page in opened:
        page.context.close()
    assert not [text for page in opened for text in page.complaints]
    assert not [url for page in opened for url in page.strangers]


def session_of(staff: Any) -> dict[str, str]:
    """Name and value of the cookie of somebody who signed in."""
    from django.conf import settings

    from tests.web.browser import Browser

    inside = Browser()
    inside.force_login(staff)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": inside.cookies[name].value}


def sign_in(page: Any, staff: Any) -> None:
    """Through the page, as everybody does; with scripts tests/web/base and the new administrator show it."""
    from tests.web.office import PASSWORD

    page.goto("/sign-in/?next=/profile/")
    page.get_by_label("E-mail").fill(staff.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/profile/")


@pytest.fixture
def shoot() -> Callable[[Any, str], None]:
    """`shoot(page, "inbox-light")` keeps a picture in POSTERN_SCREENSHOTS, if that is set."""

    def keep(page: Any, name: str) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            page.evaluate("document.fonts.ready.then(() => true)")
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    return keep
