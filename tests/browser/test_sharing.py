"""One conversation shared with one colleague by name, as it looks on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]


@pytest.mark.rule("S-062")
@pytest.mark.rule("S-133")
def test_from_the_pill_to_the_colleague_and_back(
    office: Office, visit: Visit, shoot: Callable[[Any, str], None]
) -> None:
    from postern.mailboxes.models import Reader
    from tests.web.office import letter

    with office.acting_as("superuser"):
        Reader.objects.all().delete()
    known = f"/messages/inbox/{office.mail['known'].pk}/"
    elena = visit(office.elena)
    elena.goto("/messages/inbox/")
    elena.get_by_text("Nothing waiting").first.wait_for()

    marta = visit(office.marta)
    marta.goto(known)
    marta.get_by_role("button", name="Only you can see this").click()
    marta.get_by_text("Share this conversation…").last.click()
    marta.get_by_label("Colleague").select_option(label="Elena Ruiz")
    marta.get_by_label("Until (empty: no end)").fill("2199-12-31")
    shoot(marta, "share-form")
    marta.get_by_role("button", name="Share", exact=True).click()
    marta.get_by_text("Elena Ruiz can now read this conversation.").wait_for()
    marta.get_by_role("button", name="You and Elena").click()
    marta.get_by_text("until 31 December 2199").last.wait_for()
    shoot(marta, "share-given")

    # The page that Elena had open finds it by itself.
    elena.get_by_text("in marta@northlink.example").first.wait_for(timeout=20_000)
    elena.goto(known)
    elena.get_by_text("Marta’s conversation, shared with you").first.wait_for()
    assert elena.get_by_text("Share this conversation").count() == 0
    shoot(elena, "share-seen")

    line = "References: <thread@brandt-bakery.example>\r\n"
    office.arrive("aside", letter(sender="Paul <paul@else.example>", subject="By the way", headers=line))
    aside = f"/messages/inbox/{office.mail['aside'].pk}/"
    marta.goto(aside)
    marta.get_by_text("This answers a conversation that you shared with Elena Ruiz.").wait_for()
    shoot(marta, "share-aside")
    marta.get_by_role("button", name="Add it there").click()
    marta.get_by_text("Added to the conversation.").wait_for()
    elena.goto(aside)
    elena.get_by_role("heading", name="By the way").wait_for()
    shoot(marta, "share-added")
    marta.get_by_role("button", name="Take it out again").click()
    marta.get_by_text("Taken out of the conversation again.").wait_for()
    elena.goto("/messages/inbox/")
    elena.get_by_text("Packet loss in the mornings").first.wait_for()
    assert elena.get_by_text("By the way").count() == 0

    marta.goto(f"/customers/{office.brandt.pk}/communication/?thread={office.mail['known'].conversation_id}")
    marta.get_by_role("button", name="Share this conversation").click()
    shoot(marta, "share-communication")
    marta.get_by_role("button", name="Take back from Elena Ruiz").click()
    marta.get_by_text("Elena Ruiz can no longer read this conversation.").wait_for()
    marta.get_by_role("button", name="Only you can see this").first.wait_for()
    elena.goto("/messages/inbox/")
    elena.get_by_text("Nothing waiting").first.wait_for()
    marta.set_viewport_size(PHONE)
    marta.goto(known)
    marta.get_by_role("button", name="Only you can see this").click()
    marta.get_by_text("Share this conversation…").last.click()
    marta.get_by_label("Colleague").wait_for()
    assert marta.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    shoot(marta, "share-phone")
