"""The palette on a slow server: what is typed, and what is closed, while a search runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]
WAIT = 20.0
FIELD, ANSWERS = "#palette input", "#palette-found [role=option]"


class Slow:
    """The palette's search, each answer of which waits to be let go."""

    def __init__(self, find: Callable[..., Any]) -> None:
        self.asked: list[str] = []
        self._news = threading.Condition()
        self._let = threading.Semaphore(0)
        self._find = find

    def find(self, staff: Any, query: str) -> Any:
        with self._news:
            self.asked.append(query)
            self._news.notify_all()
        self._let.acquire(timeout=WAIT)
        return self._find(staff, query)

    def wait_for(self, *queries: str) -> None:
        """Wait until as many were asked, which must be these."""
        with self._news:
            self._news.wait_for(lambda: len(self.asked) >= len(queries), WAIT)
            assert self.asked == [*queries]

    def answer(self, times: int = 1) -> None:
        self._let.release(times)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    from postern.web.base import jump

    search = Slow(jump.find)
    monkeypatch.setattr(jump, "find", search.find)
    yield search
    search.answer(100)


@pytest.fixture
def page(office: Office, visit: Visit, slow: Slow) -> Any:
    """Marta's inbox with the palette open; what the console says fails the test."""
    page = visit(office.marta)
    page.goto("/messages/inbox/")
    page.keyboard.press("Control+k")
    return page


def typed(page: Any, letters: str) -> None:
    """Type, and return when the page has decided what becomes of the search."""
    decided = """new Promise((done) => {
        document.querySelector("#palette input").addEventListener(
            "htmx:confirm", () => setTimeout(done), { once: true });
    })"""
    page.evaluate(f"() => {{ window.decided = {decided}; }}")
    page.keyboard.type(letters)
    page.evaluate("() => window.decided")


def answered(page: Any) -> None:
    page.locator(f"{FIELD}:not(.htmx-request)").wait_for(state="attached")


def test_what_is_typed_while_a_search_runs_is_searched_next(page: Any, slow: Slow) -> None:
    typed(page, "o")
    slow.wait_for("o")
    typed(page, "v")
    typed(page, "ens")
    slow.answer()
    slow.wait_for("o", "ovens")
    assert page.locator(ANSWERS).count() == 0  # those to "o" would only jump about
    slow.answer()
    page.locator(ANSWERS, has_text="Packet loss").wait_for()
    answered(page)
    assert slow.asked == ["o", "ovens"]


def test_an_answer_to_a_palette_that_was_closed_is_not_there_when_it_opens_again(
    page: Any, slow: Slow
) -> None:
    typed(page, "ovens")
    slow.wait_for("ovens")
    page.keyboard.press("Escape")
    slow.answer()
    answered(page)
    page.keyboard.press("Control+k")
    page.locator(f"{FIELD}:focus").wait_for()
    assert page.locator(FIELD).input_value() == ""
    assert page.locator(ANSWERS).count() == 0


def test_the_same_search_again_after_closing(page: Any, slow: Slow) -> None:
    slow.answer(100)
    page.keyboard.insert_text("ovens")
    page.locator(ANSWERS, has_text="Packet loss").wait_for()
    page.keyboard.press("Escape")
    page.locator(ANSWERS).wait_for(state="detached")
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("ovens")
    page.locator(ANSWERS, has_text="Packet loss").wait_for()


def test_following_a_link_while_a_search_runs(page: Any, slow: Slow) -> None:
    typed(page, "rep")
    slow.wait_for("rep")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Customers").first.click()
    page.wait_for_url("**/customers/**")
    slow.answer()
