"""Rows 6, 7, 31 and 32: who may read a mailbox, and that nobody else sees a trace of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from postern.project.embedded import Server
from tests.stories.browser import Browser
from tests.stories.outsider import letter
from tests.stories.product import stays, wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
WAITS = "Mail was shared with you"


@pytest.mark.story(6)
def test_row_06_a_reader_reads_what_was_granted_until_it_is_taken_back(office, marta, elena):
    marta.connects()
    elena.connects()
    marta.gets("For both")
    row = marta.sees("For both")
    assert elena.inbox() == [] and elena.opens(row).status == 404
    page = marta.get("/profile/email/").main
    assert "everyone you add can read your mail here until you take it back" in page

    given = marta.shares(elena)
    assert given.toast == f"{elena.name} can now read this mailbox."
    assert "Incoming and sent mail of the whole mailbox" in given.main
    assert elena.subjects() == ["For both"] and "For both" in elena.opens(row).main
    assert f"in {marta.address}" in elena.inbox()[0].words
    assert f"You and {elena.name.split()[0]}" in marta.opens(row).main

    with elena.listens() as heard:
        marta.gets("While the page is open")
        wait_for(lambda: heard, "the event for the reader")
        taken = marta.takes_back(elena)
        assert taken.toast == f"{elena.name} can no longer read this mailbox."
        del heard[:]
        assert elena.inbox() == [] and elena.opens(row).status == 404
        marta.gets("Too late for you")
        marta.sees("Too late for you")
        stays(lambda: heard == [], "the silence of the reader's stream", seconds=1.5)


@pytest.mark.story(6)
def test_row_06_two_narrowings_and_an_end(office, marta, elena, greta):
    marta.connects()
    elena.connects()
    marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "From a customer")
    marta.gets("From a stranger")
    sent = letter(marta.address, greta.address, "Sent to a customer")
    marta.imap.append(marta.address, "Sent", sent, flags=["\\Seen"])
    marta.post("/messages/check/")
    marta.sees("From a customer"), marta.sees("From a stranger")
    wait_for(lambda: marta.sent(), "the sent letter")

    def seen() -> set[str]:
        return {row.subject for row in (*elena.inbox(), *elena.sent())}

    assert "of the whole mailbox" in marta.shares(elena).main
    assert seen() == {"From a customer", "From a stranger", "Sent to a customer"}
    assert "Incoming mail only of the whole mailbox" in marta.shares(elena, incoming_only="on").main
    assert seen() == {"From a customer", "From a stranger"}
    assert "in customers’ conversations" in marta.shares(elena, customers_only="on").main
    assert seen() == {"From a customer", "Sent to a customer"}
    marta.shares(elena, incoming_only="on", customers_only="on")
    assert seen() == {"From a customer"}

    yesterday = str((datetime.now(UTC) - timedelta(days=1)).date())
    assert "The end lies in the past" in marta.shares(elena, until=yesterday).toast
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert f"until {tomorrow.day} " in marta.shares(elena, until=str(tomorrow.date())).main
    assert len(seen()) == 3
    office.product.sql(
        "UPDATE mailboxes_reader SET ends_at = now() - interval '1 second' WHERE mailbox_id = %s",
        marta.mailbox,
    )
    assert seen() == set()


@pytest.mark.story(6)
def test_row_06_only_the_owner_grants(office, marta, elena):
    tomas = office.hire()
    for admin in (marta, elena, tomas):
        admin.connects()
    marta.gets("Mine alone")
    row = marta.sees("Mine alone")
    marta.shares(elena)
    grant = office.product.sql("SELECT id FROM mailboxes_reader WHERE mailbox_id = %s", marta.mailbox)[0][0]
    elena.shares(tomas)  # gives away what is Elena's, and nothing more
    assert elena.opens(row).status == 200
    assert tomas.inbox() == [] and tomas.opens(row).status == 404
    for other in (elena, tomas, office.boss):
        assert other.post(f"/profile/email/access/{grant}/remove/").status == 404
    assert (
        "Choose an administrator" in marta.shares(marta).toast or "yours" in marta.get("/profile/email/").main
    )
    assert elena.opens(row).status == 200


@pytest.mark.story(6)
def test_row_06_drafts_waiting_letters_and_blind_copies_stay_the_owners(office, marta, elena, greta):
    marta.connects()
    elena.connects()
    marta.shares(elena)
    saved = marta.post(
        "/compose/", {"to": greta.address, "subject": "Half a thought", "text": "Hm", "do": "save"}
    )
    draft = saved.number(r"/compose/(\d+)/")
    marta.sends_at_once(to=greta.address, bcc="quiet@client.test", subject="With a blind copy")
    waiting = marta.delivery("With a blind copy")["id"]
    assert "Half a thought" in marta.get("/messages/drafts/").main
    for number in (draft, waiting):
        assert elena.get(f"/compose/{number}/").status == 404
        assert elena.post(f"/compose/{number}/", {"do": "send", "to": "x@y.test", "text": "x"}).status == 404
    page = elena.get("/messages/drafts/").main
    assert "Half a thought" not in page and "With a blind copy" not in page

    marta.until_delivery("With a blind copy")
    row = wait_for(lambda: next(iter(elena.sent()), None), "the sent letter at the reader")
    mine, theirs = (who.get(f"/messages/sent/{row.pk}/") for who in (marta, elena))
    assert "quiet@client.test" in mine.main
    assert "With a blind copy" in theirs.main and "quiet@client.test" not in theirs.text
    for path in ("source/", "letter.eml", "body/"):
        assert "quiet@client.test" not in elena.get(f"/messages/{row.pk}/{path}").text
    assert elena.get("/messages/inbox/?q=quiet@client.test").rows == []


@pytest.mark.story(7)
def test_row_07_a_reader_without_a_mailbox_of_their_own_sees_nothing_and_is_told_why(office, marta, elena):
    marta.connects()
    marta.gets("Closed until then")
    row = marta.sees("Closed until then")
    marta.shares(elena)
    page = elena.get("/messages/inbox/")
    assert page.rows == [] and WAITS in page.main and "Set up my mailbox" in page.main
    for secret in (marta.name, marta.address, "Closed until then"):
        assert secret not in page.text
    assert elena.opens(row).status == 404 and elena.get(f"/messages/{row.pk}/letter.eml").status == 404
    assert "Closed until then" not in elena.get("/jump/?q=Closed").main

    # A server and a name are not enough: a saved password belongs to it.
    refused = elena.saves(imap_password="")
    assert refused.status == 422 and elena.inbox() == []
    elena.connects()
    assert elena.subjects() == ["Closed until then"] and WAITS not in elena.get("/messages/inbox/").main
    assert "Closed until then" in elena.opens(row).main


@pytest.mark.story(7)
def test_row_07_an_oauth_token_counts_as_a_password_does(office, marta, elena, greta):
    marta.connects()
    marta.gets("For a reader with a token")
    marta.sees("For a reader with a token")
    marta.shares(elena)
    assert elena.inbox() == []
    token = elena.imap.token(elena.address)
    refused = elena.saves(imap_auth="token", imap_password="")
    assert refused.status == 422 and elena.inbox() == []
    elena.connects(imap_auth="token", imap_password=token)
    assert elena.subjects() == ["For a reader with a token"]
    assert token not in elena.get("/profile/email/").text

    # The token serves for reading and sending alike, and never as a password.
    elena.gets("Read by a token")
    elena.sees("Read by a token")
    elena.sends_at_once(to=greta.address, subject="Sent by a token")
    elena.until_delivery("Sent by a token")
    greta.receives("Sent by a token")
    assert "Enter the password again" in elena.saves(imap_auth="password", imap_password="").main
    old = elena.imap.token(elena.address, seconds=-600)
    elena.tests("imap", imap_auth="token", imap_password=old)
    state, steps, result = elena.probe()
    assert (state, steps[-1]["key"], result["code"]) == ("failed", "sign_in", "token_rejected"), result


@pytest.mark.story(31)
def test_row_31_two_administrators_and_one_customer_each_see_their_own_half(office, marta, elena, greta):
    tomas = office.hire()
    for admin in (marta, elena, tomas):
        admin.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "Dear zyxMarta", "A secret for zyxMarta.\r\n")
    greta.write(elena.address, "Dear zyxElena", "A secret for zyxElena.\r\n")
    mine, hers = marta.sees("Dear zyxMarta"), elena.sees("Dear zyxElena")

    for who, own, other in ((marta, "zyxMarta", "zyxElena"), (elena, "zyxElena", "zyxMarta")):
        page = who.communication(customer)
        assert f"Dear {own}" in page.main and other not in page.text
        assert who.subjects("?q=secret") == [f"Dear {own}"]
        assert f"Dear {own}" in who.get("/jump/?q=secret").main
        assert other not in who.get("/jump/?q=secret").text
    assert marta.opens(hers).status == 404 and elena.opens(mine).status == 404

    for who in (tomas, office.boss):
        paths = [
            "/messages/inbox/",
            "/messages/inbox/?q=secret",
            "/messages/sent/",
            "/jump/?q=secret",
            "/live/",
        ]
        paths += [f"/customers/{customer}/", f"/customers/{customer}/communication/", "/customers/?q=Brandt"]
        for path in paths:
            page = who.get(path)
            assert page.status == 200 and "zyx" not in page.text, path
        assert "No mail with them yet" in who.communication(customer).main
        for pk in (mine.pk, hers.pk):
            for path in ("letter.eml", "source/", "body/", "do/pair/", "files/0/"):
                assert who.get(f"/messages/{pk}/{path}").status == 404
            assert who.opens(pk).status == 404
            assert who.post(f"/messages/{pk}/do/delete/").status == 404
            assert who.post(f"/compose/forward/{pk}/").status == 404
        missing = who.opens(99_999_999)
        assert (
            missing.status == 404 and missing.main == who.opens(mine).main
        )  # not allowed looks like not there


@pytest.mark.story(31)
def test_row_31_nobody_signed_in_and_no_viewer_named_see_nothing(office, marta):
    marta.connects()
    marta.gets("For nobody else")
    row = marta.sees("For nobody else")
    stranger = Browser(office.product.url)
    for path in (
        "/messages/inbox/",
        f"/messages/inbox/{row.pk}/",
        f"/messages/{row.pk}/letter.eml",
        "/customers/",
    ):
        assert "/sign-in/" in stranger.get(path).url
    assert stranger.get("/events/").status == 401
    assert stranger.sign_in(marta.sign_in_address, "not the password").status == 422
    # The second lock: the pages' own database role, with nobody named, finds no message at all.
    with psycopg.connect(**Server(office.product.home / "data").dsn("web")) as database:
        assert database.execute("SELECT count(*) FROM mail_message").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM mail_body").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("SELECT ciphertext FROM mailboxes_secret")


@pytest.mark.story(31)
def test_row_31_a_disabled_administrator_is_out_at_once(office, marta):
    marta.connects()
    with marta.listens() as heard:
        path = f"/config/administrators/{marta.staff_id}/disable/"
        assert "The stored passwords of their mailboxes are deleted" in office.boss.get(path).text
        page = office.boss.post(path)
        assert page.status == 200
        assert "/sign-in/" in marta.get("/messages/inbox/").url
        wait_for(lambda: ("end", {}) in heard, "the end of the open stream", seconds=30)


@pytest.mark.story(32)
def test_row_32_a_message_in_two_mailboxes_is_two_copies(office, marta, elena, greta):
    tomas = office.hire()
    for admin in (marta, elena, tomas):
        admin.connects()
    raw = letter(greta.address, marta.address, "To both of you", Cc=elena.address)
    greta.send(raw, marta.address, elena.address)
    mine, hers = marta.sees("To both of you"), elena.sees("To both of you")
    assert mine.pk != hers.pk
    marta.shares(tomas)
    assert [row.pk for row in tomas.inbox("?q=both")] == [mine.pk]
    assert tomas.opens(mine).status == 200 and tomas.opens(hers).status == 404
    marta.does("delete", mine)
    assert tomas.inbox() == [] and elena.subjects() == ["To both of you"]
    assert tomas.opens(hers).status == 404
