"""Certificates that nobody checks: only where the company allows it, and each step leaves a line (S-039)."""

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import Error, connection, transaction

from postern.mail.access import viewing_as
from postern.mailboxes import trust
from postern.mailboxes.connection import unchecked
from postern.mailboxes.health import in_words
from postern.mailboxes.models import Mailbox, MailboxHealth, SystemEmail, TrustLine
from postern.mailboxes.save import SettingsError, accept_certificate, save_mailbox, save_system_email
from postern.people.models import Notice
from tests.roles import allow_unchecked

from .people import make_mailbox, make_staff

pytestmark = pytest.mark.rule("S-039")
IMAP, SMTP = "imap.northlink.example:993", "smtp.northlink.example:465"


@pytest.fixture
def marta(db):
    return make_staff("marta")


@pytest.fixture
def sue(db):
    return make_staff("sue", role="super")


@pytest.fixture
def mailbox(marta):
    return make_mailbox(marta)


def save(staff, mailbox, **data):
    with viewing_as(staff):
        return save_mailbox(staff=staff, mailbox=mailbox, data=data)


def allows(staff, yes):
    with viewing_as(staff):
        return save_system_email(staff=staff, data={"unchecked_certificates": yes})


def lines(staff, mailbox=None):
    with viewing_as(staff):
        return [(line.what, line.server, line.by_id) for line in trust.log_of(mailbox)]


def told(acting_as, staff):
    with acting_as("superuser"):
        return list(Notice.objects.filter(staff=staff).values_list("text", flat=True))


@pytest.mark.parametrize("server", ["imap", "smtp"])
def test_nobody_skips_the_check_unless_the_company_allows_it(marta, sue, mailbox, server):
    with pytest.raises(SettingsError) as refused:
        save(marta, mailbox, **{f"{server}_skip_validation": "on"})
    assert list(refused.value.fields) == [f"{server}_skip_validation"]
    assert "Config → Main → Email" in str(refused.value)
    assert lines(marta) == []
    allows(sue, True)
    kept = save(marta, mailbox, **{f"{server}_skip_validation": "on"})
    assert unchecked(kept) == (server,)


def test_without_encryption_or_through_the_company_there_is_no_certificate_to_skip(
    marta, mailbox, monkeypatch
):
    monkeypatch.setattr(settings, "MAIL_HOSTS", "imap.northlink.example")
    kept = save(
        marta,
        mailbox,
        imap_security="none",
        imap_port=143,
        imap_skip_validation="on",
        imap_password="x",
    )
    assert unchecked(kept) == ()
    with pytest.raises(SettingsError):
        save(marta, mailbox, imap_security="ssl", imap_port=993, imap_password="x")
    kept.use_system_smtp = kept.smtp_skip_validation = True
    assert unchecked(kept) == ()


def test_only_a_super_administrator_changes_what_is_allowed(marta, sue):
    with pytest.raises(PermissionDenied):
        allows(marta, True)
    assert not SystemEmail.current().unchecked_certificates
    allows(sue, True)
    allows(sue, True)  # nothing new, no line
    allows(sue, False)
    assert lines(sue) == [("forbidden", "", sue.pk), ("allowed", "", sue.pk)]
    assert lines(marta) == []


def test_each_step_of_an_owner_leaves_a_line(marta, sue, mailbox, acting_as):
    allows(sue, True)
    save(marta, mailbox, imap_skip_validation="on", smtp_skip_validation="on")
    save(marta, mailbox, mark_as_read="on")  # nothing about certificates
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=mailbox.pk).update(imap_pinned_sha256="ab" * 32)
        MailboxHealth.objects.filter(mailbox=mailbox).update(seen_sha256="cd" * 32)
    with viewing_as(marta):
        accept_certificate(staff=marta, mailbox=mailbox, seen_sha256="cd" * 32)
        newest = trust.log_of(mailbox).first()
        assert (newest.what, newest.former_sha256, newest.sha256) == ("trusted", "ab" * 32, "cd" * 32)
    save(marta, mailbox, smtp_host="smtp2.northlink.example", imap_password="x")
    save(marta, mailbox, imap_skip_validation="off")
    assert lines(marta, mailbox) == [
        ("checked", IMAP, marta.pk),
        ("unchecked", "smtp2.northlink.example:465", marta.pk),
        ("trusted", IMAP, marta.pk),
        ("unchecked", SMTP, marta.pk),
        ("unchecked", IMAP, marta.pk),
    ]
    assert lines(sue)[:5] == lines(marta, mailbox)
    assert lines(make_staff("colleague")) == []


