"""Rows 14 to 18, SMTP settings, and Config → Main → Email: who a letter is from and through which server it goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stories.office import Office
from tests.stories.product import stays, wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
SENDER = "office@isp.test"
SYSTEM_SECRET = "relay-secret"


def company(office: Office, **changes: Any) -> dict[str, Any]:
    """Config → Main → Email: the company's mail is from SENDER, its server is signed in to as somebody else."""
    return {
        "sender_email": SENDER,
        "sender_name": "Northwind Fibre",
        "smtp_host": "localhost",
        "smtp_port": office.smtp.port,
        "smtp_security": "starttls",
        "smtp_auth": "auto",
        "smtp_username": "relay@isp.test",
        "smtp_password": SYSTEM_SECRET,
        "sending": "on",
        "hourly_limit": 0,
    } | changes


@pytest.mark.story(14)
def test_row_14_sending_off_the_composer_says_so_and_keeps_drafts(marta, greta):
    marta.connects(sending=None)
    assert "Sending is switched off" in marta.get("/compose/").main
    saved = marta.post("/compose/", {"to": greta.address, "subject": "For later", "text": "Hi", "do": "save"})
    assert saved.toast == "Draft saved"
    refused = marta.sends(to=greta.address, subject="Now, please")
    assert refused.status == 422 and "Sending is switched off for this mailbox" in refused.main
    assert marta.delivery("For later")["state"] == "draft"
    stays(lambda: greta.letters() == [], "the customer's empty mailbox", seconds=2)
    marta.connects()
    marta.post(
        f"/compose/{marta.delivery('For later')['id']}/",
        {"to": greta.address, "subject": "For later", "text": "Hi", "do": "send"},
    )
    greta.receives("For later")


@pytest.mark.story(15)
def test_row_15_reply_to_is_put_into_letters_and_answers_follow_it(marta, elena, greta):
    marta.connects(reply_to=elena.address)
    elena.connects()
    marta.sends_at_once(to=greta.address, subject="Answer my colleague")
    arrived = greta.receives("Answer my colleague")
    assert arrived["Reply-To"] == elena.address and marta.address in arrived["From"]
    greta.answer(arrived, "As you wish.\r\n")
    elena.sees("Re: Answer my colleague")
    refused = marta.saves(reply_to="no address")
    assert refused.status == 422


@pytest.mark.story(16)
def test_row_16_the_systems_server_sends_as_the_company_and_answers_come_back(office, marta, greta):
    assert office.boss.post("/config/email/", company(office)).toast == "Saved"
    marta.connects(use_system_smtp="on", smtp_host="", smtp_username="")
    page = marta.get("/profile/email/")
    for shown in ("localhost", str(office.smtp.port), "STARTTLS", "Automatic", SENDER):
        assert shown in page.main
    assert SYSTEM_SECRET not in page.text and "relay@isp.test" not in page.text
    assert f"Answers go to {marta.address}" in page.main

    customer = marta.adds_customer("Brandt Bakery", greta.address)
    marta.sends_at_once(to=greta.address, customer=customer, subject="From the company")
    arrived = greta.receives("From the company")
    assert arrived["From"] == f"{marta.name} <{SENDER}>"
    assert marta.address in arrived["Reply-To"]
    assert arrived["Return-Path"] == f"<{SENDER}>"
    assert "relay@isp.test" not in arrived["From"]
    greta.answer(arrived, "Back to Marta.\r\n")
    wait_for(lambda: "Back to Marta." in marta.communication(customer).main, "the answer")
    wait_for(
        lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "the copy in the person's own sent folder"
    )
    copied = office.product.sql(
        "SELECT count(*) FROM mailboxes_secret WHERE mailbox_id = %s AND field = 'smtp'", marta.mailbox
    )
    assert copied == [(0,)]  # the global secret is never copied

    # Read-only and live: a change in Config is what the next letter obeys.
    office.boss.post("/config/email/", company(office, sending=None))
    refused = marta.sends(to=greta.address, subject="Not any more")
    assert refused.status == 422 and "switched off in Config" in refused.main
    office.boss.post("/config/email/", company(office))


@pytest.mark.story(16)
def test_row_16_a_sender_without_at_is_refused_and_only_a_super_administrator_gets_there(office, marta):
    for sender in ("relay", "two@at@isp.test", ""):
        refused = office.boss.post("/config/email/", company(office, sender_email=sender))
        assert refused.status == 422, sender
    refused = office.boss.post("/config/email/", company(office, smtp_password="", smtp_host="127.0.0.1"))
    assert refused.status == 422 and "Enter the password again" in refused.main
    assert marta.get("/config/email/").status == 404
    assert marta.post("/config/email/", company(office)).status == 404
    assert SYSTEM_SECRET not in office.boss.get("/config/email/").text


