"""Rows 1 to 5, Email tracking: what is read, from when, what is marked, what is never stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.stories.outsider import letter
from tests.stories.product import stays, wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
DAY = timedelta(days=1)


@pytest.mark.story(1)
def test_row_01_processing_off_reads_nothing_new_and_keeps_what_is_here(marta):
    marta.connects()
    marta.gets("Before")
    marta.sees("Before")
    marta.saves(tracking=None)
    marta.until_health("Paused")
    marta.gets("Meanwhile")
    stays(lambda: marta.subjects() == ["Before"], "the inbox while processing is off")
    assert "switched off" in marta.health()
    marta.saves()
    marta.until_health("In sync")
    marta.gets("After")
    marta.sees("After")
    assert marta.subjects() == ["After", "Before"]  # what came meanwhile is before the new beginning


@pytest.mark.story(2)
def test_row_02_unread_skips_what_was_read_elsewhere_and_says_so(office, marta):
    marta.connects(process="unread")
    for subject, flags in (("Read on the phone", ["\\Seen"]), ("Not read yet", [])):
        raw = letter("guest@elsewhere.test", marta.address, subject)
        marta.imap.append(marta.address, "INBOX", raw, flags=flags)
    marta.sees("Not read yet")
    assert marta.subjects() == ["Not read yet"]
    read, _ = marta.imap.uids(marta.address)
    outcome, reason = office.product.ledger(marta.mailbox)[read]
    assert outcome == "skipped" and "Read elsewhere" in reason
    # Unread is a filter at the first meeting, never the cursor: reading it later on the phone changes nothing.
    marta.imap.store(marta.address, "INBOX", marta.imap.uids(marta.address)[1], add="\\Seen")
    marta.gets("The next")
    marta.sees("The next")
    assert marta.subjects() == ["The next", "Not read yet"]


@pytest.mark.story(2)
def test_row_02_sent_mail_is_read_whatever_its_flags(marta, greta):
    marta.connects(process="unread")
    raw = letter(marta.address, greta.address, "Sent from the phone")
    marta.imap.append(marta.address, "Sent", raw, flags=["\\Seen"])
    marta.post("/messages/check/")  # the button; by itself the sent folder is looked at within a minute
    wait_for(lambda: [row.subject for row in marta.sent()] == ["Sent from the phone"], "the sent letter")


@pytest.mark.story(3)
def test_row_03_off_begins_at_the_switch_and_on_imports_since_the_date(office, marta, elena):
    now = datetime.now(UTC)
    for admin in (marta, elena):
        for days, subject in ((40, "Forty days"), (10, "Ten days"), (1, "Yesterday")):
            admin.gets(subject, date=now - days * DAY)
    marta.connects()
    marta.gets("From now on")
    marta.sees("From now on")
    assert marta.subjects() == ["From now on"]
    began = office.product.sql(
        "SELECT first_uid FROM mailboxes_folder WHERE mailbox_id = %s AND role = 'inbox'", marta.mailbox
    )
    assert began == [(4,)]  # the beginning is UIDNEXT of that moment, not a time of the clock

    elena.connects(historic="on", historic_since=str((now - 20 * DAY).date()))
    assert elena.subjects() == ["Yesterday", "Ten days"]


@pytest.mark.story(3)
def test_row_03_moving_the_date_back_imports_the_gap(marta):
    now = datetime.now(UTC)
    for days in (40, 30, 10):
        marta.gets(f"{days} days", date=now - days * DAY)
    marta.connects(historic="on", historic_since=str((now - 20 * DAY).date()))
    assert marta.subjects() == ["10 days"]
    marta.connects(historic="on", historic_since=str((now - 35 * DAY).date()))
    marta.sees("30 days")
    assert marta.subjects() == ["10 days", "30 days"]
    future = str((now + 2 * DAY).date())
    refused = marta.saves(historic="on", historic_since=future)
    assert refused.status == 422 and "future" in refused.main
    assert marta.subjects() == ["10 days", "30 days"]


@pytest.mark.story(4)
def test_row_04_seen_is_set_after_storing_and_only_where_it_is_wished(marta, elena):
    marta.connects(mark_as_read="on")
    elena.connects()
    for admin in (marta, elena):
        admin.gets("Please read")
        admin.sees("Please read")
    wait_for(lambda: marta.imap.flags(marta.address, "INBOX", 1) == {"\\Seen"}, "the mark on the server")
    elena.opens(elena.sees("Please read"))
    stays(lambda: elena.imap.flags(elena.address, "INBOX", 1) == set(), "the untouched flags")
    assert marta.sees("Please read").unread  # read at the server is not read by the person here


@pytest.mark.story(4)
def test_row_04_a_readers_opening_never_marks(office, marta, elena):
    marta.connects()
    elena.connects()
    marta.gets("For two pairs of eyes")
    row = marta.sees("For two pairs of eyes")
    assert marta.shares(elena).status == 200
    assert "For two pairs of eyes" in elena.opens(row).main
    stays(lambda: marta.imap.flags(marta.address, "INBOX", 1) == set(), "the untouched flags")
    assert marta.sees("For two pairs of eyes").unread


DENIED = """# noise
*@SHOP.test   # never again
bücher.example
angry@Elsewhere.test
"""


@pytest.mark.story(5)
def test_row_05_denied_mail_leaves_only_its_number_and_the_reason(office, marta):
    marta.connects(deny_list=DENIED)
    marta.gets("Shop", "news@shop.test")
    marta.gets("Subdomain of the shop", "Offers <news@mail.shop.TEST>")
    marta.gets("Books", "info@xn--bcher-kva.example")
    marta.gets("By its sender", "fine@elsewhere.test", Sender="angry@elsewhere.test")
    marta.gets("Only a recipient", "fine@elsewhere.test", Cc="angry@elsewhere.test")
    marta.gets("Similar name", "news@workshop.test")
    marta.sees("Similar name")
    wait_for(lambda: len(marta.inbox()) == 2, "both harmless letters")
    assert set(marta.subjects()) == {"Only a recipient", "Similar name"}
    said = office.product.ledger(marta.mailbox)
    assert [said[uid] for uid in (1, 2, 3, 4)] == [
        ("denied", "shop.test"),
        ("denied", "shop.test"),
        ("denied", "xn--bcher-kva.example"),
        ("denied", "angry@elsewhere.test"),
    ]
    stored = office.product.sql("SELECT count(*) FROM mail_message WHERE mailbox_id = %s", marta.mailbox)
    assert stored == [(2,)]


@pytest.mark.story(5)
def test_row_05_a_bad_line_is_named_and_nothing_is_saved(marta):
    marta.connects(deny_list="shop.test\n")
    refused = marta.saves(deny_list="shop.test\n\n# fine\nnonsense here\n@\n", reply_to="other@isp.test")
    assert refused.status == 422
    assert "Line 4: “nonsense here”" in refused.main and "Line 5" in refused.main
    assert "Nothing was saved" in refused.main
    page = marta.get("/profile/email/")
    assert "nonsense" not in page.text and "other@isp.test" not in page.text


@pytest.mark.story(5)
def test_row_05_a_preview_says_how_many_imported_messages_a_line_would_have_hidden(marta):
    marta.connects()
    for subject, sender in (("One", "a@shop.test"), ("Two", "b@mail.shop.test"), ("Three", "c@other.test")):
        marta.gets(subject, sender)
    for subject in ("One", "Two", "Three"):
        marta.sees(subject)
    page = marta.post("/profile/email/deny/", {"deny_list": "shop.test"})
    assert page.status == 200 and "2" in page.words
    number = marta.mailbox
    told = marta.api("POST", f"/mailboxes/{number}/deny-list/preview", {"deny_list": "shop.test\nother.test"})
    assert told.json() == {"hidden": 3}
    assert "Line 2" in marta.post("/profile/email/deny/", {"deny_list": "shop.test\nnonsense"}).words
    assert len(marta.subjects()) == 3  # a preview changes nothing