def test_a_certificate_that_is_not_accepted_leaves_no_line(marta, mailbox):
    with viewing_as(marta), pytest.raises(SettingsError):
        accept_certificate(staff=marta, mailbox=mailbox, seen_sha256="cd" * 32)
    assert lines(marta) == []


def test_the_log_is_written_by_nobody_for_another_and_changed_by_nobody(marta, sue, mailbox):
    """Whoever could run SQL in the web process: the second lock."""
    allow_unchecked()
    save(marta, mailbox, imap_skip_validation="on")
    mallory = make_staff("mallory")
    forged = [
        {"by": sue, "mailbox": None, "what": "allowed"},
        {"by": mallory, "mailbox": None, "what": "allowed"},
        {"by": mallory, "mailbox": mailbox, "what": "trusted"},
        {"by": mallory, "mailbox": None, "what": "allowed", "at": "2020-01-01T00:00:00Z"},
    ]
    for row in forged:
        with viewing_as(mallory), pytest.raises(Error), transaction.atomic():
            TrustLine.objects.create(**row)
    for change in ("UPDATE mailboxes_trustline SET what = 'checked'", "DELETE FROM mailboxes_trustline"):
        with (
            viewing_as(marta),
            pytest.raises(Error),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(change)
    for call in ("app.tell_unchecked()", "app.tell_changed(1, 'x', 'y')"):
        with (
            viewing_as(marta),
            pytest.raises(Error),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT {call}")
    assert lines(marta) == [("unchecked", IMAP, marta.pk)]


def test_who_takes_it_back_knows_how_many_and_the_owners_are_told(marta, sue, mailbox, acting_as):
    make_mailbox(make_staff("elena"), address="elena@northlink.example")
    allows(sue, True)
    save(marta, mailbox, smtp_skip_validation="on")
    with viewing_as(sue):
        assert trust.count_unchecked() == 1
    with viewing_as(marta):
        assert trust.count_unchecked() == 0  # nobody else's business
    assert told(acting_as, marta) == []
    allows(sue, False)
    [words] = told(acting_as, marta)
    assert "marta@northlink.example" in words and "not connect" in words
    with acting_as("superuser"):
        assert Notice.objects.count() == 1
    # What is on is refused with the next save, in words, until it is off.
    with pytest.raises(SettingsError):
        save(marta, mailbox, mark_as_read="on")
    assert unchecked(save(marta, mailbox, mark_as_read="on", smtp_skip_validation="off")) == ()


def test_an_owner_is_told_once_of_a_changed_certificate(marta, mailbox, acting_as):
    from postern.sync import store

    with acting_as("sync"):
        for _ in range(2):
            store.note_health(mailbox.pk, state="certificate_changed", seen_sha256="cd" * 32)
    [words] = told(acting_as, marta)
    assert "cd" * 32 in words and "imap.northlink.example" in words
    with acting_as("sync"):
        store.note_health(mailbox.pk, state="certificate_changed", seen_sha256="ef" * 32)
    assert len(told(acting_as, marta)) == 2


def test_the_words_of_a_mailbox_that_may_not_connect():
    health = MailboxHealth(state="failed", code="unchecked_refused", message="Not allowed.", advice="Ask.")
    words = in_words(health)
    assert (words.title, words.tone, words.fix) == ("Certificate must be checked", "bad", "Ask.")


def test_an_upgrade_stops_nobody_and_knows_the_servers_that_were_found(marta, mailbox, acting_as):
    from importlib import import_module

    from django.apps import apps
    from django.utils import timezone

    carry_on = import_module("postern.mailboxes.migrations.0006_checked_certificates").carry_on
    with acting_as("superuser"):
        carry_on(apps, None)
        assert not SystemEmail.current().unchecked_certificates
        assert MailboxHealth.objects.get(mailbox=mailbox).known_host == ""
        Mailbox.objects.filter(pk=mailbox.pk).update(smtp_skip_validation=True)
        MailboxHealth.objects.filter(mailbox=mailbox).update(last_sync_at=timezone.now())
        carry_on(apps, None)
        assert SystemEmail.current().unchecked_certificates
        assert MailboxHealth.objects.get(mailbox=mailbox).known_host == "imap.northlink.example"
