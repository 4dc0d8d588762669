"""What is done to an account at the server's shell: it ends what is signed in, is logged for good and told (S-134)."""

from __future__ import annotations

import email
import re
from email import policy

import pytest
from django.db import DatabaseError, transaction

from postern.mail.access import viewing_as
from postern.people import handover, shell
from postern.people.models import Handover, Notice, Staff
from postern.people.staff import change_staff
from postern.people.tokens import make_token, verify_token
from tests.web.browser import Browser

from .test_leaving import active, hand_over, sees, system
from .test_leaving import boss as boss
from .test_leaving import elena as elena
from .test_leaving import listening as listening
from .test_tasks import run_worker

OWN = {"new_password1": "nobody else knows it", "new_password2": "nobody else knows it"}


def reset(acting_as, staff) -> str:
    with acting_as("owner"):
        return shell.reset_password(staff)


def works(secret) -> bool:
    with transaction.atomic():
        return verify_token(secret) is not None


def signed_in(staff, password) -> Browser:
    browser = Browser()
    assert browser.post("/sign-in/", {"email": staff.email, "password": password}).status_code == 302
    return browser


@pytest.mark.rule("S-134")
def test_s134_a_one_time_password_ends_everything_and_opens_only_the_page_to_choose_another(
    outbox, marta, boss, message, acting_as, listening
):
    browser = Browser()
    browser.force_login(marta)
    with viewing_as(marta):
        _, secret = make_token(staff=marta, name="script")
    assert browser.get("/live/").status_code == 200 and works(secret)

    with listening("postern_events") as heard:
        first = reset(acting_as, marta)
        assert ("postern_events", {"kind": "access", "mailbox": 0, "id": marta.pk}) in heard()

    assert browser.get("/live/").status_code == 302 and not works(secret)
    again = signed_in(marta, first)
    for path in ("/messages/inbox/", f"/messages/inbox/{message.pk}/", "/profile/", "/notices/"):
        assert again.get(path).headers.get("Location") == "/first-password/" or path == "/notices/", path
    same = {"new_password1": first, "new_password2": first}
    assert "Choose another" in again.post("/first-password/", same).content.decode()
    assert again.post("/first-password/", OWN).status_code == 302
    # Told before anything else, and the mail is theirs as it was.
    assert again.get("/messages/inbox/").headers["Location"] == "/notices/"
    page = again.get("/notices/").content.decode()
    assert "made a one-time password for you" in page
    again.post("/notices/", {"upto": re.search(r'name="upto" value="(\d+)"', page)[1]})
    assert again.get(f"/messages/inbox/{message.pk}/").status_code == 200
    stale = Browser()
    assert stale.post("/sign-in/", {"email": marta.email, "password": first}).status_code == 422
    assert "One-time password made at the server’s shell" in again.get("/profile/").content.decode()


@pytest.mark.rule("S-134")
def test_s134_both_are_logged_told_by_mail_and_shown_to_super_administrators(
    outbox, marta, boss, elena, server, acting_as
):
    system(boss, server)
    first = reset(acting_as, marta)
    with acting_as("owner"):
        secret = shell.token_for(marta, "backup script")
    assert works(secret)
    run_worker(acting_as)
    letters = [email.message_from_bytes(taken.data, policy=policy.default) for taken in server.taken]
    told = " ".join(" ".join(letter.get_body().get_content().split()) for letter in letters)
    assert [taken.recipients for taken in server.taken] == [[marta.email]] * 2
    assert "made a one-time password for you" in told and "“backup script”" in told
    assert first not in told and secret not in told
    with viewing_as(boss):
        rows = list(Handover.objects.values_list("owner", "by", "ground"))
    assert rows == [(marta.pk, None, "token"), (marta.pk, None, "password")]
    browser = Browser()
    browser.force_login(boss)
    page = browser.get(f"/config/administrators/{marta.pk}/").content.decode()
    assert "One-time password made at the server’s shell" in page and "API token made" in page
    with viewing_as(elena):
        assert not Handover.objects.exists() and not Notice.objects.exists()


def test_a_line_about_the_account_is_no_handover(outbox, marta, boss, elena, acting_as):
    reset(acting_as, marta)
    active(boss, marta, False)
    hand_over(boss, marta, elena)
    with acting_as("owner"):
        Handover.objects.create(owner=marta, ground=Handover.Ground.TOKEN)
    with viewing_as(boss):
        assert handover.in_force(Staff.objects.get(pk=marta.pk)).successor == elena


def test_who_may_not_sign_in_gets_neither(db, marta, boss, acting_as):
    active(boss, marta, False)
    for deed in (shell.reset_password, lambda staff: shell.token_for(staff, "x")):
        with acting_as("owner"), pytest.raises(Staff.DoesNotExist):
            deed(marta)
    with viewing_as(boss):
        assert not Handover.objects.exists()


@pytest.mark.rule("S-134")
@pytest.mark.parametrize("role", ["web", "sync", "send"])
def test_s134_no_process_can_do_it_for_anybody(outbox, marta, boss, message, acting_as, role):
    """Not even a super-administrator's request that runs what it should not."""
    before = Staff.objects.get(pk=marta.pk).password
    for deed in (shell.reset_password, lambda staff: shell.token_for(staff, "x")):
        with acting_as(role), pytest.raises((DatabaseError, Staff.DoesNotExist)), viewing_as(boss):
            deed(marta)
    assert Staff.objects.get(pk=marta.pk).password == before
    with viewing_as(boss):
        change_staff(by=boss, staff=marta, changes={"password": "x", "email": "x@y.example", "sign_ins": 9})
    row = Staff.objects.get(pk=marta.pk)
    assert (row.password, row.email, row.sign_ins) == (before, marta.email, 0)
    assert not sees(boss, message)
