"""Settings in a browser: ports propose themselves, a test shows its steps as they happen, Load picks the folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]
STEPS = [
    {
        "key": "resolve",
        "label": "Find mail.northlink.example",
        "ok": True,
        "milliseconds": 9,
        "detail": "203.0.113.25",
    },
    {"key": "connect", "label": "Connect to port 993", "ok": True, "milliseconds": 14, "detail": "Open"},
    {"key": "secure", "label": "Secure with TLS 1.3", "ok": True, "milliseconds": 31, "detail": ""},
]
REFUSED = {
    "key": "sign_in",
    "label": "Sign in as marta",
    "ok": False,
    "milliseconds": 210,
    "detail": "",
    "message": "The server refused the password.",
    "server_text": "535 5.7.8 authentication failed",
}


def finish(office: Office, **values: Any) -> None:
    """What the worker does when a test is over."""
    from postern.mailboxes.models import Probe

    with office.acting_as("sync"):
        probe = Probe.objects.order_by("-pk").first()
        for name, value in values.items():
            setattr(probe, name, value)
        probe.save(update_fields=values)


def test_a_port_proposes_itself_and_a_chosen_one_stays(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto("/profile/email/")
    security, port = page.locator("[name=imap_security]"), page.locator("[name=imap_port]")
    security.select_option("starttls")
    assert port.input_value() == "143"
    port.fill("1143")
    security.select_option("ssl")
    assert port.input_value() == "1143"
    page.locator("[name=use_system_smtp]").check()
    assert not page.locator("[name=smtp_host]").is_visible()
    page.get_by_text("not set in Config").first.wait_for()


def test_a_connection_test_shows_its_steps(office: Office, visit: Visit, shoot: Callable[..., None]) -> None:
    page = visit(office.marta)
    page.goto("/profile/email/")
    page.locator("[name=smtp_username]").fill("marta")
    page.locator("[name=smtp_password]").fill("secret")
    page.get_by_role("button", name="Test connection (SMTP)").click()
    page.get_by_text("Testing…").wait_for()
    finish(office, state="running", steps=STEPS[:1])
    page.get_by_text("Find mail.northlink.example").wait_for()
    fix = {"text": "Use the full address.", "field": "smtp_username", "value": "marta@northlink.example"}
    finish(office, state="failed", steps=[*STEPS, REFUSED], result={"message": "No.", "fix": fix})
    page.get_by_text("535 5.7.8 authentication failed").wait_for()
    page.get_by_role("button", name="Test connection (IMAP)").click()
    page.locator("#imap-result").get_by_text("Testing…").wait_for()
    finish(office, state="works", steps=STEPS)
    page.get_by_text("Works", exact=True).wait_for()
    shoot(page, "profile-email-tested-light")
    page.get_by_role("button", name="Use it and test again").click()
    assert page.locator("[name=smtp_username]").input_value() == "marta@northlink.example"
    page.get_by_text("Testing…").wait_for()


def test_load_picks_the_sent_folder(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto("/profile/email/")
    page.get_by_role("button", name="Load").click()
    page.get_by_text("Testing…").wait_for()
    folders = [
        {"name": "INBOX", "selectable": True, "refused": "It is the inbox.", "messages": 3},
        {"name": "Gesendet", "selectable": True, "refused": "", "messages": 1208},
        {"name": "Archiv", "selectable": True, "refused": "", "messages": 12},
    ]
    result = {
        "folders": folders,
        "sent_folder": "Gesendet",
        "reason": "The server marks this folder as Sent.",
    }
    finish(office, state="works", steps=STEPS, result=result)
    page.get_by_text("1,208 messages").wait_for()
    assert page.locator("[name=sent_folder]").input_value() == "Gesendet"
    page.get_by_label("Archiv").check()
    assert page.locator("[name=sent_folder]").input_value() == "Archiv"


def test_access_is_given_and_taken_in_the_open_page(office: Office, visit: Visit) -> None:
    """Elena's open inbox empties with the next event after Marta took her access back."""
    marta, elena = visit(office.marta), visit(office.elena)
    elena.goto("/messages/inbox/")
    elena.locator(".row").first.wait_for()
    marta.goto("/profile/email/#access")
    marta.locator("#access .between", has_text="Elena Ruiz").get_by_role("button", name="Remove").click()
    marta.get_by_text("Elena Ruiz can no longer read this mailbox.").wait_for()
    elena.reload()
    elena.get_by_text("Nothing waiting").wait_for()
    marta.get_by_label("Administrator", exact=True).select_option(label="Elena Ruiz")
    marta.get_by_label("Customers’ conversations only").check()
    marta.get_by_role("button", name="Give access").click()
    marta.get_by_text("Elena Ruiz can now read this mailbox.").wait_for()
    elena.reload()
    elena.locator(".row", has_text="Greta Brandt").first.wait_for()
    assert elena.locator(".row", has_text="New office").count() == 0


def test_an_administrator_is_added_and_signs_in(office: Office, visit: Visit) -> None:
    boss = visit(office.boss)
    boss.goto("/config/administrators/")
    boss.get_by_label("Name").fill("Nadia Petrov")
    boss.get_by_label("Sign-in address").fill("nadia@northlink.example")
    boss.get_by_role("button", name="Add").click()
    first = boss.locator(".banner code").inner_text()
    page = visit()
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill("nadia@northlink.example")
    page.get_by_label("Password").fill(first)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("New password", exact=True).fill("nobody else knows it")
    page.get_by_label("New password again").fill("nobody else knows it")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_text("Your door to customers").wait_for()
