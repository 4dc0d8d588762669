"""A reader who may answer: the grant, the composer, and both names, as they look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import DESK, PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]


def test_from_the_grant_to_the_sent_answer(
    office: Office, visit: Visit, shoot: Callable[[Any, str], None]
) -> None:
    marta = visit(office.marta)
    marta.goto("/profile/email/#access")
    marta.get_by_label("Administrator").select_option(label="Elena Ruiz")
    marta.get_by_role("checkbox", name="May answer in my name").check()
    shoot(marta, "behalf-grant")
    marta.get_by_role("button", name="Give access").click()
    marta.get_by_text("Elena Ruiz can now read this mailbox and answer in your name.").wait_for()
    marta.get_by_text("May answer it in your name, from your address.").wait_for()
    shoot(marta, "behalf-granted")

    elena = visit(office.elena)
    elena.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    elena.get_by_text("You answer in the name of Marta Lindqvist.").wait_for()
    assert elena.get_by_role("button", name="Forward").count() == 0
    shoot(elena, "behalf-message")
    elena.keyboard.press("r")
    elena.wait_for_selector(".ProseMirror")
    elena.get_by_text("You answer on behalf of Marta Lindqvist,").wait_for()
    elena.get_by_text("from marta@northlink.example.", exact=False).first.wait_for()
    elena.locator(".ProseMirror").press_sequentially("We come on Tuesday.")
    elena.get_by_text("Draft saved").wait_for()
    shoot(elena, "behalf-composer")
    draft = elena.url
    elena.goto("/messages/drafts/")
    elena.get_by_text("for Marta Lindqvist").wait_for()
    shoot(elena, "behalf-drafts")
    elena.goto(draft)
    elena.wait_for_selector(".ProseMirror")
    elena.locator("[data-action=send]").click()
    elena.get_by_text("Sending in 10 seconds").wait_for()
    marta.goto(f"/customers/{office.brandt.pk}/communication/")
    marta.get_by_text("by Elena Ruiz in your name").wait_for()
    shoot(marta, "behalf-owner-communication")
    marta.goto(draft)
    marta.get_by_text("written by Elena Ruiz in your name").wait_for()
    shoot(marta, "behalf-owner-fate")
    marta.get_by_role("button", name="Stop it").click()
    marta.get_by_text("took it back").wait_for()
    elena.goto(draft)
    elena.wait_for_selector(".ProseMirror")
    elena.get_by_text("Marta Lindqvist, in whose name it was written, took it back.").wait_for()


@pytest.mark.parametrize(
    ("look", "size", "dark"), [("dark", DESK, True), ("mobile-light", PHONE, False)], ids=lambda v: str(v)[:8]
)
def test_what_is_left_when_the_right_ends(
    office: Office, visit: Visit, shoot: Callable[[Any, str], None], look: str, size: Any, dark: bool
) -> None:
    from postern.mailboxes.models import Reader

    with office.acting_as("superuser"):
        Reader.objects.filter(staff=office.elena).update(may_reply=True)
    page = visit(office.elena, size, dark)
    page.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    page.get_by_role("button", name="Reply", exact=False).first.click()
    page.wait_for_selector(".ProseMirror")
    page.locator(".ProseMirror").press_sequentially("My own words.")
    page.get_by_text("Draft saved").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shoot(page, f"behalf-composer-{look}")
    with office.acting_as("superuser"):
        Reader.objects.filter(staff=office.elena).update(may_reply=False)
    page.locator(".ProseMirror").press_sequentially("More. ")
    page.get_by_text("You can no longer answer this message").wait_for()
    page.locator("[data-action=send]").click()
    page.get_by_text("You can no longer answer this message").first.wait_for()
    page.wait_for_selector(".ProseMirror")
    assert "More. " in page.locator(".ProseMirror").inner_text()  # what was typed is still there to be copied
    shoot(page, f"behalf-refused-{look}")
    page.goto("/messages/drafts/")
    page.get_by_role("link", name="An answer that can no longer be sent").click()
    page.get_by_text("My own words.").wait_for()
    assert "it started again" not in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shoot(page, f"behalf-ended-{look}")
    page.get_by_role("button", name="Discard").click()
    page.get_by_text("Draft discarded").wait_for()
