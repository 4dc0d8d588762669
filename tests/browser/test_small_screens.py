"""What is said about privacy is read whole on small screens too, and menus behave as menus do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from tests.browser.conftest import DESK, PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]
TABLET = {"width": 1024, "height": 768}
LONG = "Ana-Lucía Fernández de Córdoba y Álvarez de Toledo"

# What reaches beyond its pane, or is cut off inside itself.
CUT = """root => [...root.querySelectorAll('*')].filter(one => {
  if (!one.checkVisibility() || one.closest('.sr')) return false;
  const box = one.getBoundingClientRect(), pane = root.getBoundingClientRect();
  const hides = getComputedStyle(one).overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1;
  return box.right > pane.right + 1 || box.left < pane.left - 1 || hides;
}).map(one => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 40)}`)"""


@pytest.mark.parametrize("size", [PHONE, TABLET], ids=["phone", "tablet"])
def test_whose_mail_it_is_and_until_when_is_read_whole(office: Office, visit: Visit, size: Any) -> None:
    from postern.mailboxes.models import Reader

    with office.acting_as("superuser"):
        until = timezone.now() + timedelta(days=400)
        Reader.objects.filter(staff=office.elena).update(ends_at=until)
    page = visit(office.elena, size)
    page.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    pill = page.get_by_role("button", name="Marta’s mailbox, shared with you until")
    pill.wait_for()
    head = page.locator("[data-reading] > .head")
    assert head.evaluate(CUT) == []
    page.goto(f"/customers/{office.brandt.pk}/communication/")
    said = page.locator("summary .seen-by").locator("visible=true").last
    assert said.evaluate(CUT) == [] and f"{timezone.localtime(until):%Y}" in said.inner_text()
    assert page.locator(".mail[open] > summary").last.evaluate(CUT) == []


@pytest.mark.parametrize("size", [PHONE, TABLET, DESK], ids=["phone", "tablet", "desk"])
def test_lists_of_people_and_openings_are_read_whole(office: Office, visit: Visit, size: Any) -> None:
    from postern.people.models import Staff

    with office.acting_as("superuser"):
        email = "ana-lucia.fernandez-de-cordoba-y-alvarez@northlink.example"
        Staff.objects.filter(pk=office.elena.pk).update(name=LONG, email=email)
    elena = visit(office.elena)
    elena.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    boss, marta = visit(office.boss, size), visit(office.marta, size)
    boss.goto("/config/administrators/")
    assert boss.locator("main .card").first.evaluate(CUT) == []
    boss.get_by_role("link", name=f"Change {LONG}").click()
    boss.get_by_role("heading", name=LONG, level=2).wait_for()
    marta.goto("/profile/reader-log/")
    marta.locator(".openings", has_text=LONG).wait_for()
    assert marta.locator(".openings").evaluate(CUT) == []


def test_an_address_within_a_page_leaves_the_sidebar_where_it_is(office: Office, visit: Visit) -> None:
    page = visit(office.marta, TABLET)
    page.goto("/profile/email/#access")
    page.get_by_role("heading", name="Access settings").wait_for()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight && scrollY === 0")


def test_a_chosen_filter_is_read_on_its_dark_ground(office: Office, visit: Visit) -> None:
    """It has the colours of any chosen one; amber on black was not to be read."""
    page = visit(office.marta)
    chosen = page.locator(".chip[aria-current]")
    colours = "one => { const s = getComputedStyle(one); return [s.color, s.backgroundColor] }"
    page.goto("/messages/inbox/?show=unknown")
    assert "Author not found" in chosen.inner_text()
    found = chosen.evaluate(colours)
    page.goto("/messages/inbox/")
    assert chosen.inner_text() == "All" and chosen.evaluate(colours) == found


def test_the_menu_leads_to_the_form_closes_and_gives_the_focus_back(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    more, menu = page.locator("summary[aria-label=More]"), page.locator("[data-reading] details.more")
    focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.id"
    more.click()
    page.locator("[data-reading] h1").click()
    assert menu.get_attribute("open") is None
    more.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None and page.evaluate(focused) == "More"
    more.press("Enter")
    page.get_by_role("button", name="Share this conversation…").press("Enter")
    panel = page.get_by_role("dialog", name="Who can see this")
    panel.get_by_label("Colleague").wait_for()
    page.wait_for_function(f"({focused}) === 'share-colleague'")
    assert menu.get_attribute("open") is None
    page.keyboard.press("Escape")
    assert panel.count() == 0 and page.evaluate(focused) == "More"
