"""Back after signing out shows nothing of what was open, whatever the browser kept (S-105)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import CHROMIUM, DESK, FLAGS, session_of

if TYPE_CHECKING:
    from tests.web.office import Office

SUBJECT, WORDS = "Meter reading at the bakery", "The cellar meter says forty-one thousand"
PRIVATE = (SUBJECT, WORDS, "Greta", "Mill Lane", "Packet loss", "Marta")
"""What stands on those pages."""


@pytest.fixture
def office(office: Office) -> Office:
    """With a letter that is shown in a frame, at the top of the inbox."""
    headers = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
    from tests.web.office import letter

    office.arrive("framed", letter(subject=SUBJECT, headers=headers, body=f"<p>{WORDS}.</p>"))
    return office


@pytest.fixture(params=[True, False], ids=["keeps-pages", "keeps-none"])
def keeper(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    """A whole browser with its back/forward cache, which Playwright otherwise switches off, and one without."""
    kind = chromium.browser_type
    left_out = ["--disable-back-forward-cache"] if request.param else []
    browser = kind.launch(executable_path=CHROMIUM, args=FLAGS, ignore_default_args=left_out)
    yield browser
    browser.close()


def everything_shown(page: Any) -> str:
    """The text of the page and of every frame in it."""
    return "\n".join(f"{frame.url} {frame.content()}" for frame in page.frames)


def pages(office: Office) -> dict[str, str]:
    message = f"/messages/inbox/{office.mail['framed'].pk}/"
    talk = f"/customers/{office.brandt.pk}/communication/"
    return {"inbox": "/messages/inbox/", "conversation": message, "communication": talk}


def open_letter(page: Any, name: str, path: str) -> None:
    """Go there and read the letter in its frame."""
    page.goto(path)
    if name == "inbox":
        page.locator(".row", has_text=SUBJECT).click()
    page.frame_locator("iframe.letter").first.get_by_text(WORDS).wait_for()


@pytest.mark.rule("S-105")
@pytest.mark.parametrize("name", ["inbox", "conversation", "communication"])
def test_s105_back_after_signing_out_shows_nothing(
    name: str, office: Office, address: str, keeper: Any, shoot: Callable[[Any, str], None]
) -> None:
    context = keeper.new_context(base_url=address, viewport=DESK, reduced_motion="reduce")
    context.add_cookies([{"url": address, **session_of(office.marta)}])
    page = context.new_page()
    page.set_default_timeout(15_000)
    open_letter(page, name, pages(office)[name])
    before = everything_shown(page)
    assert SUBJECT in before and WORDS in before and "Marta" in before  # else nothing could be missing below

    page.get_by_role("button", name="Marta Lindqvist").first.click()
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url("**/sign-in/")
    for _ in range(2):  # the page with the letter, and what was open before it
        page.go_back(wait_until="commit")
        page.wait_for_timeout(700)
        shown = everything_shown(page)
        assert [word for word in PRIVATE if word in shown] == [], page.url
    shoot(page, f"back-{name}")
    context.close()


@pytest.mark.rule("S-105")
def test_s105_a_page_that_was_kept_whole_asks_the_server_before_it_is_seen_again(
    office: Office, visit: Callable[..., Any]
) -> None:
    """As browsers do that keep pages whatever their headers say."""
    page = visit(office.marta)
    shown_again = 'dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))'
    open_letter(page, "conversation", pages(office)["conversation"])
    page.evaluate("window.before = true")
    with page.expect_navigation():
        page.evaluate(shown_again)
    assert page.evaluate("[window.before === undefined, document.body.hidden]") == [True, False]
    page.frame_locator("iframe.letter").first.get_by_text(WORDS).wait_for()

    page.context.clear_cookies()
    assert page.evaluate(f"{shown_again}; document.body.hidden") is True
    page.wait_for_url("**/sign-in/**")
    shown = everything_shown(page)
    assert [word for word in PRIVATE if word in shown] == []
