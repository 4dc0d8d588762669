"""Bad input, told in the page and in the API: what happened, what to do, and nothing is lost."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

import pytest

from tests.servers.postfix import FULL
from tests.stories.office import Admin
from tests.stories.outsider import letter
from tests.stories.product import stays, wait_for
from tests.stories.test_sending_settings import company

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
NOWHERE = "mail.nowhere.invalid"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The refusal of the API, as RFC 9457 has it."""
    assert answer.status == status, answer.text
    said: dict[str, Any] = answer.json()
    assert said["status"] == status and said["code"] == code and said["detail"], said
    return said


def as_json(settings: dict[str, Any]) -> dict[str, Any]:
    """The form's fields as the API takes them."""
    kept = {name: value for name, value in settings.items() if value not in (None, "")}
    return {name: True if value == "on" else value for name, value in kept.items()}


# Reaching a server. What is wrong; what the test says, where; what the mailbox's health says once it is saved.

IMAP = [
    ({"imap_host": NOWHERE, "imap_port": 993}, "resolve", "host_not_found", "Check the spelling"),
    ({"imap_port": 1}, "connect", "connect_failed", "does not answer on port 1"),
    ({"imap_port": "plain"}, "secure", "tls_failed", "use STARTTLS"),
    ({"imap_port": "tls", "imap_security": "starttls"}, "connect", "timeout", "SSL/TLS"),
    ({"imap_password": "wrong"}, "sign_in", "password_rejected", "Authentication failed"),
    ({"sent_folder": "Gone"}, "open_folders", "folder_missing", "“Sent” looks right"),
]
SMTP = [
    ({"smtp_host": NOWHERE, "smtp_port": 465}, "resolve", "host_not_found", "Check the spelling"),
    ({"smtp_port": 1}, "connect", "connect_failed", "does not answer on port 1"),
    ({"smtp_port": "smtp", "smtp_security": "ssl"}, "secure", "tls_failed", "use STARTTLS"),
    ({"smtp_port": "smtps", "smtp_security": "starttls"}, "connect", "timeout", "SSL/TLS"),
    ({"imap_password": "wrong"}, "sign_in", "password_rejected", "535 5.7.8"),
]
NAMES = ["host", "port", "tls-to-plain", "plain-to-tls", "password", "folder"]


def with_ports(admin: Admin, changes: dict[str, Any]) -> dict[str, Any]:
    """Ports of the real servers by name."""
    imap, smtp = admin.imap, admin.office.smtp
    ports = {"plain": imap.port, "tls": imap.tls_port, "smtp": smtp.port, "smtps": smtp.tls_port}
    return {name: ports.get(str(value), value) for name, value in changes.items()}


@pytest.mark.parametrize(
    ("kind", "changes", "step", "code", "words"),
    [*[("imap", *row) for row in IMAP], *[("smtp", *row) for row in SMTP]],
    ids=[*[f"imap-{name}" for name in NAMES], *[f"smtp-{name}" for name in NAMES[:5]]],
)
def test_a_server_that_cannot_be_reached_is_told_alike_by_page_and_api(
    marta, kind, changes, step, code, words
):
    settings = marta.settings(**with_ports(marta, changes))
    started = marta.api("POST", "/probes", {"kind": kind, "settings": as_json(settings)})
    assert started.status == 202, started.text
    number = started.json()["id"]
    path = f"/probes/{number}"
    wait_for(lambda: marta.api("GET", path).json()["finished_at"], "the end of the test", seconds=60)
    told = marta.api("GET", path).json()
    result = told["result"]
    assert told["state"] == "failed" and told["steps"][-1]["key"] == step, told
    assert result["code"] == code and result["message"]
    page = marta.get(f"/profile/email/test/{number}/")
    assert words in page.words, page.words
    assert result["message"] in page.words
    assert (result["fix"] or {}).get("text") or result["advice"]
    assert settings["imap_password"] not in started.text + page.text


