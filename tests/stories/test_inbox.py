"""Rows 19 to 26, Messages → Inbox: the list, Author not found, the five actions, and the original beside it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.stories.outsider import parsed
from tests.stories.product import stays, wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]

WITH_FILE = (
    "--edge\r\nContent-Type: text/plain\r\n\r\nSee the plan.\r\n"
    '--edge\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--edge--\r\n"
)
MULTIPART = {"MIME_Version": "1.0", "Content_Type": 'multipart/mixed; boundary="edge"'}


@pytest.mark.story(19)
def test_row_19_the_list_says_who_when_what_and_filters(office, marta):
    known, lead = office.client().address, office.client().address
    marta.adds_customer("Brandt Bakery", known)
    marta.adds_customer("Curious Ltd", lead, kind="lead")
    now = datetime.now(UTC)
    marta.gets("Old", known, date=now - timedelta(days=9))
    marta.gets("From a lead", lead, date=now - timedelta(hours=3))
    marta.gets(
        "Plan of the cable",
        f"Greta Brandt <{known}>",
        text=WITH_FILE,
        date=now - timedelta(hours=2),
        **MULTIPART,
    )
    marta.gets(
        "Who am I", "Stranger <stranger@nowhere.test>", text="A zebra.\r\n", date=now - timedelta(hours=1)
    )
    marta.connects(historic="on", historic_since=str((now - timedelta(days=20)).date()))

    rows = marta.inbox()
    assert [row.subject for row in rows] == ["Who am I", "Plan of the cable", "From a lead", "Old"]
    assert [row.unknown for row in rows] == [True, False, False, False]
    assert all(row.unread for row in rows)
    plan = rows[1]
    assert plan.who == "Greta Brandt" and "Has attachments" in plan.words and plan.preview == "See the plan."
    assert "Brandt Bakery" in plan.words and re.search(r"\b\d\d:\d\d\b", plan.words)
    assert not any("Has attachments" in row.words for row in (rows[0], rows[2], rows[3]))

    page = marta.opens(plan)
    assert "plan.pdf" in page.main
    assert marta.subjects("?show=unread") == ["Who am I", "From a lead", "Old"]
    assert marta.subjects("?show=unknown") == ["Who am I"]
    assert marta.subjects("?show=customers") == ["Plan of the cable", "Old"]
    assert marta.subjects("?show=leads") == ["From a lead"]
    assert marta.subjects("?q=zebra") == ["Who am I"]
    assert marta.subjects(f"?until={(now - timedelta(days=5)).date()}") == ["Old"]
    assert marta.subjects(f"?since={(now + timedelta(days=1)).date()}") == []


@pytest.mark.story(19)
def test_row_19_paging_stays_stable_while_mail_arrives(marta):
    now = datetime.now(UTC)
    for number in range(60):
        marta.gets(f"Letter {number}", date=now - timedelta(minutes=number + 1))
    marta.connects(historic="on", historic_since=str((now - timedelta(days=2)).date()))
    first = marta.get("/messages/inbox/")
    following = re.search(r'class="btn wide" href="([^"]+)">Older', first.text)
    assert following and len(first.rows) == 50
    marta.gets("In between")
    marta.sees("In between")
    second = marta.get("/messages/inbox/" + following[1].replace("&amp;", "&"))
    both = [row.subject for row in first.rows + second.rows]
    assert both == [f"Letter {number}" for number in range(60)]


@pytest.mark.story(20)
def test_row_20_a_sender_on_no_customer_or_lead_is_marked(marta, greta):
    marta.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "From a customer")
    marta.gets("From nobody", "nobody@nowhere.test")
    assert marta.sees("From nobody").unknown
    assert not marta.sees("From a customer").unknown
    assert marta.subjects("?show=unknown") == ["From nobody"]
    assert "From a customer" in marta.communication(customer).main
    assert "From nobody" not in marta.communication(customer).main


@pytest.mark.story(21)
def test_row_21_five_actions_for_the_owner_and_only_view_for_a_reader(marta, elena, greta):
    marta.connects()
    elena.connects()
    marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "Known")
    marta.gets("Unknown", "nobody@nowhere.test")
    unknown, known = marta.sees("Unknown"), marta.sees("Known")
    assert unknown.actions == ("open", "pair", "add", "block", "delete")
    beside_the_list = marta.opens(known).text.rsplit('<li class="row"', 1)[1]
    page = beside_the_list.partition("</ul>")[2]
    for wanted in ("reply", "forward", "block", "delete"):
        assert f'data-action="{wanted}"' in page
    assert 'data-action="pair"' not in page and 'data-action="add"' not in page

    marta.shares(elena)
    theirs = elena.sees("Unknown")
    assert theirs.actions == ("open",)
    assert "Only the owner" in elena.opens(theirs).main
    for key in ("pair", "add", "block", "delete"):
        assert elena.does(key, theirs, customer=1, name="X").status == 404
    assert elena.post(f"/messages/{known.pk}/do/delete/").status == 404
    assert elena.post(f"/compose/reply/{known.pk}/").status == 404
    assert set(marta.subjects()) == {"Known", "Unknown"}
    assert marta.sees("Unknown").unread  # unread is per person


@pytest.mark.story(21)
def test_row_21_a_reader_with_that_grant_answers_in_the_owners_name(office, marta, elena, greta):
    tomas = office.hire()
    for admin in (marta, elena, tomas):
        admin.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "Packet loss", "It started again.\r\n")
    row = marta.sees("Packet loss")
    marta.shares(tomas)
    given = marta.shares(elena, may_reply="on")
    assert "May answer it in your name, from your address" in given.main
    assert "in the name of" not in tomas.opens(row).main
    assert tomas.post(f"/compose/reply/{row.pk}/").status == 404
    assert f"You answer in the name of {marta.name}" in elena.opens(row).main
    assert elena.post(f"/compose/forward/{row.pk}/").status == 404

    composer = elena.post(f"/compose/reply/{row.pk}/")
    draft = composer.number(r"/compose/(\d+)/")
    assert f"You answer on behalf of {marta.name}, from {marta.address}" in composer.main
    assert "It started again" in composer.main
    for other in (marta, tomas, office.boss):
        assert other.get(f"/compose/{draft}/").status == 404
        assert "Packet loss" not in other.get("/messages/drafts/").main
    answer = {"to": greta.address, "subject": "Re: Packet loss", "text": "We come on Tuesday.", "do": "send"}
    with marta.listens() as heard:
        assert elena.post(f"/compose/{draft}/", answer).toast == "Sending in 10 seconds"
        wait_for(lambda: "delivery" in dict(heard), "the event for the owner")
    shown = f"by {elena.name} in your name"
    assert shown in marta.communication(customer).main
    assert f"written {shown}" in marta.get(f"/compose/{draft}/").main
    assert tomas.get(f"/compose/{draft}/").status == 404

    got = greta.receives("Re: Packet loss")
    assert marta.address in str(got["From"]) and marta.name in str(got["From"])
    assert elena.name.encode() not in got.as_bytes() and elena.address.encode() not in got.as_bytes()
    assert got["In-Reply-To"] and got["Sender"] is None
    elena.until_delivery("Re: Packet loss")
    wait_for(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "the copy on the owner's server")
    assert marta.imap.uids(elena.address, "Sent") == []
    [sent] = marta.sent()
    assert f"by {elena.name}" in sent.words and "by you" in elena.sent()[0].words
    assert f"by {elena.name}" in marta.get(f"/messages/sent/{sent.pk}/").main
    [others] = tomas.sent()
    assert elena.name not in tomas.get(f"/messages/sent/{others.pk}/").main
    assert f"by {elena.name}" in marta.communication(customer).main
    greta.answer(got, "Thank you.\r\n")
    assert "Thank you." in elena.opens(elena.sees("Re: Re: Packet loss")).main


@pytest.mark.story(21)
def test_row_21_taking_the_grant_back_stops_what_is_not_sent_yet(office, marta, elena, greta):
    marta.connects()
    elena.connects()
    marta.adds_customer("Brandt Bakery", greta.address)
    greta.write(marta.address, "Packet loss", "It started again.\r\n")
    row = marta.sees("Packet loss")
    marta.shares(elena, may_reply="on")
    queued, draft = (elena.post(f"/compose/reply/{row.pk}/").number(r"/compose/(\d+)/") for _ in range(2))
    words = {"to": greta.address, "text": "We come on Tuesday.\n\n> It started again.\n"}
    elena.post(f"/compose/{draft}/", words | {"subject": "Kept", "do": "save"})
    elena.post(f"/compose/{queued}/", words | {"subject": "Too late", "do": "send"})
    marta.takes_back(elena)

    refused = elena.post(f"/compose/{draft}/", words | {"subject": "Kept", "do": "send"})
    assert refused.status == 422 and "You can no longer answer this message" in refused.main
    assert "We come on Tuesday." in refused.text  # what was typed is not lost
    elena.until_delivery("Too late", "held")
    for number in (draft, queued):
        page = elena.get(f"/compose/{number}/")
        assert "An answer that can no longer be sent" in page.main and "We come on Tuesday." in page.main
        for secret in ("It started again", marta.name, marta.address, greta.address, "Packet loss"):
            assert secret not in page.main
    assert "ended before the message was sent" in marta.get(f"/compose/{queued}/").main
    assert marta.get(f"/compose/{draft}/").status == 404
    assert greta.letters() == []

    marta.shares(elena, may_reply="on")
    elena.post(f"/compose/{queued}/", words | {"subject": "In time", "do": "send"})
    greta.receives("In time")
    assert len(greta.letters()) == 1


@pytest.mark.story(22)
def test_row_22_pairing_brings_earlier_mail_along_and_can_be_undone(office, marta, elena):
    sender = office.client().address
    marta.connects()
    elena.connects()
    for subject in ("First", "Second"):
        marta.gets(subject, sender)
    elena.gets("To a colleague", sender)
    customer = marta.adds_customer("Lindqvist Boats")
    elena.sees("To a colleague")
    marta.sees("First")
    row = marta.sees("Second")
    assert "1 other message" in marta.get(f"/messages/{row.pk}/do/pair/?q=Lindqvist").main

    done = marta.does("pair", row, customer=customer)
    assert done.toast == "Paired to Lindqvist Boats"
    page = marta.communication(customer).main
    assert "First" in page and "Second" in page and sender in page
    assert "To a colleague" not in page  # the colleague's half is the colleague's
    wait_for(lambda: not elena.sees("To a colleague").unknown, "the colleague's own half", seconds=30)
    assert "To a colleague" in elena.communication(customer).main

    marta.post(done.undo)
    assert marta.sees("First").unknown and marta.sees("Second").unknown
    assert sender not in marta.get(f"/customers/{customer}/").main

    again = marta.does("pair", row, customer=customer)
    assert again.status == 200
    unpaired = marta.does("unpair", row)
    assert unpaired.toast == "Unpaired from Lindqvist Boats"
    assert marta.sees("First").unknown


@pytest.mark.story(22)
def test_row_22_an_address_of_somebody_else_is_refused(office, marta):
    marta.connects()
    sender = office.client().address
    marta.gets("Whose is it", sender)
    row = marta.sees("Whose is it")
    first, second = marta.adds_customer("First owner"), marta.adds_customer("Second owner")
    assert marta.does("pair", row, customer=first).status == 200
    refused = marta.post(f"/customers/{second}/addresses/", {"email": sender, "kind": "other"})
    assert "already an address of First owner" in refused.toast
    assert marta.does("pair", row, customer=999_999).status == 404  # known by now: no longer offered
    marta.does("unpair", row)
    wrong = marta.does("pair", row, customer=999_999)
    assert wrong.status == 422 and "Choose a customer" in wrong.main


@pytest.mark.story(22)
def test_row_22_a_shared_address_is_filed_by_hand_message_by_message(office, marta):
    notary = office.client().address
    marta.connects()
    customers = [marta.adds_customer(name) for name in ("Flat one", "Flat two")]
    for customer in customers:
        page = marta.post(
            f"/customers/{customer}/addresses/", {"email": notary, "kind": "other", "shared": "on"}
        )
        assert page.status == 200
    marta.gets("About flat one", notary)
    marta.gets("About flat two", notary)
    one, two = marta.sees("About flat one"), marta.sees("About flat two")
    assert one.unknown and two.unknown
    assert marta.does("pair", one, customer=customers[0]).toast == "Filed under Flat one"
    assert not marta.sees("About flat one").unknown and marta.sees("About flat two").unknown
    assert "About flat one" in marta.communication(customers[0]).main
    assert "About flat" not in marta.communication(customers[1]).main


@pytest.mark.story(23)
def test_row_23_adding_a_customer_fills_the_form_saves_and_pairs(office, marta):
    sender = office.client().address
    marta.connects()
    marta.gets("I want internet", f"Nils Holm <{sender}>")
    marta.gets("Are you there", f"Nils Holm <{sender}>")
    row = marta.sees("Are you there")
    marta.sees("I want internet")
    form = marta.get(f"/messages/{row.pk}/do/add/?kind=lead")
    assert 'value="Nils Holm"' in form.text and sender in form.text
    done = marta.does("add", row, name="Nils Holm", kind="lead", phone="0555 1234")
    assert done.toast == "Lead Nils Holm added"
    number = done.number(r"/customers/(\d+)/communication/")
    page = marta.communication(number).main
    assert "I want internet" in page and "Are you there" in page
    assert "Nils Holm" in marta.get("/leads/?q=" + sender).main
    assert not marta.sees("I want internet").unknown

    marta.post(done.undo)
    assert marta.sees("I want internet").unknown
    # By a job, after everybody's mail was filed anew: whether it can go at once would tell of colleagues' letters.
    wait_for(lambda: marta.get(f"/customers/{number}/").status == 404, "the lead that was undone to go")


@pytest.mark.story(24)
def test_row_24_blocking_stops_new_mail_and_keeps_the_old_unless_asked(office, marta):
    marta.connects()
    marta.gets("First offer", "sales@pushy.test")
    row = marta.sees("First offer")
    done = marta.does("block", row, what="address")
    assert done.toast == "sales@pushy.test blocked"
    marta.gets("Second offer", "sales@pushy.test")
    marta.gets("From their boss", "boss@mail.pushy.test")
    boss = marta.sees("From their boss")
    assert set(marta.subjects()) == {"From their boss", "First offer"}
    assert office.product.ledger(marta.mailbox)[2] == ("denied", "sales@pushy.test")
    assert marta.imap.uids(marta.address) == [1, 2, 3]  # on the server everything stays

    whole = marta.does("block", boss, what="domain", remove="1")
    assert whole.status == 200
    stays(lambda: "From their boss" not in marta.subjects(), "the removed message", seconds=1)
    assert "pushy.test" in marta.get("/messages/blocked/").main
    marta.post(whole.undo)
    assert "From their boss" in marta.subjects()


@pytest.mark.story(25)
def test_row_25_deleted_never_comes_back_and_the_server_keeps_its_copy(marta):
    marta.connects()
    marta.gets("Go away")
    row = marta.sees("Go away")
    done = marta.does("delete", row)
    assert "deleted" in done.toast and marta.inbox() == []
    marta.post(done.undo)
    assert marta.subjects() == ["Go away"]

    marta.does("delete", row)
    assert marta.imap.uids(marta.address) == [1]
    marta.imap.set_uidvalidity(marta.address, "INBOX", 4_000_000)  # everything is read once more
    marta.imap.kick(marta.address)
    marta.gets("A new one")
    marta.sees("A new one", seconds=60)
    wait_for(lambda: marta.subjects() == ["A new one"], "only the new letter")
    assert marta.opens(row).status == 404
    assert len(marta.imap.uids(marta.address)) == 2


@pytest.mark.story(25)
def test_row_25_moved_to_trash_on_the_server_where_ticked_and_undo_prevents_it(marta):
    marta.connects()
    for subject in ("Into the trash", "Saved in time"):
        marta.gets(subject)
    gone, saved = marta.sees("Into the trash"), marta.sees("Saved in time")
    marta.does("delete", gone, trash="1")
    undone = marta.does("delete", saved, trash="1")
    assert marta.inbox() == []
    marta.post(undone.undo)
    wait_for(lambda: len(marta.imap.uids(marta.address, "Trash")) == 1, "the move to Trash", seconds=40)
    assert parsed(marta.imap.letters(marta.address, "Trash")[0])["Subject"] == "Into the trash"
    assert [parsed(raw)["Subject"] for raw in marta.imap.letters(marta.address)] == ["Saved in time"]
    stays(lambda: marta.subjects() == ["Saved in time"], "what is shown")


@pytest.mark.story(25)
def test_row_25_deleted_by_another_program_stays_here_and_says_so(marta):
    marta.connects()
    marta.gets("Deleted on the phone")
    marta.gets("Untouched")
    row = marta.sees("Deleted on the phone")
    marta.sees("Untouched")
    marta.imap.expunge(marta.address, "INBOX", 1)
    wait_for(lambda: "No longer in the mailbox" in marta.opens(row).main, "the notice")
    assert set(marta.subjects()) == {"Deleted on the phone", "Untouched"}


@pytest.mark.story(26)
def test_row_26_what_is_shown_can_be_compared_with_the_raw_message(marta, elena):
    marta.connects()
    html = "<p>Hello <b>there</b></p><script>alert(1)</script><img src='http://spy.test/pixel.png'>\r\n"
    marta.gets("Look inside", text=html, MIME_Version="1.0", Content_Type="text/html; charset=utf-8")
    row = marta.sees("Look inside")
    original = marta.imap.fetch_raw(marta.address, "INBOX", 1)
    download = marta.get(f"/messages/{row.pk}/letter.eml")
    assert download.raw == original
    assert "alert(1)" in marta.get(f"/messages/{row.pk}/source/").main
    body = marta.get(f"/messages/{row.pk}/body/").text
    assert "<b>there</b>" in body and "alert(1)" not in body and "spy.test" not in body
    assert "1 remote image blocked" in marta.opens(row).main
    for path in ("letter.eml", "source/", "body/"):
        assert elena.get(f"/messages/{row.pk}/{path}").status == 404
    assert marta.imap.fetch_raw(marta.address, "INBOX", 1) == original
    assert marta.imap.flags(marta.address, "INBOX", 1) == set()
