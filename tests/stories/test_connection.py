"""Rows 8 to 13, Credentials and IMAP settings: the secret, the folder, the security mode, the certificate, the test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.servers.dovecot import Dovecot
from tests.stories.outsider import letter
from tests.stories.product import stays

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
CHROMIUM = shutil.which("chromium")
ABE = "abe@small.test"
SENT = "Ausgang 2026"


@pytest.fixture(scope="session")
def small(installation) -> Iterator[Dovecot]:
    """A small company's own server: nobody knows who signed its certificate, its sent folder has its own name."""
    with Dovecot({ABE: "abe-secret"}, sent=SENT) as server:
        yield server


def at_small(server: Dovecot, **changes: object) -> dict[str, object]:
    """The settings of Abe's account there."""
    return {
        "imap_username": ABE,
        "imap_password": server.passwords[ABE],
        "imap_port": server.tls_port,
        "sent_folder": SENT,
        "sending": None,
        "smtp_host": "",
    } | changes


@pytest.mark.story(8)
def test_row_08_one_password_for_both_servers_stored_and_never_shown(office, marta, greta):
    marta.connects()
    secret = marta.imap.passwords[marta.address]
    page = marta.get("/profile/email/")
    assert secret not in page.text and "A password is stored" in page.main
    stored = office.product.sql(
        "SELECT field, ciphertext FROM mailboxes_secret WHERE mailbox_id = %s", marta.mailbox
    )
    assert sorted(field for field, _ in stored) == ["imap", "smtp"]
    assert not any(secret.encode() in bytes(ciphertext) for _, ciphertext in stored)
    assert secret.encode() not in office.product.log.read_bytes()
    marta.tests("smtp", imap_password="")  # the stored one, for the place it was stored for
    assert marta.probe()[0] == "works"

    # An empty password keeps what is stored.
    marta.connects(imap_password="", reply_to="help@isp.test")
    marta.gets("Still signed in")
    marta.sees("Still signed in")


@pytest.mark.story(8)
def test_row_08_smtp_may_have_a_sign_in_of_its_own(marta, greta):
    marta.connects(smtp_username="relay@isp.test", smtp_password="relay-secret")
    marta.sends_at_once(to=greta.address, subject="Through the relay")
    marta.until_delivery("Through the relay")
    greta.receives("Through the relay")
    refused = marta.saves(
        smtp_username="relay@isp.test", smtp_password="", smtp_port=marta.office.smtp.tls_port
    )
    assert refused.status == 422 and "Enter the password again" in refused.main


