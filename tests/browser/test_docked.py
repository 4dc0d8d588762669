"""The composer docked below a customer's conversation: what one answers stays in sight."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import DESK, PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]


def communication(office: Office) -> str:
    return f"/customers/{office.brandt.pk}/communication/"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_reply_is_written_below_what_it_answers(office: Office, visit: Visit, scripts: bool) -> None:
    from postern.mail.access import viewing_as
    from postern.outbox.models import Delivery

    page = visit(office.marta, scripts=scripts)
    page.goto(communication(office))
    page.get_by_role("button", name="Reply to").click()
    page.wait_for_url(re.compile(r"/communication/\?write=\d+$"))
    draft = int(page.url.rpartition("=")[2])
    assert "ovens heat up" in page.locator("#timeline").inner_text()
    if scripts:
        page.locator("#composer .ProseMirror").click()
        page.keyboard.press("Control+Home")
        page.keyboard.type("We come tomorrow.")
    else:
        page.get_by_role("textbox", name="Message").fill("We come tomorrow.")
    page.locator("#composer").get_by_role("button", name="Send").click()
    page.wait_for_url("**" + communication(office))
    assert page.get_by_text("Sending in 10 seconds").first.is_visible()
    with viewing_as(office.marta):
        row = Delivery.objects.get(pk=draft)
        assert (row.state, "We come tomorrow." in row.text) == ("queued", True)


def test_a_draft_goes_on_where_it_was_left(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(communication(office))
    page.keyboard.press("c")
    page.wait_for_selector("#composer .ProseMirror")
    page.get_by_label("Subject").fill("A visit")
    page.wait_for_url(re.compile(r"write=\d+$"))
    page.goto(communication(office))
    assert page.locator("#composer").count() == 0
    page.locator(".banner", has_text="A visit").get_by_role("link", name="Continue writing").click()
    page.wait_for_selector("#composer .ProseMirror")
    assert page.get_by_label("Subject").input_value() == "A visit"
    assert page.locator(".banner", has_text="A visit").count() == 0  # it is in the composer already
    page.get_by_label("Write on a page of its own").click()
    page.wait_for_url(re.compile(r"/compose/\d+/$"))
    assert page.get_by_label("Subject").input_value() == "A visit"


def test_new_mail_does_not_disturb_who_writes(office: Office, visit: Visit) -> None:
    from tests.world import letter

    page = visit(office.marta)
    page.goto(communication(office) + "?write=new")
    page.wait_for_selector("#composer .ProseMirror")
    page.get_by_label("Subject").fill("Half a")
    office.arrive("fresh", letter(to="marta@northlink.example", subject="It just broke again"))
    page.evaluate("document.body.dispatchEvent(new CustomEvent('mail:new'))")
    page.get_by_text("It just broke again").first.wait_for()
    assert page.get_by_label("Subject").input_value() == "Half a"


def test_nobody_elses_draft_is_docked(office: Office, visit: Visit) -> None:
    page = visit(office.elena)
    page.goto(f"{communication(office)}?write={office.out['draft'].pk}")
    assert page.locator("#composer").count() == 0
    for nonsense in ("x", "-1", "9" * 30):
        assert page.goto(f"{communication(office)}?write={nonsense}").status == 200
        assert page.locator("#composer").count() == 0


@pytest.mark.parametrize(
    ("look", "size", "dark"), [("light", DESK, False), ("dark", DESK, True), ("mobile-light", PHONE, False)]
)
def test_how_it_looks(office: Office, visit: Visit, shoot: Any, look: str, size: Any, dark: bool) -> None:
    page = visit(office.marta, size, dark)
    page.goto(communication(office))
    page.get_by_role("button", name="Reply to").click()
    page.wait_for_selector("#composer .ProseMirror")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shoot(page, f"docked-{look}")