@pytest.mark.parametrize(("changes", "step", "code", "words"), IMAP[:3], ids=NAMES[:3])
def test_without_scripts_what_was_typed_is_still_in_the_form(marta, changes, step, code, words):
    changes = with_ports(marta, changes)
    page = marta.post(
        "/profile/email/test/", marta.settings(**changes, reply_to="help@isp.test") | {"probe": "imap"}
    )
    for name, value in (changes | {"reply_to": "help@isp.test"}).items():
        assert re.search(rf'name="{name}"[^>]*value="{value}"', page.text), name


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"imap_host": NOWHERE, "imap_port": 993}, "host_not_found", "There is no server called"),
        ({"imap_port": 1}, "connect_failed", "does not answer on port 1"),
        ({"imap_password": "wrong"}, "password_rejected", "Authentication failed"),
        ({"sent_folder": "Gone"}, "folder_missing", "“Gone”"),
    ],
    ids=["host", "port", "password", "folder"],
)
def test_a_saved_mistake_is_told_by_the_mailboxs_health_and_loses_nothing(marta, changes, code, words):
    marta.connects()
    number = marta.mailbox
    marta.gets("Before")
    marta.sees("Before")
    assert marta.saves(**changes).status == 200

    def health() -> dict[str, Any]:
        said: dict[str, Any] = marta.api("GET", f"/mailboxes/{number}/health").json()
        return said if said["code"] == code else {}

    said = wait_for(health, f"{code} (now: {marta.health()})", seconds=40)
    assert words in said["sentence"] and said["fix"], said
    page = marta.health()
    assert words in page and said["fix"] in page, page
    marta.gets("Meanwhile")
    assert marta.sees("Before").pk
    marta.connects()
    marta.sees("Meanwhile")
    assert [row.subject for row in marta.inbox()] == ["Meanwhile", "Before"]
    assert all(outcome == "imported" for outcome, _ in office_ledger(marta).values())


def office_ledger(admin: Admin) -> dict[int, tuple[str, str]]:
    """The ledger of an admin's inbox."""
    return admin.office.product.ledger(admin.mailbox)


# Full mailboxes


def test_a_full_mailbox_of_ones_own_keeps_the_copy_here_and_says_so(marta, greta):
    marta.connects()
    marta.imap.set_quota(marta.address, 20_000)
    marta.imap.kick(marta.address)
    marta.sends_at_once(to=greta.address, subject="A long story", text="It goes on.\n" * 5_000)
    marta.until_delivery("A long story")
    greta.receives("A long story")
    row = marta.sent()[0]

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = marta.api("GET", f"/messages/{row.pk}").json()["undone"]
        return found

    undone = wait_for(told, "the word about the copy", seconds=40)
    assert undone[0]["kind"] == "append" and "The mailbox is full" in undone[0]["reason"], undone
    page = marta.get(f"/messages/sent/{row.pk}/")
    assert "copy is not in the sent folder" in page.main and "The mailbox is full" in page.main, page.main
    assert "Check for mail" in page.main and marta.imap.uids(marta.address, "Sent") == []

    marta.imap.set_quota(marta.address, None)
    marta.imap.kick(marta.address)
    marta.post("/messages/check/")
    wait_for(
        lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "the copy in the sent folder", seconds=40
    )
    wait_for(lambda: not told(), "the end of the warning")
    stays(lambda: len(marta.imap.uids(marta.address, "Sent")) == 1, "one copy", seconds=1)


def test_a_recipients_full_mailbox_is_told_and_the_letter_kept(marta):
    marta.connects()
    number = marta.sends_at_once(to=FULL, subject="Your invoice", text="Please find it below.")
    kept = marta.until_delivery("Your invoice", "failed")
    assert kept["code"] == "mailbox_full"
    said = marta.api("GET", f"/deliveries/{number}").json()["problem"]
    assert said["code"] == "mailbox_full" and "552 5.2.2" in said["server_text"]
    assert FULL in said["message"] and "full" in said["message"] and "send it again later" in said["advice"]
    page = marta.get(f"/compose/{number}/")
    assert said["message"] in page.main and "552 “5.2.2" in page.main
    assert "Please find it below." in page.text and FULL in page.text  # as it was, to be sent again


# Letters in

MALFORMED = {
    "no head at all": b"\r\nJust words.\r\n",
    "no body": b"From: a@elsewhere.test\r\nSubject: no body",
    "nothing ends": b"From: a@elsewhere.test\r\nSubject: nothing ends\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhalf a part',
    "bare bytes": b"From: \xff\xfe <a@elsewhere.test>\r\nSubject: bare bytes \xe4\xf6\r\n\r\n\xff\xfe\x80\r\n",
    "unknown charset": b"From: a@elsewhere.test\r\nSubject: =?x-nonsense?Q?unknown_charset?=\r\n"
    b"Content-Type: text/plain; charset=x-nonsense\r\n\r\nhello\r\n",
    "broken base64": b"From: a@elsewhere.test\r\nSubject: broken base64\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"aGVsbG8===!!!\xff\r\n",
    "many parts": b"From: a@elsewhere.test\r\nSubject: many parts\r\nMIME-Version: 1.0\r\n"
    + b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(300)
    ),
    "no date": b"From: a@elsewhere.test\r\nDate: the day after tomorrow\r\nSubject: no date\r\n\r\nx\r\n",
    "a wrong head": b"From a@elsewhere.test Mon Nov 23\r\n>From: x\r\nSubject: a wrong head\r\nno colon here\r\n\r\nx\r\n",
}


