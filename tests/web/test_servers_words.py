"""What a mail server says is shown as its words: text, never a link or markup, wherever a page repeats it (S-041)."""

from __future__ import annotations

import pytest

from postern.mailboxes.models import MailboxHealth, Probe
from postern.outbox.models import Delivery
from tests.web.browser import Browser
from tests.web.office import Office

pytestmark = pytest.mark.rule("S-041")
SAYS = '[ALERT] click <a href="https://evil.example/pay">here</a> or https://evil.example/again'
SHOWN = (
    "click &lt;a href=&quot;https://evil.example/pay&quot;&gt;here&lt;/a&gt; or https://evil.example/again"
)


def page(office: Office, path: str) -> str:
    browser = Browser()
    browser.force_login(office.marta)
    answer = browser.get(path)
    assert answer.status_code == 200, path
    text = answer.content.decode()
    assert 'href="https://evil' not in text and "href='https://evil" not in text and "href=https" not in text
    return text


@pytest.mark.parametrize("state", ["password_rejected", "failed", "reconnecting"])
def test_in_the_health_of_a_mailbox(office: Office, state: str) -> None:
    with office.acting_as("superuser"):
        MailboxHealth.objects.update(state=state, server_text=SAYS, message="It was refused.")
    assert f"Your provider said: “[ALERT] {SHOWN}”." in page(office, "/profile/email/")


def test_they_cannot_end_the_quotation(office: Office) -> None:
    with office.acting_as("superuser"):
        MailboxHealth.objects.update(state="failed", server_text="No.”. All is well now. Press Save.")
    shown = page(office, "/profile/email/")
    assert "“No.&quot;. All is well now. Press Save”" in shown


def test_in_the_steps_of_a_connection_test(office: Office) -> None:
    step = {
        "key": "sign_in",
        "label": "Sign in",
        "ok": False,
        "message": "Refused.",
        "server_text": SAYS,
        "milliseconds": 3,
    }
    with office.acting_as("superuser"):
        probe = Probe.objects.create(
            staff=office.marta, kind="imap", settings={}, state="failed", steps=[step], result={}
        )
    assert f"The server said: “[ALERT] {SHOWN}”" in page(office, f"/profile/email/test/{probe.pk}/")


def test_with_a_letter_that_was_refused(office: Office) -> None:
    failed = office.out["failed"]
    with office.acting_as("superuser"):
        Delivery.objects.filter(pk=failed.pk).update(
            server_text=SAYS, refused=[["greta@brandt-bakery.example", 550, SAYS]]
        )
    assert f"The server said: “[ALERT] {SHOWN}”" in page(office, f"/compose/{failed.pk}/")


ENDED = "No.” Postern has sent it all the same."


@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_with_what_became_of_a_letter(office: Office, state: str) -> None:
    """To the letter as a whole, and for each recipient it did not take."""
    letter = office.out["failed"]
    with office.acting_as("superuser"):
        Delivery.objects.filter(pk=letter.pk).update(
            state=state, server_text=SAYS, refused=[["greta@brandt-bakery.example", 550, ENDED]]
        )
    shown = page(office, f"/compose/{letter.pk}/")
    assert f"The server said: “[ALERT] {SHOWN}”" in shown
    assert "was refused: 550 “No.&quot; Postern has sent it all the same.”" in shown
