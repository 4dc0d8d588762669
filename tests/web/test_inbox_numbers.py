"""The numbers beside the list: what there is, what is unread, what the filter leaves."""

from __future__ import annotations

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

from postern.mail.access import viewing_as
from postern.mail.lists import counts
from postern.mail.models import Message, MessageRead
from tests.web.browser import Browser
from tests.web.office import Office


def page(office: Office, path: str) -> str:
    browser = Browser()
    browser.force_login(office.marta)
    return browser.get(path).content.decode()


def total(text: str) -> str:
    found = re.search(r'id="totals"[^>]*>([^<]*)<', text)
    assert found
    return found[1]


def test_the_page_names_all_there_is_and_what_is_unread(office: Office) -> None:
    with viewing_as(office.marta):
        opened = Message.objects.visible_to(office.marta, outgoing=False).unread_by(office.marta).first()
        assert opened
        MessageRead.objects.create(message=opened, staff=office.marta, mailbox_id=opened.mailbox_id)
        found = counts(office.marta)
        assert 0 < found["unread"] < found["all"]
    assert total(page(office, "/messages/inbox/")).startswith(f"{found['all']} message")
    assert f"{found['unread']} unread" in total(page(office, "/messages/inbox/"))


def test_a_filter_that_leaves_nothing_says_nought_and_not_all(office: Office) -> None:
    assert total(page(office, "/messages/inbox/?q=nobodywroteaboutthis")).startswith("0 messages")


def test_the_mailbox_is_counted_once_a_page(office: Office) -> None:
    with CaptureQueriesContext(connection) as asked:
        page(office, "/messages/inbox/")
    assert sum('AS "unknown"' in one["sql"] for one in asked.captured_queries) == 1


def test_what_was_deleted_or_sent_is_not_counted(office: Office) -> None:
    with viewing_as(office.marta):
        before = counts(office.marta)
        unread = Message.objects.visible_to(office.marta, outgoing=False).unread_by(office.marta).first()
        assert unread
        assert Message.objects.visible_to(office.marta, outgoing=True).exists()
        everything = Message.objects.visible_to(office.marta).count()
        sent = Message.objects.visible_to(office.marta).filter(outgoing=True).count()
        assert before["all"] == everything - sent
        Message.objects.filter(pk=unread.pk).update(deleted_at=unread.received_at)
        after = counts(office.marta)
    assert (after["all"], after["unread"]) == (before["all"] - 1, before["unread"] - 1)