def test_malformed_letters_are_shown_as_far_as_they_go_and_their_bytes_kept(marta):
    marta.connects()
    for raw in MALFORMED.values():
        marta.imap.deliver(marta.address, raw)
    marta.gets("A good one behind them")
    marta.sees("A good one behind them", seconds=40)
    wait_for(lambda: len(marta.inbox()) == len(MALFORMED) + 1, "all letters")
    ledger = office_ledger(marta)
    assert len(ledger) == len(MALFORMED) + 1 and {outcome for outcome, _ in ledger.values()} == {"imported"}
    kept = set()
    for row in marta.inbox():
        assert marta.opens(row).status == 200
        whole = marta.api("GET", f"/messages/{row.pk}")
        assert whole.status == 200
        eml = marta.get(f"/messages/{row.pk}/letter.eml").raw
        assert eml == marta.api("GET", f"/messages/{row.pk}/source").raw
        kept.add(eml)
    on_server = set(marta.imap.letters(marta.address))
    assert kept == on_server and set(MALFORMED.values()) <= {raw.rstrip(b"\r\n") for raw in kept} | kept


def big(subject: str, size: int) -> bytes:
    """A letter with one attachment of random bytes, `size` bytes as it travels."""
    data = base64.encodebytes(os.urandom(size * 3 // 4)).replace(b"\n", b"\r\n")
    head = letter(
        "Guest <big@elsewhere.test>",
        "x@isp.test",
        subject,
        "",
        MIME_Version="1.0",
        Content_Type='application/zip; name="archive.zip"',
        Content_Disposition='attachment; filename="archive.zip"',
        Content_Transfer_Encoding="base64",
    )
    return head + data


def test_a_letter_of_30_mb_comes_in_whole(marta):
    marta.connects()
    raw = big("Thirty megabytes", 30_000_000)
    marta.imap.deliver(marta.address, raw)
    marta.gets("And the next one")
    row = marta.sees("Thirty megabytes", seconds=60)
    marta.sees("And the next one", seconds=30)
    assert "Has attachments" in row.words
    (file,) = marta.api("GET", f"/messages/{row.pk}").json()["attachments"]
    assert file["name"] == "archive.zip" and file["size"] > 21_000_000
    assert marta.opens(row).status == 200
    assert marta.get(f"/messages/{row.pk}/letter.eml").raw == raw


# Letters out


def test_30_mb_are_refused_before_anything_is_sent_and_what_was_typed_is_still_there(marta, greta):
    marta.connects()
    page = marta.get("/compose/")
    assert 'data-most="' in page.text and "25 MB" in page.text  # said before anything is uploaded
    film = ("film.mp4", "video/mp4", os.urandom(30_000_000))
    refused = marta.sends(to=greta.address, subject="A film", text="Look at this.", files={"files": film})
    assert refused.status == 422 and "at most 25 MB are possible" in refused.main
    assert (
        "Look at this." in refused.text and 'value="A film"' in refused.text and greta.address in refused.text
    )
    assert marta.delivery("A film")["state"] == "draft"

    number = marta.api("POST", "/deliveries", {"to": greta.address, "subject": "Another film"}).json()["id"]
    answer = marta.api("POST", f"/deliveries/{number}/files", files={"file": film})
    said = problem(answer, 422, "too_large")
    assert "25 MB" in said["fields"]["files"][0]
    assert marta.api("GET", f"/deliveries/{number}").json()["subject"] == "Another film"


def test_a_letter_larger_than_the_server_takes_is_refused_by_size_and_kept(marta, greta):
    marta.connects()
    number = marta.api("POST", "/deliveries", {"to": greta.address, "subject": "Plans"}).json()["id"]
    plan = ("plan.pdf", "application/pdf", os.urandom(9_000_000))
    assert marta.api("POST", f"/deliveries/{number}/files", files={"file": plan}).status == 201
    marta.api("POST", f"/deliveries/{number}/send", {"undo_seconds": 0})
    kept = marta.until_delivery("Plans", "failed")
    assert kept["code"] == "too_large" and "at most 10.0 MB" in kept["problem"]
    page = marta.get(f"/compose/{number}/")
    assert "at most 10.0 MB" in page.main and "plan.pdf" in page.main
    assert "fewer or smaller attachments" in page.main + marta.api("GET", f"/deliveries/{number}").text
    assert marta.api("GET", f"/deliveries/{number}").json()["files"][0]["name"] == "plan.pdf"


# Lists


CSV = """name;email;number
Brandt Bakery {n};brandt{n}@bakery.test;K-{n}1
;nobody@bakery.test;K-{n}2
Broken Address {n};not an address;K-{n}3
Café Zoë {n};zoe{n}@bakery.test zoe{n}-2@bakery.test;K-{n}4
"""


def test_a_csv_with_broken_rows_imports_the_good_ones_and_names_the_others(marta):
    def file(n: int) -> dict[str, tuple[str, str, bytes]]:
        return {"file": ("customers.csv", "text/csv", CSV.format(n=n).encode())}

    page = marta.post("/customers/import/", {}, files=file(1))
    assert page.status == 200 and "2 added" in page.main and "2 lines not imported" in page.main
    assert "Line 3: The name is missing." in page.main
    assert "Line 4: “not” is not an e-mail address." in page.main
    said = marta.api("POST", "/customers/import", files=file(2)).json()
    assert len(said["added"]) == 2 and set(said["broken"]) == {"3", "4"}
    names = marta.get("/customers/?q=bakery.test").main
    assert "Brandt Bakery 1" in names and "Café Zoë 2" in names and "Broken Address" not in names


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"email;phone\na@b.test;1\n", "“name” is missing"), (b"PK\x03\x04\x00\x00\x00", "not a CSV file")],
    ids=["no name column", "a spreadsheet"],
)
def test_what_is_no_list_of_customers_is_refused_whole(marta, data, words):
    before = marta.office.product.sql("SELECT count(*) FROM people_customer")
    upload = {"file": ("customers.csv", "text/csv", data)}
    page = marta.post("/customers/import/", {}, files=upload)
    assert page.status == 422 and words in page.main
    said = problem(marta.api("POST", "/customers/import", files=upload), 422, "csv_unreadable")
    assert words in said["fields"]["file"][0]
    assert marta.office.product.sql("SELECT count(*) FROM people_customer") == before


