"""The main stories beside the demo's in-process mail server: no Dovecot, no Postfix, no root needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.stories.outsider import letter, parsed
from tests.stories.product import stays, wait_for


@pytest.mark.story(2)
@pytest.mark.story(5)
def test_row_02_and_05_skipped_and_denied_letters_are_recorded(pocket):
    marta = pocket.hire().connects(process="unread", deny_list="shop.test\n")
    read = letter("guest@elsewhere.test", marta.address, "Read on the phone")
    marta.imap.append(marta.address, "INBOX", read, flags=["\\Seen"])
    marta.gets("Buy this", "news@mail.shop.test")
    marta.gets("For you")
    marta.sees("For you")
    assert marta.subjects() == ["For you"]
    outcomes = sorted(outcome for outcome, _ in pocket.product.ledger(marta.mailbox).values())
    assert outcomes == ["denied", "imported", "skipped"]


@pytest.mark.story(3)
@pytest.mark.story(19)
def test_row_03_and_19_old_mail_since_a_date_newest_first(pocket):
    marta, now = pocket.hire(), datetime.now(UTC)
    for days in (40, 10, 1):
        raw = letter("guest@elsewhere.test", marta.address, f"{days} days")
        marta.imap.append(marta.address, "INBOX", raw, date=now - timedelta(days=days))
    marta.connects(historic="on", historic_since=str((now - timedelta(days=20)).date()))
    assert marta.subjects() == ["1 days", "10 days"]
    marta.connects(historic="on", historic_since=str((now - timedelta(days=50)).date()))
    marta.sees("40 days")


@pytest.mark.story(10)
@pytest.mark.story(13)
def test_row_10_and_13_load_falls_back_to_names_and_a_wrong_password_is_quoted(pocket):
    marta = pocket.hire()
    page = marta.tests("load", sent_folder="")
    assert marta.probe()[2]["sent_folder"] == "Sent"
    assert "Chosen by its name" in page.words
    marta.tests("imap", imap_password="wrong")
    state, steps, result = marta.probe()
    assert state == "failed" and steps[-1]["key"] == "sign_in" and result["code"] == "password_rejected"


@pytest.mark.story(6)
@pytest.mark.story(31)
def test_row_06_and_31_nobody_else_sees_a_trace_until_the_owner_shares(pocket):
    marta, elena = pocket.hire().connects(), pocket.hire()
    marta.gets("A secret about zebras")
    row = marta.sees("A secret about zebras")
    for other in (elena, pocket.boss):
        assert other.opens(row).status == 404
        for path in ("/messages/inbox/?q=zebras", "/jump/?q=secret", "/live/"):
            assert "about zebras" not in other.get(path).text
    marta.shares(elena)
    assert elena.inbox() == []  # no mailbox of their own yet
    elena.connects()
    assert elena.subjects() == ["A secret about zebras"]
    marta.takes_back(elena)
    assert elena.inbox() == [] and elena.opens(row).status == 404


@pytest.mark.story(22)
@pytest.mark.story(25)
def test_row_22_to_25_pair_add_block_delete_and_undo(pocket):
    marta = pocket.hire().connects()
    for subject, sender in (("One", "paul@oak.test"), ("Two", "paul@oak.test"), ("Three", "spam@pushy.test")):
        marta.gets(subject, sender)
    two, three = marta.sees("Two"), marta.sees("Three")
    marta.sees("One")
    customer = marta.adds_customer("Oak Joinery")
    paired = marta.does("pair", two, customer=customer)
    assert "One" in marta.communication(customer).main
    marta.post(paired.undo)
    assert marta.sees("Two").unknown
    added = marta.does("add", two, name="Paul Oak", kind="lead")
    assert added.toast == "Lead Paul Oak added" and not marta.sees("One").unknown
    blocked = marta.does("block", three, what="domain")
    assert blocked.toast == "pushy.test blocked"
    deleted = marta.does("delete", three)
    assert set(marta.subjects()) == {"One", "Two"}
    marta.post(deleted.undo)
    assert "Three" in marta.subjects()
    marta.gets("Blocked by now", "other@pushy.test")
    marta.gets("The last", "paul@oak.test")
    marta.sees("The last")
    assert "Blocked by now" not in marta.subjects()
    assert len(marta.imap.uids(marta.address)) == 5


@pytest.mark.story(28)
@pytest.mark.story(29)
@pytest.mark.story(30)
def test_row_28_to_30_send_the_answer_and_one_copy_in_the_sent_folder(pocket):
    marta = pocket.hire().connects()
    customer = marta.adds_customer("Brandt Bakery", "greta@brandt-bakery.test")
    marta.sends_at_once(
        to="greta@brandt-bakery.test", subject="Your line", text="It is ready.", customer=customer
    )
    marta.until_delivery("Your line")
    sent = [one for one in pocket.imap.submitted if one.sender == marta.address]
    assert [one.recipients for one in sent] == [("greta@brandt-bakery.test",)]
    assert parsed(sent[0].raw)["From"] == f"{marta.name} <{marta.address}>"
    marta.sees("Re: Your line")
    page = marta.communication(customer)
    assert page.text.count('href="?thread=') == 1 and "It is ready." in page.main
    wait_for(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "the copy in the sent folder")
    marta.post("/messages/check/")
    stays(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "one copy")
    assert [row.subject for row in marta.sent()] == ["Your line"]
