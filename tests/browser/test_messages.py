"""Messages in a browser: the keyboard, Undo, the five actions, filters, paging, and mail that appears by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]
INBOX = "/messages/inbox/"


def row(page: Any, words: str) -> Any:
    return page.locator(".row", has_text=words)


def test_a_new_letter_appears_by_itself(office: Office, visit: Visit) -> None:
    from tests.web.office import letter

    page = visit(office.marta)
    page.goto(INBOX)
    page.wait_for_selector(".row")
    before = page.locator("#side-inbox").inner_text()
    page.wait_for_timeout(800)  # the stream is open
    office.arrive("fresh", letter(subject="Fibre is dark in Mill Lane"))
    row(page, "Fibre is dark").wait_for()
    assert page.locator(".row").first.inner_text().find("Fibre is dark") > 0
    page.wait_for_timeout(900)
    assert page.locator("#side-inbox").inner_text() == str(int(before) + 1)
    assert page.locator("#totals").inner_text().startswith("9 messages")
    unread = page.locator("#filters .chip", has_text="Unread").inner_text()
    assert unread.split()[-1] == str(int(before) + 1)


def test_while_one_reads_further_down_new_letters_wait_behind_a_button(
    office: Office, visit: Visit, shoot: Callable[[Any, str], None]
) -> None:
    from tests.web.office import letter

    page = visit(office.marta, size={"width": 1440, "height": 480})
    page.goto(INBOX)
    page.wait_for_selector(".row")
    page.wait_for_timeout(800)  # the stream is open
    page.evaluate("document.getElementById('list').scrollTop = 150")
    office.arrive("fresh", letter(subject="Fibre is dark in Mill Lane"))
    button = page.get_by_role("button", name="1 new message", exact=True)
    button.wait_for()
    office.arrive("fresh too", letter(subject="Fibre is dark in Oak Road"))
    button = page.get_by_role("button", name="2 new messages")
    button.wait_for()
    shoot(page, "inbox-news")
    assert page.evaluate("document.getElementById('list').scrollTop") == 150
    assert row(page, "Fibre is dark").count() == 0
    button.click()
    row(page, "Oak Road").wait_for()
    assert row(page, "Mill Lane").count() > 0 and not button.is_visible()
    assert page.evaluate("document.getElementById('list').scrollTop") == 0

    # Scrolling up by hand does the same.
    page.evaluate("document.getElementById('list').scrollTop = 150")
    office.arrive("fresh three", letter(subject="Fibre is dark in Elm Street"))
    page.get_by_role("button", name="1 new message", exact=True).wait_for()
    page.evaluate("document.getElementById('list').scrollTop = 0")
    row(page, "Elm Street").wait_for()
    assert not page.get_by_role("button", name="1 new message", exact=True).is_visible()


def test_another_persons_letter_never_reaches_the_page(office: Office, visit: Visit) -> None:
    """The boss's open page hears of nothing: no request follows, no count moves."""
    from tests.web.office import letter

    page = visit(office.boss)
    page.goto(INBOX)
    page.wait_for_timeout(800)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    office.arrive("fresh", letter(subject="Fibre is dark in Mill Lane"))
    page.wait_for_timeout(1500)
    assert asked == []


