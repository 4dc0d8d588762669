"""Rows 27 to 30, customers and their Communication: a letter goes out, the answer comes back by itself."""

from __future__ import annotations

import pytest

from tests.servers.postfix import LATER
from tests.stories.outsider import letter
from tests.stories.product import stays, wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]

CSV = """name;email;kind;phone;status
Alder Dental;ALDER@Dental.test front@dental.test;customer;0555 77;active
Broken Row;not an address;customer;;active
Birch Cafe;birch@cafe.test;lead;;new
;nameless@cafe.test;customer;;active
"""


@pytest.mark.story(27)
def test_row_27_customers_and_leads_with_several_addresses(office, marta):
    marta.connects()
    main, billing = office.client().address, office.client().address
    number = marta.adds_customer("Cedar Garage", main, phone="0555 42", notes="Two lines.")
    marta.post(f"/customers/{number}/addresses/", {"email": billing.upper(), "kind": "billing"})
    page = marta.get(f"/customers/{number}/").main
    assert main in page and billing in page and "0555 42" in page and "Two lines." in page
    for words in ("Cedar", billing, "0555 42"):
        assert "Cedar Garage" in marta.get("/customers/?q=" + words.replace(" ", "+")).main
    assert "Nobody found" in marta.get("/customers/?q=xyzzy").main
    marta.gets("The bill", billing)
    marta.sees("The bill")
    assert "The bill" in marta.communication(number).main

    bad = marta.post(f"/customers/{number}/addresses/", {"email": "no address", "kind": "other"})
    assert "is not an e-mail address" in bad.toast
    nameless = marta.post("/customers/new/", {"kind": "customer", "name": "", "status": "active"})
    assert nameless.status == 422


@pytest.mark.story(27)
def test_row_27_a_lead_converts_and_keeps_its_mail(office, marta):
    marta.connects()
    address = office.client().address
    lead = marta.adds_customer("Dune Hotel", address, kind="lead", status="new")
    marta.gets("Offer please", address)
    marta.sees("Offer please")
    assert "Dune Hotel" in marta.get("/leads/?q=Dune").main
    done = marta.post(f"/customers/{lead}/convert/")
    assert done.toast == "Dune Hotel is now a customer"
    assert "Offer please" in marta.communication(lead).main
    assert "Dune Hotel" in marta.get("/customers/?q=Dune").main
    assert "Nobody found" in marta.get("/leads/?q=Dune").main


@pytest.mark.story(27)
def test_row_27_csv_import_saves_good_rows_and_names_broken_ones(office, marta, tmp_path):
    page = marta.post("/customers/import/", {}, files={"file": ("people.csv", "text/csv", CSV.encode())})
    assert page.status == 200
    assert "2 added, 0 updated, 2 lines not imported" in page.main
    assert "“not” is not an e-mail address" in page.main and "The name is missing" in page.main
    assert "alder@dental.test" in marta.get("/customers/?q=Alder").main
    assert "Birch Cafe" in marta.get("/leads/?q=birch").main
    refused = marta.post("/customers/import/", {}, files={"file": ("x.csv", "text/csv", b"\x00\x01\x02")})
    assert refused.status == 422 and "not a CSV file" in refused.main

    path = office.product.home / "more.csv"
    path.write_text("name,email\nElm Studio,elm@studio.test\n")
    path.chmod(0o644)
    assert "1" in office.product.postern("import-customers", str(path))
    assert "Elm Studio" in marta.get("/customers/?q=elm").main


@pytest.mark.story(28)
@pytest.mark.story(29)
def test_row_28_and_29_an_ordinary_email_goes_out_and_the_answer_appears_in_its_conversation(marta, greta):
    marta.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    composer = marta.get(f"/compose/?customer={customer}")
    assert f'value="{greta.address}"' in composer.text

    page = marta.sends(
        to=greta.address,
        customer=customer,
        subject="Your new line",
        text="Dear Greta,\nit is ready.",
        files={"files": ("terms.txt", "text/plain", b"Be kind.")},
    )
    assert page.url.endswith(f"/customers/{customer}/communication/") and "10 seconds" in page.toast
    assert "Your new line" in page.main  # shown as being under way
    arrived = greta.receives("Your new line")
    assert arrived["From"] == f"{marta.name} <{marta.address}>" and arrived["To"] == greta.address
    assert "it is ready." in arrived.get_body(("plain",)).get_content()
    assert [part.get_filename() for part in arrived.iter_attachments()] == ["terms.txt"]
    assert arrived["Message-ID"] and arrived["Date"] and arrived["Bcc"] is None

    with marta.listens() as events:
        greta.answer(arrived, "Thank you, Marta.\r\n")
        wait_for(lambda: "Thank you, Marta." in marta.communication(customer).main, "the answer", seconds=15)
        wait_for(
            lambda: any(kind == "message" for kind, _ in events), "the event for the open page", seconds=5
        )
    shown = marta.communication(customer)
    assert shown.text.count('href="?thread=') == 1  # one conversation holds both
    assert shown.main.index("it is ready.") < shown.main.index("Thank you, Marta.")
    row = marta.sees("Re: Your new line")
    assert not row.unknown

    started = marta.post(f"/compose/reply/{row.pk}/")
    draft = started.number(r"/compose/(\d+)/")
    marta.post(
        f"/compose/{draft}/",
        {"to": greta.address, "subject": "Re: Your new line", "text": "Welcome!", "do": "send"},
    )
    wait_for(lambda: len(greta.letters()) == 2, "the second letter", seconds=40)
    second = next(one for one in greta.letters() if one["Subject"] == "Re: Your new line")
    assert str(arrived["Message-ID"]) in str(second["References"])


