"""A letter with an invitation says when and where, as text, whoever wrote it (S-010, S-013)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_world

CALENDAR = (
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:<b onclick=x>Visit</b>\r\n"
    "DTSTART;TZID=W. Europe Standard Time:20261124T100000\r\nLOCATION:House 1\r\n"
    "ORGANIZER;CN=Zoe:mailto:zoe@example.net\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
HEADERS = "Content-Type: multipart/mixed; boundary=b\r\n"
BODY = f"--b\r\n\r\nPlease come\r\n--b\r\nContent-Type: text/calendar; charset=utf-8\r\n\r\n{CALENDAR}\r\n--b--\r\n"


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    return make_world(acting_as)


def test_s010_s013_an_invitation_is_shown_as_text(world: World, acting_as: Any) -> None:
    (message,) = arrive(acting_as, world.inbox, letter(body=BODY, headers=HEADERS))
    browser = Browser()
    browser.force_login(world.owner)
    page = browser.get(f"/messages/inbox/{message.pk}/").content.decode()
    assert "Invitation: &lt;b onclick=x&gt;Visit&lt;/b&gt;" in page and "<b onclick" not in page
    assert "Tuesday, 24 November 2026, 10:00 (Europe/Berlin)" in page
    assert "House 1" in page and "Zoe" in page and "Please come" in page


def test_s013_an_ordinary_letter_has_no_banner(world: World, acting_as: Any) -> None:
    (message,) = arrive(acting_as, world.inbox, letter(body=CALENDAR))
    browser = Browser()
    browser.force_login(world.owner)
    page = browser.get(f"/messages/inbox/{message.pk}/").content.decode()
    assert "Invitation:" not in page