@pytest.mark.story(16)
def test_row_16_the_companys_settings_are_tested_and_limited_by_the_hour(office, marta, greta):
    page = office.boss.post(
        "/profile/email/test/",
        company(office) | {"probe": "system", "recipient": greta.address},
        headers={"HX-Request": "true"},
    )
    assert page.status == 200
    assert greta.receives("Test email from Postern")["From"] == f"Northwind Fibre <{SENDER}>"
    office.product.sql("UPDATE mailboxes_systememail SET hour_began_at = NULL, sent_in_hour = 0")
    assert office.boss.post("/config/email/", company(office, hourly_limit=1)).toast == "Saved"
    marta.connects(use_system_smtp="on", smtp_host="")
    marta.sends_at_once(to=greta.address, subject="First of the hour")
    marta.until_delivery("First of the hour")
    marta.sends_at_once(to=greta.address, subject="Second of the hour")

    def waits() -> bool:
        return marta.delivery("Second of the hour")["code"] == "hourly_limit"

    wait_for(waits, "the wait for the next hour", seconds=30)
    assert marta.delivery("Second of the hour")["state"] == "queued"
    office.boss.post("/config/email/", company(office))


@pytest.mark.story(17)
@pytest.mark.parametrize(
    ("security", "port", "auth", "code"),
    [
        ("ssl", "tls_port", "plain", ""),
        ("starttls", "port", "login", ""),
        ("starttls", "port", "auto", ""),
        ("none", "plain_port", "plain", ""),
        ("ssl", "tls_port", "cram-md5", ""),
        ("starttls", "port", "xoauth2", ""),
        ("none", "plain_port", "cram-md5", "server_refused"),
        ("ssl", "port", "auto", "tls_failed"),
    ],
)
def test_row_17_security_modes_and_sign_in_types(office, marta, security, port, auth, code):
    number = getattr(office.smtp, port)
    token = {"smtp_username": marta.address, "smtp_password": marta.imap.token(marta.address)}
    more = token if auth == "xoauth2" else {}
    marta.tests("smtp", smtp_security=security, smtp_port=number, smtp_auth=auth, **more)
    state, steps, result = marta.probe()
    assert state == ("failed" if code else "works"), (steps, result)
    if code:
        assert result["message"] and result["code"] == code, result
        assert steps[-1]["key"] == ("secure" if code == "tls_failed" else "sign_in")
    else:
        assert [one["key"] for one in steps][-2:] == ["sign_in", "accept_sender"]
        assert steps[-2]["detail"] == (auth if auth != "auto" else "plain")


@pytest.mark.story(17)
@pytest.mark.parametrize("auth", ["cram-md5", "xoauth2"])
def test_row_17_a_letter_goes_out_with_each_sign_in_type_that_is_no_plain_password(
    office, marta, greta, auth
):
    secret = marta.imap.token(marta.address) if auth == "xoauth2" else marta.imap.passwords[marta.address]
    marta.connects(smtp_auth=auth, smtp_username=marta.address, smtp_password=secret)
    marta.sends_at_once(to=greta.address, subject=f"By {auth}")
    marta.until_delivery(f"By {auth}")
    greta.receives(f"By {auth}")
    assert secret not in marta.get("/profile/email/").text
    marta.saves(smtp_auth=auth, smtp_username=marta.address, smtp_password=f"{secret}x")
    marta.sends_at_once(to=greta.address, subject=f"Refused by {auth}")
    refused = marta.until_delivery(f"Refused by {auth}", "failed")
    assert refused["code"] == ("token_rejected" if auth == "xoauth2" else "password_rejected")
    assert secret not in str(refused)


@pytest.mark.story(17)
def test_row_17_a_letter_goes_out_over_tls_from_the_first_byte(office, marta, greta):
    marta.connects(smtp_security="ssl", smtp_port=office.smtp.tls_port, smtp_auth="login")
    marta.sends_at_once(to=greta.address, subject="Encrypted at once")
    arrived = greta.receives("Encrypted at once")
    assert "with ESMTPSA" in str(arrived["Received"])


@pytest.mark.story(18)
def test_row_18_the_test_email_arrives_where_it_was_sent_to(marta, greta):
    page = marta.tests("send", recipient=greta.address)
    state, steps, _ = marta.probe()
    assert state == "works" and [one["key"] for one in steps][-1] == "send"
    assert all(one["ok"] and one["milliseconds"] >= 0 for one in steps)
    assert greta.address in page.words and page.words.count(" ms") == len(steps)
    assert marta.address in greta.receives("Test email from Postern")["From"]
    marta.connects()
    assert (
        f'id="recipient" name="recipient" type="email" value="{marta.address}"'
        in marta.get("/profile/email/").text
    )


@pytest.mark.story(18)
@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"imap_password": "wrong"}, "sign_in", "535"),
        ({"smtp_port": 1}, "connect", ""),
        ({"recipient": "nobody.at.all@client.test"}, "send", "550"),
    ],
    ids=["password", "port", "recipient"],
)
def test_row_18_a_failure_names_its_step_and_quotes_the_server(marta, changes, key, words):
    page = marta.tests("send", **({"recipient": marta.address} | changes))
    state, steps, result = marta.probe()
    assert state == "failed" and steps[-1]["key"] == key and not steps[-1]["ok"], (steps, result)
    assert words in page.words + result["server_text"], (page.words, result)


@pytest.mark.story(18)
def test_row_18_an_address_without_at_is_refused_before_anything_is_sent(marta):
    refused = marta.tests("send", recipient="nobody")
    assert refused.status == 422 and "nobody" in refused.words
