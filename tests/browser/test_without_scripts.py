"""With JavaScript off: reading, triage, settings and plain-text sending are forms and links."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.office import Office


@pytest.fixture
def page(office: Office, visit: Callable[..., Any]) -> Any:
    return visit(office.marta, scripts=False)


def test_reading_and_triage(page: Any, office: Office) -> None:
    message = office.mail["unknown"].pk
    page.goto("/messages/inbox/")
    page.locator(".row .open").first.click()
    page.wait_for_url(f"**/inbox/{message}/")
    page.frame_locator("iframe.letter").get_by_text("Mill Lane 14").wait_for()
    page.locator(".triage").get_by_role("button", name="Pair").click()
    page.get_by_text("Paired to Hoffmann Tiling").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    page.goto(f"/messages/inbox/{message}/")
    page.locator(".head").get_by_role("button", name="Delete message").click()
    page.get_by_text("deleted").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.locator(".row", has_text="New office").wait_for()


def test_a_conversation_opens_and_folds(page: Any, office: Office) -> None:
    page.goto(f"/customers/{office.brandt.pk}/communication/")
    page.locator("details.mail").first.locator("summary").click()
    page.get_by_role("link", name="Opening hours over Christmas").click()
    page.get_by_role("heading", name="Opening hours over Christmas").wait_for()


def test_plain_text_is_sent(page: Any, office: Office) -> None:
    page.goto(f"/compose/?customer={office.brandt.pk}")
    page.get_by_label("Subject").fill("A visit")
    page.get_by_label("Message", exact=True).fill("Dear Greta,\n\nwe come on Tuesday.")
    page.locator("[name=files]").set_input_files(
        {"name": "Visit.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4"}
    )
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("Draft saved").wait_for()
    assert page.locator(".file", has_text="Visit.pdf").count() == 1
    page.locator("button[value=send]").click()
    page.wait_for_url("**/communication/")
    page.get_by_text("Sending in 10 seconds").wait_for()
    page.locator("#toast").get_by_role("button").click()
    page.wait_for_url("**/compose/**")
    assert "we come on Tuesday" in page.get_by_label("Message", exact=True).input_value()


def test_settings_are_saved_and_refused_whole(page: Any, office: Office) -> None:
    page.goto("/profile/email/")
    page.get_by_label("Deny list").fill("deals.example # newsletters")
    page.get_by_label("Mark as read").check()
    page.get_by_role("button", name="Save changes").first.click()
    page.get_by_text("Saved.").wait_for()
    assert "deals.example" in page.get_by_label("Deny list").input_value()
    page.get_by_label("Deny list").fill("fine.example\nnot a pattern !")
    page.get_by_role("button", name="Save changes").first.click()
    page.get_by_text("Nothing was saved.").wait_for()
    page.goto("/profile/email/")
    assert "fine.example" not in page.get_by_label("Deny list").input_value()


def test_a_search_without_the_palette(page: Any, office: Office) -> None:
    page.goto("/jump/?q=brandt")
    page.get_by_role("link", name="Brandt Bakery").click()
    page.wait_for_url(f"**/customers/{office.brandt.pk}/")