def test_by_keyboard_to_a_message_and_back(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(INBOX)
    page.keyboard.press("j")
    assert "New office" in page.evaluate("document.activeElement.closest('.row').innerText")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inbox/{office.mail['unknown'].pk}/")
    assert page.locator(".row[aria-current=true]").count() == 1
    page.keyboard.press("]")
    page.wait_for_url(f"**/inbox/{office.mail['bare'].pk}/")
    page.keyboard.press("[")
    page.wait_for_url(f"**/inbox/{office.mail['unknown'].pk}/")
    page.keyboard.press("u")
    page.get_by_role("status").get_by_text("Marked as unread").wait_for()
    assert row(page, "New office").get_attribute("data-unread") is not None


def test_delete_and_undo(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(INBOX)
    page.keyboard.press("j")
    page.keyboard.press("#")
    page.get_by_text("“New office at Mill Lane 14: can you connect us?” deleted").wait_for()
    assert row(page, "New office").count() == 0
    page.keyboard.press("z")
    row(page, "New office").wait_for()


@pytest.mark.parametrize("where", ["row", "card"])
def test_pair_from_the_row_and_from_the_card(where: str, office: Office, visit: Visit) -> None:
    message = office.mail["unknown"].pk
    page = visit(office.marta)
    page.goto(INBOX if where == "row" else f"{INBOX}{message}/")
    if where == "row":
        row(page, "New office").get_by_label("Pair to a customer").click()
        page.wait_for_url(f"**/{message}/do/pair/")
        page.get_by_role("button", name="Pair").first.click()
    else:
        page.keyboard.press("p")
    page.wait_for_url(f"**/inbox/{message}/")
    page.get_by_text("Paired to Hoffmann Tiling").wait_for()
    assert page.locator(".triage").count() == 0
    assert "Hoffmann Tiling" in row(page, "New office").inner_text()
    page.keyboard.press("z")
    page.locator(".triage").wait_for()


def test_pair_by_search(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/messages/{office.mail['bare'].pk}/do/pair/")
    page.keyboard.type("brandt")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pair").click()
    page.get_by_text("Paired to Brandt Bakery").wait_for()


def test_add_a_lead(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"{INBOX}{office.mail['bare'].pk}/")
    page.get_by_role("link", name="Add as lead").click()
    page.get_by_label("Name").fill("Harbour View")
    page.get_by_role("button", name="Add and pair").click()
    page.get_by_text("Lead Harbour View added").wait_for()
    page.locator(".head").get_by_role("link", name="Harbour View").click()
    page.wait_for_url("**/communication/")
    page.get_by_role("button", name="Convert to customer").click()
    page.get_by_text("Harbour View is now a customer").wait_for()


def test_block_a_domain_and_unblock(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(INBOX)
    page.keyboard.press("j")
    page.keyboard.press("b")
    page.wait_for_url("**/do/block/")
    page.get_by_text("The whole domain").click()
    page.get_by_text("Also remove here").click()
    page.get_by_role("button", name="Block email").click()
    page.get_by_text("tiling-hoffmann.example blocked").wait_for()
    assert row(page, "New office").count() == 0
    page.goto("/messages/blocked/")
    page.get_by_role("button", name="Unblock").click()
    page.get_by_text("no longer blocked").wait_for()
    assert page.get_by_role("button", name="Unblock").count() == 0


def test_filters_and_period(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(INBOX)
    page.get_by_role("link", name="Leads", exact=True).last.click()
    page.wait_for_url("**?show=leads")
    assert page.locator(".row").count() == 1
    page.get_by_label("Filter by period and text").click()
    page.get_by_label("Words").fill("ovens")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Nothing found").wait_for()
    page.get_by_role("link", name="Show all messages").click()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") in ("q", "")


def test_paging_is_stable_while_mail_arrives(office: Office, visit: Visit) -> None:
    from tests.web.office import letter
    from tests.world import arrive

    old = [letter(subject=f"Old {number:03}") for number in range(60)]
    for number, raw in enumerate(old):
        office.arrive(f"old{number}", raw, ago=timedelta(days=30, minutes=number))
    page = visit(office.marta)
    page.goto(INBOX)
    assert page.locator(".row").count() == 50
    last = page.locator(".row").last.inner_text()
    arrive(office.acting_as, office.inbox, letter(subject="In between"))
    page.get_by_role("link", name="Older messages").click()
    page.wait_for_url("**after=**")
    first = page.locator(".row").first.inner_text()
    number = int(last.split("Old ")[1][:3])
    assert f"Old {number + 1:03}" in first
    assert page.locator(".row").count() == 18


def test_the_palette_finds_a_message_and_what_can_be_done(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"{INBOX}{office.mail['unknown'].pk}/")
    page.keyboard.press("Control+k")
    page.keyboard.type("ovens")
    page.locator("#palette [role=option]", has_text="Packet loss").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inbox/{office.mail['known'].pk}/")
    page.keyboard.press("Control+k")
    page.keyboard.type("delete")
    page.locator("#palette-do-delete").wait_for()
    page.keyboard.press("Escape")
    page.locator("#palette").wait_for(state="hidden")  # until then a key is typed into it
    page.keyboard.press("?")
    page.get_by_role("dialog", name="All shortcuts").wait_for()


def test_a_reader_reads_and_cannot_write(office: Office, visit: Visit) -> None:
    page = visit(office.elena)
    page.goto(f"{INBOX}{office.mail['unknown'].pk}/")
    page.get_by_text("Marta’s mailbox, shared with you").wait_for()
    for name in ("Reply", "Forward", "Pair", "Delete message", "Block email"):
        assert (
            page.get_by_role("button", name=name).count() + page.get_by_role("link", name=name).count() == 0
        )
    page.keyboard.press("#")
    page.keyboard.press("p")
    page.wait_for_timeout(300)
    assert page.url.endswith(f"/inbox/{office.mail['unknown'].pk}/")
