"""The first password of somebody new: it ends, a super-administrator sees that and gives another, to nobody else."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from postern.mail.access import viewing_as
from postern.people.models import Staff
from postern.people.shell import reset_password
from postern.people.staff import add_staff
from tests.roles import hire
from tests.web.browser import Browser

NOTHING_ENDS, ENDS = "First password not changed yet", "First password ended"


@pytest.fixture
def ruth(db: None) -> Staff:
    return hire(email="ruth@isp.example", name="Ruth", role="super")


@pytest.fixture
def config(ruth: Staff) -> Browser:
    """The super-administrator's browser."""
    browser = Browser()
    browser.force_login(ruth)
    return browser


@pytest.fixture
def nadia(ruth: Staff) -> tuple[Staff, str]:
    """Somebody new, and her first password."""
    with viewing_as(ruth):
        return add_staff(by=ruth, name="Nadia", email="nadia@isp.example")


def three_days_later(acting_as: Any, whose: Staff) -> None:
    with acting_as("superuser"):
        Staff.objects.filter(pk=whose.pk).update(one_time_until=Now() - timedelta(seconds=1))


def works(email: str, password: str) -> bool:
    return Browser().post("/sign-in/", {"email": email, "password": password}).status_code == 302


def test_a_new_one_after_the_first_has_ended(
    config: Browser, nadia: tuple[Staff, str], acting_as: Any
) -> None:
    staff, first = nadia
    assert works(staff.email, first)
    everybody = config.get("/config/administrators/").content.decode()
    assert everybody.count(NOTHING_ENDS) == 1 and ENDS not in everybody
    three_days_later(acting_as, staff)
    assert not works(staff.email, first)
    everybody = config.get("/config/administrators/").content.decode()
    assert everybody.count(ENDS) == 1 and NOTHING_ENDS not in everybody
    page = config.get(f"/config/administrators/{staff.pk}/").content.decode()
    assert "It ended on" in page and "Make another first password" in page

    made = config.post(f"/config/administrators/{staff.pk}/first-password/").content.decode()
    second = re.search(r'<code class="mono">([\w-]+)</code>', made)[1]  # type: ignore[index]
    assert second != first and "It works until" in made
    assert works(staff.email, second) and not works(staff.email, first)
    again = config.get("/config/administrators/").content.decode()
    assert second not in again and ENDS not in again


def test_an_unused_one_can_be_replaced_before_it_ends(config: Browser, nadia: tuple[Staff, str]) -> None:
    staff, first = nadia
    assert config.post(f"/config/administrators/{staff.pk}/first-password/").status_code == 200
    assert not works(staff.email, first)


@pytest.mark.rule("S-134")
def test_s134_no_page_gives_one_to_who_had_a_password_of_their_own(
    config: Browser, ruth: Staff, acting_as: Any
) -> None:
    own, forgot = hire(email="own@isp.example", name="Own"), hire(email="forgot@isp.example", name="Forgot")
    with acting_as("owner"):
        reset_password(forgot)
    three_days_later(acting_as, forgot)
    for staff in (own, forgot, ruth):
        before = Staff.objects.get(pk=staff.pk).password
        page = config.get(f"/config/administrators/{staff.pk}/").content.decode()
        assert "Make another first password" not in page
        assert ("postern password" in page) == (staff is forgot)
        answer = config.post(f"/config/administrators/{staff.pk}/first-password/")
        assert answer.status_code == 422 and "at the server’s shell, makes another" in answer.content.decode()
        assert Staff.objects.get(pk=staff.pk).password == before


def test_it_is_not_there_for_anybody_else(db: None, nadia: tuple[Staff, str]) -> None:
    browser = Browser()
    browser.force_login(hire(email="tom@isp.example", name="Tom"))
    assert browser.post(f"/config/administrators/{nadia[0].pk}/first-password/").status_code == 404
    assert works(nadia[0].email, nadia[1])
