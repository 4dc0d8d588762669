"""Tests of a connection: whose, how many, and that a stored password goes nowhere else."""

import pytest
from django.core.exceptions import PermissionDenied

from postern.mail.access import at_mailbox, viewing_as
from postern.mailboxes.connection import probe_endpoint, probe_login
from postern.mailboxes.models import Mailbox, Probe
from postern.mailboxes.probe import MOST_A_MINUTE, TooMany, start_probe
from postern.mailboxes.save import SettingsError, save_mailbox, save_system_email
from postern.mailboxes.secrets import SecretError

from .people import SETTINGS, make_mailbox, make_staff
from .test_save import SYSTEM

UNSAVED = {k: v for k, v in SETTINGS.items() if not k.endswith("_password")}


@pytest.fixture
def marta(db):
    return make_staff("marta")


@pytest.fixture
def mailbox(marta):
    return make_mailbox(marta)


def start(staff, mailbox, kind="imap", data=None, **rest):
    with viewing_as(staff):
        return start_probe(staff=staff, mailbox=mailbox, kind=kind, data=data or {}, **rest)


def login(probe, acting_as):
    """As the worker that has begun it."""
    with acting_as("sync"), at_mailbox(probe.mailbox_id or 0):
        Probe.objects.filter(pk=probe.pk).update(state="running")
        return probe_login(Probe.objects.select_related("mailbox").get(pk=probe.pk))


def test_a_typed_password_reaches_the_worker_alone(marta, acting_as):
    probe = start(marta, None, data=UNSAVED, password="typed")
    assert "typed" not in str(probe.settings)
    assert probe_endpoint(probe).host == "imap.northlink.example"
    found = login(probe, acting_as)
    assert (found.username, found.password) == ("marta", "typed")


def test_the_stored_password_serves_for_the_stored_place(marta, mailbox, acting_as):
    for kind in ("imap", "load", "smtp", "send"):
        assert login(start(marta, mailbox, kind), acting_as).password == "correct horse"


@pytest.mark.rule("S-029")
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("imap", {"imap_host": "imap.evil.example"}),
        ("load", {"imap_port": 143}),
        ("imap", {"imap_username": "elena"}),
        ("imap", {"imap_security": "starttls"}),
        ("smtp", {"smtp_host": "smtp.evil.example"}),
        ("send", {"smtp_port": 587}),
        ("smtp", {"smtp_username": "elena"}),
        ("smtp", {"imap_username": "elena"}),
    ],
)
def test_the_stored_password_serves_for_no_other_place(marta, mailbox, kind, change, acting_as):
    with pytest.raises(SettingsError) as caught:
        start(marta, mailbox, kind, change)
    assert caught.value.code == "password_needed"
    assert not Probe.objects.exists()
    assert login(start(marta, mailbox, kind, change, password="typed"), acting_as).password == "typed"


def test_a_missing_password_is_asked_for_again_only_where_one_was_saved(marta):
    for kind in ("imap", "smtp"):
        with pytest.raises(SettingsError) as caught:
            start(marta, None, kind, UNSAVED)
        assert [text for texts in caught.value.fields.values() for text in texts] == ["Enter the password."]
    mailbox = make_mailbox(marta)
    for kind in ("imap", "smtp"):
        with pytest.raises(SettingsError) as caught:
            start(marta, mailbox, kind, {"imap_username": "elena"})
        [[text]] = caught.value.fields.values()
        assert text.startswith("Enter the password again: a saved password is used only")


def test_the_password_typed_in_the_form_serves_too(marta, acting_as):
    own = {"smtp_username": "sender", "smtp_password": "for smtp"}
    for kind, more, password in (
        ("imap", {}, "correct horse"),
        ("smtp", {}, "correct horse"),
        ("smtp", own, "for smtp"),
    ):
        probe = start(marta, None, kind, SETTINGS | more)
        assert login(probe, acting_as).password == password
        assert password not in str(probe.settings)


@pytest.mark.rule("S-029")
def test_a_forged_probe_row_does_not_open_the_stored_password(marta, mailbox, acting_as):
    probe = start(marta, mailbox)
    with acting_as("superuser"):
        probe.settings["host"] = "imap.evil.example"
        probe.save()
    with pytest.raises(SecretError):
        login(probe, acting_as)


@pytest.mark.rule("S-028")
def test_a_colleagues_mailbox_is_not_there(marta, mailbox):
    elena = make_staff("elena")
    with pytest.raises(Mailbox.DoesNotExist):
        start(elena, mailbox)
    assert not Probe.objects.exists()


@pytest.mark.rule("S-028")
def test_ten_a_minute_and_no_more(marta, mailbox):
    for _ in range(MOST_A_MINUTE):
        start(marta, mailbox)
    with pytest.raises(TooMany) as caught:
        start(marta, mailbox)
    assert 0 < caught.value.retry_after <= 60
    start(make_staff("elena"), None, data=UNSAVED, password="x")


def test_faults_elsewhere_in_the_form_do_not_matter(marta, mailbox):
    start(marta, mailbox, "imap", {"smtp_port": "0", "reply_to": "nonsense"})
    with pytest.raises(SettingsError) as caught:
        start(marta, mailbox, "imap", {"imap_port": "0"})
    assert set(caught.value.fields) == {"imap_port"}


@pytest.mark.parametrize("host", ["", "10.0.0.1", "metadata.google.internal"])
def test_a_forbidden_host_is_never_asked(marta, host):
    with pytest.raises(SettingsError) as caught:
        start(marta, None, data=UNSAVED | {"imap_host": host}, password="x")
    assert "imap_host" in caught.value.fields


def test_a_test_email_goes_where_it_was_told(marta, mailbox):
    assert start(marta, mailbox, "send").recipient == "marta@northlink.example"
    assert start(marta, mailbox, "send", recipient="me@home.example").recipient == "me@home.example"
    with pytest.raises(SettingsError) as caught:
        start(marta, mailbox, "send", recipient="me@home.example\r\nBcc: x@y.example")
    assert "recipient" in caught.value.fields


def test_through_the_companys_server_nobody_picks_the_host(marta, mailbox, acting_as):
    sue = make_staff("sue", role="super")
    with viewing_as(sue):
        save_system_email(staff=sue, data=SYSTEM)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"use_system_smtp": "on"})
    probe = start(marta, mailbox, "smtp", {"smtp_host": "smtp.evil.example"}, password="ignored")
    assert probe.settings["host"] == SYSTEM["smtp_host"]
    assert probe.settings["sender"] == SYSTEM["sender_email"]
    assert login(probe, acting_as).password == SYSTEM["smtp_password"]


def test_the_companys_server_is_tested_by_the_super_administrator(db, acting_as):
    sue, marta = make_staff("sue", role="super"), make_staff("marta")
    with pytest.raises(PermissionDenied):
        start(marta, None, "system", SYSTEM, password="x")
    probe = start(sue, None, "system", SYSTEM | {"smtp_password": ""}, password="typed")
    assert login(probe, acting_as).password == "typed"
    with viewing_as(sue):
        save_system_email(staff=sue, data=SYSTEM)
    assert login(start(sue, None, "system"), acting_as).password == SYSTEM["smtp_password"]
    with pytest.raises(SettingsError, match="again"):
        start(sue, None, "system", {"smtp_host": "smtp.evil.example"})