DENIED = "one@spam.test\n# a comment\n\ntwo.test\n*@three.test\n@four.test\nnonsense here\nfive.test"


def test_a_deny_list_with_nonsense_in_line_7(marta):
    marta.connects(deny_list="kept.test")
    page = marta.saves(deny_list=DENIED, reply_to="help@isp.test")
    assert page.status == 422 and "Nothing was saved" in page.main
    assert "Line 7: “nonsense here” is neither an e-mail address nor a domain." in page.main
    assert DENIED in page.text.replace("&#x27;", "'") and 'value="help@isp.test"' in page.text
    path = f"/mailboxes/{marta.mailbox}"
    said = problem(
        marta.api("PATCH", path, {"deny_list": DENIED, "reply_to": "help@isp.test"}), 422, "invalid"
    )
    assert said["fields"]["deny_list"][0].startswith("Line 7: “nonsense here”") and list(said["fields"]) == [
        "deny_list"
    ]
    said = problem(marta.api("POST", f"{path}/deny-list/preview", {"deny_list": DENIED}), 422, "invalid")
    assert said["fields"]["deny_list"][0].startswith("Line 7")
    kept = marta.api("GET", path).json()
    assert kept["deny_list"] == "kept.test" and kept["settings"]["reply_to"] == ""


def test_a_senders_email_without_at(office):
    boss = office.boss
    boss.post("/config/email/", company(office))
    page = boss.post("/config/email/", company(office, sender_email="relay", sender_name="New Name"))
    assert page.status == 422 and "“relay”" in page.main and "@" in page.main
    assert 'value="relay"' in page.text and 'value="New Name"' in page.text
    said = problem(
        boss.api("PATCH", "/config/email", {"sender_email": "relay", "sender_name": "New"}), 422, "invalid"
    )
    assert "“relay”" in said["fields"]["sender_email"][0]
    kept = boss.api("GET", "/config/email").json()["settings"]
    assert kept["sender_email"] == "office@isp.test" and kept["sender_name"] == "Northwind Fibre"
