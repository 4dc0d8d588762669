"""Who can see a message and who opened it, as they look to the owner and to a reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import DESK, PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]


@pytest.mark.parametrize(
    ("look", "size", "dark"), [("light", DESK, False), ("mobile-dark", PHONE, True)], ids=lambda v: str(v)[:8]
)
def test_from_the_readers_click_to_the_owners_log(
    office: Office, visit: Visit, shoot: Callable[[Any, str], None], look: str, size: Any, dark: bool
) -> None:
    place = f"/messages/inbox/{office.mail['known'].pk}/"
    elena = visit(office.elena, size, dark)
    elena.goto(place)
    elena.get_by_text("Marta Lindqvist can see in the reader log that you opened this.").wait_for()
    shoot(elena, f"noted-{look}")
    elena.get_by_role("button", name="Marta’s mailbox, shared with you").click()
    elena.get_by_text("Marta Lindqvist sees in the reader log when you open it.").wait_for()
    assert office.tom.name not in elena.inner_text("body")
    shoot(elena, f"who-sees-reader-{look}")
    elena.goto(f"/customers/{office.brandt.pk}/communication/")
    elena.get_by_text("Marta Lindqvist can see in the reader log that you opened these messages.").wait_for()
    shoot(elena, f"noted-communication-{look}")
    elena.locator("summary .seen-by").first.click()
    elena.get_by_text("Shared with you by Marta Lindqvist").locator("visible=true").wait_for()

    marta = visit(office.marta, size, dark)
    marta.goto(place)
    marta.get_by_role("button", name="You and Elena").click()
    marta.get_by_text("waits until a mailbox of their own is set up").wait_for()
    shoot(marta, f"who-sees-owner-{look}")
    marta.get_by_role("link", name="Reader log").locator("visible=true").click()
    marta.get_by_text("Only the openings of one message.").wait_for()
    marta.goto(f"/customers/{office.brandt.pk}/communication/")
    shoot(marta, f"who-sees-communication-{look}")
    marta.locator("summary .seen-by").last.click()
    marta.get_by_text("Who can see this").locator("visible=true").wait_for()
    shoot(marta, f"who-sees-card-{look}")
    marta.goto("/profile/reader-log/")
    marta.get_by_text("Conversation,", exact=False).first.wait_for()
    assert marta.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shoot(marta, f"reader-log-{look}")
    marta.get_by_role("switch", name="Send me a daily digest").check()
    shoot(marta, f"digest-{look}")
    marta.locator("#digest").get_by_role("button", name="Save").click()
    marta.get_by_text("Saved").first.wait_for()
    zone = marta.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone").replace("_", " ")
    marta.get_by_text(f"after 7:00 ({zone} time)").wait_for()
    assert marta.get_by_role("switch", name="Send me a daily digest").is_checked()
    with marta.expect_download() as file:
        marta.get_by_role("link", name="CSV").click()
    assert file.value.suggested_filename == "reader-log.csv"
