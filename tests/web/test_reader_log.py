"""Every page that shows a letter leaves its line; lists, one's own mail and a prefetch leave none."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postern.mail.models import MessageRead, Opening
from postern.mailboxes.models import Reader
from postern.web.profile import readerlog
from postern.web.profile.readerlog import guarded
from tests.web.browser import browser_of
from tests.web.office import Office


def told(office: Office) -> list[tuple[str, str, str]]:
    with office.acting_as("superuser"):
        rows = Opening.objects.order_by("pk")
        return [(row.reader_name, row.what, row.door) for row in rows]


def marks(office: Office) -> int:
    with office.acting_as("superuser"):
        return MessageRead.objects.count()


def opening_pages(office: Office) -> dict[str, str]:
    """Each address that shows a letter or a part of it, and what it is called in the log."""
    with office.acting_as("superuser"):
        plan = office.mail["unknown"]
        file = plan.attachments.filter(inline=False).first()
    return {
        f"/messages/inbox/{plan.pk}/": "body",
        f"/messages/{plan.pk}/body/": "body",
        f"/messages/{plan.pk}/source/": "source",
        f"/messages/{plan.pk}/letter.eml": "source",
        f"/messages/{plan.pk}/files/{file.index}/": "file",
        f"/customers/{office.brandt.pk}/communication/": "conversation",
    }


def forget(office: Office) -> None:
    with office.acting_as("superuser"):
        Opening.objects.all().delete()


def test_each_page_that_shows_a_letter_leaves_a_line(office: Office) -> None:
    for path, what in opening_pages(office).items():
        assert browser_of(office.elena).get(path).status_code == 200
        assert set(told(office)) == {("Elena Ruiz", what, "page")}, path
        forget(office)
        assert browser_of(office.marta).get(path).status_code == 200
        assert told(office) == [], path


def test_each_page_of_anothers_letter_says_plainly_that_the_owner_can_see_it(office: Office) -> None:
    pages = [
        path for path in opening_pages(office) if not re.search(r"/(body|letter\.eml|files/\d+/?)/?$", path)
    ]
    assert len(pages) == 3
    for path in pages:
        told = "can see in the reader log that you opened"
        assert f"Marta Lindqvist {told}" in browser_of(office.elena).get(path).content.decode(), path
        assert told not in browser_of(office.marta).get(path).content.decode(), path


def test_the_switch_of_the_daily_digest(office: Office) -> None:
    marta, place = browser_of(office.marta), "/profile/reader-log/digest/"
    page = marta.get("/profile/reader-log/").content.decode()
    assert "Daily digest" in page and "checked" not in page and "after 7:00 (UTC time)" in page
    chosen = {"mailbox": office.mailbox.pk, "zone": "America/New_York"}
    assert browser_of(office.elena).post(place, chosen).status_code == 302
    assert "checked" not in marta.get("/profile/reader-log/").content.decode()
    marta.post(place, chosen)
    page = marta.get("/profile/reader-log/").content.decode()
    assert "checked" in page and "America/New York time" in page
    marta.post(place, {"zone": "Moon/Base"})
    page = marta.get("/profile/reader-log/").content.decode()
    assert "checked" not in page and "America/New York time" in page


def test_an_answer_that_quotes_the_letter_leaves_one_too(office: Office) -> None:
    with office.acting_as("superuser"):
        Reader.objects.filter(staff=office.elena).update(may_reply=True)
    browser_of(office.elena).post(f"/compose/reply/{office.mail['known'].pk}/")
    assert told(office) == [("Elena Ruiz", "reply", "page")]


AHEAD = [
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Moz": "prefetch"},
    {"HX-Preloaded": "true"},
]


@pytest.mark.rule("S-137")
@pytest.mark.parametrize("ahead", AHEAD, ids=lambda ahead: "-".join(*ahead.items()))
def test_s137_asking_ahead_writes_nothing_and_shows_a_reader_nothing(
    office: Office, ahead: dict[str, str]
) -> None:
    """Else the header alone would let a reader read unseen."""
    before = marks(office)
    for path in opening_pages(office):
        assert browser_of(office.elena, **ahead).get(path).status_code == 404, path
        assert browser_of(office.marta, **ahead).get(path).status_code == 200, path
    assert told(office) == []
    assert marks(office) == before


@pytest.mark.parametrize(
    "path",
    [
        "/messages/inbox/",
        "/messages/inbox/?q=packet",
        "/messages/sent/",
        "/messages/drafts/",
        "/jump/?q=packet",
        "/live/",
        "/customers/",
        "/profile/email/",
    ],
)
def test_lists_leave_no_line(office: Office, path: str) -> None:
    assert browser_of(office.elena).get(path).status_code == 200
    assert told(office) == []


@pytest.mark.parametrize("part", ["list", "totals"])
def test_a_live_update_of_the_list_is_no_opening_and_shows_no_letter(office: Office, part: str) -> None:
    path, before = f"/messages/inbox/{office.mail['known'].pk}/", marks(office)
    response = browser_of(office.elena, **{"HX-Request": "true", "HX-Target": part}).get(path)
    assert f'id="{part}"' in response.content.decode()
    assert "it started again" not in response.content.decode().split("data-reading")[-1].split("</ul>")[-1]
    assert told(office) == []
    assert marks(office) == before


def test_opening_costs_one_statement_more_than_it_costs_the_owner(office: Office) -> None:
    path = f"/messages/{office.mail['known'].pk}/body/"

    def statements(staff: Any) -> list[str]:
        browser = browser_of(staff)
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(path).status_code == 200
        return [query["sql"] for query in queries]

    marta, elena = statements(office.marta), statements(office.elena)
    assert len(elena) == len(marta) + 1
    assert [sql for sql in elena if "INSERT INTO mail_opening" in sql]


def test_what_cannot_be_noted_is_not_shown(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postern.mail.readerlog._NOTE", "SELECT 1/0 WHERE %(staff)s > 0")
    browser = browser_of(office.elena)
    browser.raise_request_exception = False
    for path in opening_pages(office):
        response = browser.get(path)
        assert response.status_code >= 500, path
        assert b"it started again" not in response.content


def test_the_owner_reads_filters_and_exports_it(office: Office) -> None:
    for path in opening_pages(office):
        browser_of(office.elena).get(path)
    marta = browser_of(office.marta)
    page = marta.get("/profile/reader-log/").content.decode()
    for words in ("Elena Ruiz", "Attachment “", "Source", "Conversation,", "Incoming and sent mail"):
        assert words in page, words
    narrowed = marta.get("/profile/reader-log/?customer=Brandt").content.decode()
    assert "Conversation," in narrowed and "Attachment “" not in narrowed
    assert "Nothing found" in marta.get(f"/profile/reader-log/?reader={office.tom.pk}").content.decode()
    assert "Nothing found" in marta.get("/profile/reader-log/?until=2020-01-01").content.decode()
    assert marta.get("/profile/reader-log/?since=x&reader=y&after=z&mailbox=0").status_code == 200
    answer = marta.get("/profile/reader-log.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == list(readerlog.HEAD)
    assert len(rows) - 1 == len(told(office))
    assert {row[1] for row in rows[1:]} == {"Elena Ruiz"}


def test_readers_and_everybody_else_see_an_empty_log(office: Office) -> None:
    browser_of(office.elena).get(f"/messages/inbox/{office.mail['known'].pk}/")
    for staff in (office.elena, office.tom, office.boss):
        page = browser_of(staff).get("/profile/reader-log/").content.decode()
        assert "Nobody else has read your mail here" in page
        assert browser_of(staff).get("/profile/reader-log.csv").content.count(b"\n") == 1


def test_pages_of_the_log_follow_each_other(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in opening_pages(office):
        browser_of(office.elena).get(path)
    monkeypatch.setattr(readerlog, "PAGE", 2)
    seen, path = 0, "/profile/reader-log/"
    for _ in range(20):
        page = browser_of(office.marta).get(path).content.decode()
        rows = page.count('<tr><td class="nowrap">') - page.count("<small>Conversation, ")
        seen += rows + sum(
            int(number) for number in re.findall("<small>Conversation, ([0-9]+) message", page)
        )
        older = re.search('href="([^"]+)">Older<', page)
        if not older:
            break
        path = "/profile/reader-log/" + older[1].replace("&amp;", "&")
    assert seen == len(told(office))


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("Hello", "Hello"),
        ("", ""),
        ("2026-11-23", "2026-11-23"),
        ("=1+1", "'=1+1"),
        ("+49 555", "'+49 555"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        (" =1+1", "' =1+1"),
    ],
)
def test_no_cell_is_taken_for_a_formula(cell: str, safe: str) -> None:
    assert guarded(cell) == safe


def test_a_strangers_subject_is_no_formula_in_the_file(office: Office) -> None:
    office.arrive("trap", _trap())
    browser_of(office.elena).get(f"/messages/inbox/{office.mail['trap'].pk}/")
    [_, row] = csv.reader(
        io.StringIO(browser_of(office.marta).get("/profile/reader-log.csv").content.decode("utf-8-sig"))
    )
    assert row[4] == "'=HYPERLINK(1)" and row[5] == "'@cmd"


@pytest.mark.rule("S-120")
def test_a_file_ends_after_so_many_lines_and_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postern.web.profile.readerlog.MOST_LINES", 2)
    for name in ("known", "unknown", "bare"):
        browser_of(office.elena).get(f"/messages/inbox/{office.mail[name].pk}/")
    answer = browser_of(office.marta).get("/profile/reader-log.csv").content.decode("utf-8-sig")
    [_, *rows, last] = csv.reader(io.StringIO(answer))
    assert len(rows) == 2 and last == [
        "Older lines are left out after 2. Choose a shorter period to see them."
    ]


def _trap() -> bytes:
    from tests.web.office import letter

    return letter(sender='"@cmd" <a@b.example>', subject="=HYPERLINK(1)")


@pytest.mark.rule("S-062")
def test_the_panel_names_the_readers_to_the_owner_alone(office: Office) -> None:
    for path in (
        f"/messages/inbox/{office.mail['known'].pk}/",
        f"/customers/{office.brandt.pk}/communication/",
    ):
        marta = browser_of(office.marta).get(path).content.decode()
        assert "You and Elena" in marta
        assert "waits until a mailbox of their own is set up" in marta
        elena = browser_of(office.elena).get(path).content.decode()
        assert "Marta’s mailbox, shared with you" in elena
        assert "Shared with you by Marta Lindqvist" in elena
        assert office.tom.name not in elena and "Who else" not in elena