@pytest.mark.story(28)
def test_row_28_a_refused_recipient_is_reported_plainly_and_nothing_is_lost(marta):
    marta.connects()
    bad = marta.sends(to="not an address", subject="Nowhere")
    assert bad.status == 422 and "not an address" in bad.text
    marta.sends_at_once(to="nobody.at.all@client.test", subject="Nobody there", text="Kept words.")
    failed = marta.until_delivery("Nobody there", "failed")
    assert failed["code"] == "recipients_refused"
    drafts = marta.get("/messages/drafts/").main
    assert "Not sent" in drafts and "Nobody there" in drafts
    page = marta.get(f"/compose/{failed['id']}/")
    assert "Kept words." in page.text and "refused" in page.main


@pytest.mark.story(28)
@pytest.mark.rule("R-046")
def test_row_28_who_is_refused_for_now_is_tried_again_and_the_others_have_it_once(marta, greta):
    marta.connects()
    marta.sends_at_once(to=f"{greta.address}, {LATER}", subject="For both", text="Hello both.")
    wait_for(lambda: marta.delivery("For both")["accepted"], "Greta’s copy", seconds=40)
    row = marta.delivery("For both")
    assert (row["state"], row["accepted"]) == ("queued", [greta.address]) and LATER in row["problem"]
    page = marta.get(f"/compose/{row['id']}/")
    assert "Sent to some" in page.main and f"{LATER} was refused for now: 450" in page.main
    assert "Next attempt" in page.main and "For both" in marta.get("/messages/drafts/").main
    assert marta.post(f"/compose/{row['id']}/undo/").status == 200
    row = marta.until_delivery("For both")
    assert row["accepted"] == [greta.address] and "was stopped" in row["problem"]
    assert f"{LATER} was not reached" in marta.get(f"/compose/{row['id']}/").main
    assert [one["Subject"] for one in greta.letters()].count("For both") == 1


@pytest.mark.story(28)
def test_row_28_undo_send_brings_the_draft_back(marta, greta):
    marta.connects()
    page = marta.sends(to=greta.address, subject="Too fast", text="Hm.")
    back = marta.post(page.undo)
    assert back.status == 200 and "Hm." in back.text
    assert marta.delivery("Too fast")["state"] == "draft"
    stays(lambda: greta.letters() == [], "the customer's empty mailbox", seconds=13)


@pytest.mark.story(30)
def test_row_30_sent_here_is_in_the_servers_sent_folder_once(marta, greta):
    marta.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    marta.sends_at_once(to=greta.address, customer=customer, subject="Once", bcc="quiet@client.test")
    marta.until_delivery("Once")
    wait_for(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "the copy in the sent folder")
    greta.receives("Once")
    marta.post("/messages/check/")
    stays(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "one copy", seconds=3)
    copy = marta.phone.letters("Sent")[0]
    assert copy["Subject"] == "Once" and marta.imap.flags(marta.address, "Sent", 1) == {"\\Seen"}
    assert [row.subject for row in marta.sent()] == ["Once"]  # recognised when it came back
    assert "Once" in marta.communication(customer).main


@pytest.mark.story(30)
def test_row_30_sent_from_a_phone_appears_too(marta, greta):
    marta.connects()
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    raw = marta.phone.write(greta.address, "From the tram", "On my way.\r\n")
    marta.imap.append(marta.address, "Sent", raw, flags=["\\Seen"])
    marta.post("/messages/check/")
    wait_for(lambda: "On my way." in marta.communication(customer).main, "the phone's letter")
    assert [row.subject for row in marta.sent()] == ["From the tram"]
    greta.answer(greta.receives("From the tram"), "See you.\r\n")
    wait_for(lambda: "See you." in marta.communication(customer).main, "the answer to it")


@pytest.mark.story(30)
def test_row_30_with_smtp_alone_sent_mail_shows_here_all_the_same(office, marta, greta):
    secret = marta.imap.passwords[marta.address]
    saved = marta.saves(
        imap_host="",
        imap_username="",
        imap_password="",
        sent_folder="",
        smtp_username=marta.address,
        smtp_password=secret,
    )
    assert saved.status == 200 and "Saved" in saved.toast, saved.main
    customer = marta.adds_customer("Brandt Bakery", greta.address)
    marta.sends_at_once(to=greta.address, customer=customer, subject="Without IMAP")
    marta.until_delivery("Without IMAP")
    assert "Without IMAP" in marta.communication(customer).main
    assert [row.subject for row in marta.sent()] == ["Without IMAP"]
    greta.receives("Without IMAP")


@pytest.mark.story(30)
def test_row_30_a_provider_that_files_sent_mail_itself_gets_no_second_copy(marta, greta):
    marta.connects()
    marta.imap.append(marta.address, "Sent", letter(marta.address, greta.address, "Older"), flags=["\\Seen"])
    marta.sends(to=greta.address, subject="Filed by the provider")
    filed = marta.delivery("Filed by the provider")
    raw = letter(marta.address, greta.address, "Filed by the provider", Message_ID=f"<{filed['message_id']}>")
    marta.imap.append(marta.address, "Sent", raw, flags=["\\Seen"])
    marta.until_delivery("Filed by the provider")
    greta.receives("Filed by the provider")
    marta.post("/messages/check/")
    stays(
        lambda: len(marta.imap.uids(marta.address, "Sent")) == 2, "two letters in the sent folder", seconds=4
    )