@pytest.mark.story(8)
@pytest.mark.parametrize(
    "change",
    [
        {"imap_host": "127.0.0.1"},
        {"imap_username": "someone.else@isp.test"},
        {"imap_security": "none"},
        {"smtp_host": "127.0.0.1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_row_08_a_stored_password_never_travels_to_a_new_place(marta, change):
    marta.connects()
    refused = marta.saves(imap_password="", reply_to="half@isp.test", **change)
    assert refused.status == 422 and "Enter the password again" in refused.main
    assert "half@isp.test" not in marta.get("/profile/email/").text  # all sections or none
    kind = "smtp" if "smtp_host" in change else "imap"
    assert marta.tests(kind, imap_password="", **change).status == 422


@pytest.mark.story(8)
def test_row_08_a_provider_hint_explains_app_passwords(office):
    page = office.hire(sign_in="somebody@gmail.com").get("/profile/email/")
    assert "Gmail wants an app password" in page.main and 'value="imap.gmail.com"' in page.text


@pytest.mark.story(8)
def test_row_08_a_refused_password_stops_the_mailbox_and_says_so(marta):
    marta.connects()
    old = marta.imap.passwords[marta.address]
    marta.imap.set_password(marta.address, "changed at the provider")
    marta.imap.doveadm("auth", "cache", "flush")
    marta.imap.kick(marta.address)
    said = marta.until_health("Password rejected", seconds=60)
    assert "Your provider said" in said and old not in said
    marta.gets("Waiting at the server")
    marta.connects(imap_password="changed at the provider")
    marta.sees("Waiting at the server")


@pytest.mark.story(9)
def test_row_09_server_and_port_are_checked_before_anything_is_saved(marta):
    fresh = marta.get("/profile/email/")
    assert re.search(r'name="imap_port"[^>]*value="993"', fresh.text)
    assert re.search(r'name="smtp_port"[^>]*value="465"', fresh.text)
    for change, words in (
        ({"imap_port": "99999"}, "A port is a number from 1 to 65535."),
        ({"imap_host": "http://localhost/"}, "Type the server’s name alone"),
        ({"imap_host": "10.1.2.3", "imap_port": "993"}, "is not the address of a public mail server"),
        ({"imap_host": "imap.example.com", "imap_port": "8080"}, "Port 8080 is not a port for mail."),
    ):
        refused = marta.saves(**change)
        assert refused.status == 422 and words in refused.main, refused.main[:400]
    assert (
        marta.office.product.sql("SELECT 1 FROM mailboxes_mailbox WHERE owner_id = %s", marta.staff_id) == []
    )


@pytest.mark.story(9)
@pytest.mark.story(10)
@pytest.mark.story(17)
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_row_09_10_and_17_ports_propose_themselves_and_load_fills_in_the_folder(office, marta, small):
    from playwright.sync_api import sync_playwright

    cookie = {"name": "postern", "value": marta.cookie("postern"), "url": office.product.url}
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page()
        page.context.add_cookies([cookie])
        page.goto(office.product.url + "/profile/email/")
        for mode, imap, smtp in (("starttls", "143", "587"), ("none", "143", "25"), ("ssl", "993", "465")):
            page.select_option("[name=imap_security]", mode)
            page.select_option("[name=smtp_security]", mode)
            assert page.input_value("[name=imap_port]") == imap
            assert page.input_value("[name=smtp_port]") == smtp
        page.fill("[name=imap_port]", str(small.port))
        page.select_option("[name=imap_security]", "starttls")
        assert page.input_value("[name=imap_port]") == str(small.port)  # typed by hand: it stays
        page.select_option("[name=imap_security]", "none")
        page.fill("[name=imap_host]", "localhost")
        page.fill("[name=imap_username]", ABE)
        page.fill("[name=imap_password]", small.passwords[ABE])
        page.get_by_role("button", name="Load").click()
        page.wait_for_selector("[data-folders]", timeout=20_000)
        page.wait_for_function(
            f"document.querySelector('[name=sent_folder]').value === {SENT!r}", timeout=5_000
        )
        chromium.close()


@pytest.mark.story(10)
def test_row_10_load_selects_the_sent_folder_by_itself(office, marta, small):
    office.allows_unchecked()
    page = marta.tests("load", **at_small(small, sent_folder="", imap_skip_validation="on"))
    state, _, result = marta.probe()
    assert state == "works" and result["sent_folder"] == SENT
    assert "The server says that this is the folder for sent messages." in page.main or page.words
    offered = re.findall(r'name="chosen_folder" value="([^"]+)"( checked)?', page.text)
    assert (SENT, " checked") in offered
    assert {"INBOX", "Drafts", "Trash", "Junk"}.isdisjoint(name for name, _ in offered)


@pytest.mark.rule("R-023")
@pytest.mark.story(10)
@pytest.mark.parametrize("name", ["INBOX", "Drafts", "Trash", "Junk"])
def test_row_10_a_folder_that_cannot_be_the_sent_one_is_refused(marta, name):
    refused = marta.saves(sent_folder=name)
    assert refused.status == 422 and name.lower() in refused.main.lower()


@pytest.mark.story(11)
def test_row_11_each_security_mode_works_and_starttls_is_never_opportunistic(marta):
    imap, smtp = marta.imap, marta.office.smtp
    for security, port in (("ssl", imap.tls_port), ("starttls", imap.port), ("none", imap.port)):
        marta.tests("imap", imap_security=security, imap_port=port)
        state, steps, _ = marta.probe()
        assert state == "works", steps
        secure = next(one["detail"] for one in steps if one["key"] == "secure") if security != "none" else ""
        assert secure.startswith("TLSv1") or security == "none"
    # A server without STARTTLS gets no password when STARTTLS was chosen.
    marta.tests("smtp", smtp_security="starttls", smtp_port=smtp.plain_port)
    state, steps, result = marta.probe()
    assert state == "failed" and result["code"] == "starttls_missing"
    assert "sign_in" not in [one["key"] for one in steps]


@pytest.mark.story(11)
def test_row_11_no_encryption_only_for_a_host_the_operator_allows(marta):
    refused = marta.saves(imap_host="imap.example.com", imap_port=143, imap_security="none")
    assert refused.status == 422 and "without encryption is not allowed" in refused.main
    assert (
        marta.tests("imap", imap_host="imap.example.com", imap_port=143, imap_security="none").status == 422
    )


@pytest.mark.rule("S-039")
@pytest.mark.story(12)
def test_row_12_an_unknown_certificate_is_refused_unless_it_is_pinned_and_a_change_stops(
    office, marta, small
):
    marta.tests("imap", **at_small(small))
    state, _, result = marta.probe()
    assert state == "failed" and result["code"] == "certificate_invalid"
    assert marta.saves(**at_small(small)).status == 200
    marta.until_health("Needs attention")

    office.allows_unchecked()
    marta.connects(**at_small(small, imap_skip_validation="on"))
    small.deliver(ABE, letter("x@elsewhere.test", ABE, "Before the change"))
    marta.sees("Before the change")
    first = small.certificate.sha256
    page = marta.get("/profile/email/")
    assert first in page.text, "the fingerprint is not shown"

    small.new_certificate()
    small.kick(ABE)
    marta.until_state("certificate_changed", seconds=60)
    assert small.certificate.sha256 in marta.reads_notices()
    said = marta.until_health("Certificate changed")
    assert "Nothing was sent to it" in said
    small.deliver(ABE, letter("x@elsewhere.test", ABE, "After the change"))
    stays(lambda: marta.subjects() == ["Before the change"], "the stopped mailbox")
    page = marta.get("/profile/email/")
    second = small.certificate.sha256
    assert second in page.text and first != second
    wrong = marta.post("/profile/email/certificate/", {"sha256": "0" * 64})
    assert "another certificate" in wrong.toast
    marta.post("/profile/email/certificate/", {"sha256": second})
    marta.until_health("In sync")
    marta.sees("After the change")


@pytest.mark.rule("S-039")
@pytest.mark.story(12)
def test_row_12_a_changed_certificate_of_the_smtp_server_stops_sending_and_is_accepted_by_hand(
    office, marta, greta
):
    office.allows_unchecked()
    marta.connects(smtp_skip_validation="on")
    marta.sends_at_once(to=greta.address, subject="Before it changed")
    marta.until_delivery("Before it changed")
    assert office.smtp.certificate.sha256 in marta.get("/profile/email/").text
    second = office.smtp.new_certificate().sha256

    number = marta.sends_at_once(to=greta.address, subject="After it changed", text="Every word is kept.")
    assert marta.until_delivery("After it changed", "failed")["code"] == "certificate_changed"
    assert second in marta.reads_notices()
    page = marta.get("/profile/email/")
    assert (
        "Certificate changed (SMTP)" in page.main and second in page.text and "Nothing was sent" in page.main
    )
    health = f"/mailboxes/{marta.mailbox}/health"
    assert marta.api("GET", health).json()["smtp_seen_sha256"] == second
    wrong = marta.post("/profile/email/certificate/", {"server": "smtp", "sha256": "0" * 64})
    assert "another certificate" in wrong.toast
    refused = marta.api(
        "POST", f"/mailboxes/{marta.mailbox}/certificate", {"sha256": "0" * 64, "server": "smtp"}
    )
    assert refused.status == 422 and "smtp_skip_validation" in refused.json()["fields"]

    accepted = marta.post("/profile/email/certificate/", {"server": "smtp", "sha256": second})
    assert "is remembered" in accepted.toast and "Certificate changed" not in accepted.main
    assert "Every word is kept." in marta.get(f"/compose/{number}/").text
    marta.api("POST", f"/deliveries/{number}/send", {"undo_seconds": 0})
    marta.until_delivery("After it changed")
    assert len([one for one in greta.letters() if one["Subject"] == "After it changed"]) <= 1
    greta.receives("After it changed")


@pytest.mark.rule("S-039")
@pytest.mark.story(12)
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_row_12_the_check_is_skipped_only_where_the_company_allows_it(office, marta, small, tmp_path):
    from playwright.sync_api import sync_playwright

    def pages(chromium, one):
        context = chromium.new_context(viewport={"width": 1440, "height": 1000})
        context.add_cookies([{"name": "postern", "value": one.cookie("postern"), "url": office.product.url}])
        return context.new_page()

    office.allows_unchecked(False)
    assert marta.saves(**at_small(small)).status == 200
    marta.until_health("Needs attention")
    refused = marta.saves(**at_small(small, imap_skip_validation="on"))
    assert refused.status == 422 and "a super-administrator to allow it" in refused.main
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        hers, config = pages(chromium, marta), pages(chromium, office.boss)
        hers.goto(office.product.url + "/profile/email/")
        assert hers.locator("[name=imap_skip_validation]").count() == 0
        assert "always checked" in hers.locator("#imap").inner_text()
        config.goto(office.product.url + "/config/email/")
        config.get_by_role("switch", name="certificate cannot be checked").check()
        config.get_by_role("button", name="Save changes").click()
        config.wait_for_selector("text=Unchecked certificates allowed")

        hers.reload()
        hers.fill("[name=imap_password]", small.passwords[ABE])
        hers.get_by_role("switch", name="Don’t validate certificate", exact=False).first.check()
        hers.locator("#settings button.primary").click()
        hers.wait_for_selector("#imap >> text=Certificate not checked")
        marta.until_health("In sync")
        hers.reload()
        assert small.certificate.sha256 in hers.locator("#imap-unchecked").inner_text()
        assert hers.locator("#health [data-unchecked]").inner_text() == "Certificate not checked"
        assert (
            f"Checking switched off: localhost:{small.tls_port}" in hers.locator("#certificates").inner_text()
        )
        hers.screenshot(path=str(tmp_path / "owner.png"), full_page=True)

        config.reload()
        assert "by 1 mailbox." in config.locator("#unchecked").inner_text()
        config.screenshot(path=str(tmp_path / "config.png"), full_page=True)
        config.get_by_role("switch", name="certificate cannot be checked").uncheck()
        config.get_by_role("button", name="Save changes").click()
        config.wait_for_selector("text=Unchecked certificates no longer allowed")
        marta.until_state("failed")
        assert "no longer allows" in marta.reads_notices()
        hers.goto(office.product.url + "/profile/email/")  # the notice had taken the open page's place
        assert "Certificate must be checked" in hers.locator("#health-words").inner_text()
        assert "does not connect" in hers.locator("#imap-unchecked").inner_text()
        hers.screenshot(path=str(tmp_path / "refused.png"), full_page=True)
        chromium.close()


STEPS = ["resolve", "connect", "secure", "sign_in", "open_folders"]


@pytest.mark.story(13)
def test_row_13_each_step_is_shown_with_its_time(marta):
    page = marta.tests("imap")
    state, steps, _ = marta.probe()
    assert state == "works" and [one["key"] for one in steps] == STEPS
    assert all(one["ok"] and one["milliseconds"] >= 0 for one in steps)
    assert "Works" in page.words and page.words.count(" ms") == 5
    assert "INBOX: 0 messages; Sent: 0 messages" in page.words
    assert marta.inbox() == [] and marta.get("/profile/email/").status == 200  # a test saves nothing


@pytest.mark.story(13)
@pytest.mark.parametrize(
    ("changes", "key", "code", "words"),
    [
        ({"imap_host": "nowhere.invalid", "imap_port": 993}, "resolve", "host_not_found", "nowhere.invalid"),
        ({"imap_port": 1}, "connect", "connect_failed", ""),
        ({"imap_password": "wrong"}, "sign_in", "password_rejected", "Authentication failed"),
        ({"sent_folder": "Gone"}, "open_folders", "folder_missing", "“Sent” looks right"),
        ({"imap_port": "plain"}, "secure", "tls_failed", "does not begin with encryption"),
        ({"imap_port": "tls", "imap_security": "starttls"}, "connect", "timeout", ""),
    ],
    ids=["host", "port", "password", "folder", "tls-to-plain", "plain-to-tls"],
)
def test_row_13_a_failure_names_its_step_quotes_the_server_and_offers_one_fix(
    marta, changes, key, code, words
):
    ports = {"plain": marta.imap.port, "tls": marta.imap.tls_port}
    changes = {
        name: ports.get(value, value) if name == "imap_port" else value for name, value in changes.items()
    }
    page = marta.tests("imap", **changes)
    state, steps, result = marta.probe()
    assert state == "failed" and not steps[-1]["ok"]
    assert all(one["ok"] for one in steps[:-1])
    if code:
        assert (steps[-1]["key"], result["code"]) == (key, code), (steps, result)
    assert words in page.words, page.words
    assert "Failed" in page.words and (result["fix"] or result["message"])
