"""The mailbox's page and the API say when it was last compared with its server; “Compare now” asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from postern.mailboxes.models import MailboxHealth
from tests.api.caller import Caller, ok
from tests.web.browser import Browser
from tests.web.office import Office

TOLD = "Nothing is missing. 2 had been missing and came in.\nINBOX: 2 on the server"
BUTTON = "Compare now"


def page(office: Office) -> str:
    browser = Browser()
    browser.force_login(office.marta)
    return browser.get("/profile/email/").content.decode()


def healthy(office: Office, acting_as: Any, **facts: Any) -> None:
    with acting_as("sync"):
        MailboxHealth.objects.update_or_create(mailbox=office.mailbox, defaults=facts)


def test_the_page_and_the_api_say_when_and_what(office: Office, acting_as: Any) -> None:
    healthy(office, acting_as, state="in_sync")
    assert "Compared with the mail server" not in page(office) and BUTTON in page(office)
    when = datetime.now(UTC) - timedelta(hours=3)
    healthy(office, acting_as, reconciled_at=when, reconciled=TOLD)
    assert (
        "Compared with the mail server 3 h ago. Nothing is missing. 2 had been missing and came in."
        in page(office)
    )
    health = ok(Caller(office.marta).get(f"/mailboxes/{office.mailbox.pk}/health"))
    assert health["reconciled"] == TOLD and health["reconciled_at"][:16] == when.isoformat()[:16]


def test_what_is_not_in_sync_cannot_be_compared_now(office: Office, acting_as: Any) -> None:
    healthy(office, acting_as, state="reconnecting")
    assert BUTTON not in page(office)


def test_asking_says_that_it_happens(office: Office, acting_as: Any) -> None:
    healthy(office, acting_as, state="in_sync")
    browser = Browser()
    browser.force_login(office.marta)
    answer = browser.post("/profile/email/compare/", follow=True)
    assert answer.status_code == 200 and "Comparing with the mail server" in answer.content.decode()
