"""Load and the tests of a connection: steps as they happen, one fix, the password forgotten."""

import asyncio
import contextlib
import imaplib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from postern.mail.access import viewing_as
from postern.mailboxes.models import Probe, ProbeSecret
from postern.mailboxes.probe import start_probe
from postern.sync import probe
from postern.sync.fixes import suggest
from postern.sync.probe import suggested_sent
from postern.sync.store import Store, waiting
from postern.wire.errors import MailError
from postern.wire.imap import Session

from .box import USER, letter


@pytest.fixture
def tried(box, dovecot, acting_as):
    """Start a probe as web does, run it as the worker does."""

    def once(kind="imap", password="marta-secret-1", **changes):
        with acting_as("web"), viewing_as(box.owner):
            asked = start_probe(
                staff=box.owner, mailbox=box.mailbox, kind=kind, data=changes, password=password
            )

        async def run():
            keeper = Store(2)
            try:
                assert await keeper.run(waiting) == [asked.pk]
                await probe.run(keeper, asked.pk)
            finally:
                keeper.close()

        asyncio.run(asyncio.wait_for(run(), 60))
        with acting_as("superuser"):
            assert not ProbeSecret.objects.exists()
        done = Probe.objects.get(pk=asked.pk)
        assert done.finished_at is not None
        return done

    return once


@pytest.mark.dovecot
def test_load_lists_folders_and_knows_the_sent_one(tried, dovecot):
    dovecot.append(USER, "INBOX", letter())
    done = tried("load")
    assert done.state == "works", done.result
    assert done.result["sent_folder"] == "Sent"
    assert "server says" in done.result["reason"]
    rows = {row["name"]: row for row in done.result["folders"]}
    assert rows["INBOX"]["messages"] == 1
    assert rows["Sent"]["refused"] == ""
    assert rows["Trash"]["refused"]


@pytest.mark.dovecot
def test_the_imap_test_tells_each_step(tried):
    done = tried()
    assert done.state == "works", done.result
    assert [step["key"] for step in done.steps] == ["resolve", "connect", "sign_in", "open_folders"]
    assert all(step["ok"] and step["milliseconds"] >= 0 for step in done.steps)
    assert "Sent: 0 messages" in done.steps[-1]["detail"]


@pytest.mark.dovecot
def test_a_stored_password_serves_when_none_is_typed(tried):
    assert tried(password=None).state == "works"


@pytest.mark.dovecot
def test_a_wrong_password_quotes_the_server(tried):
    done = tried(password="wrong")
    assert done.state == "failed"
    assert done.result["code"] == "password_rejected"
    assert done.result["server_text"]
    assert done.steps[-1]["key"] == "sign_in"
    assert not done.steps[-1]["ok"]
    assert "wrong" not in str(done.steps) + str(done.result)


@pytest.mark.dovecot
def test_a_missing_sent_folder_offers_the_right_one(tried):
    done = tried(sent_folder="Gesendet")
    assert done.state == "failed"
    assert done.result["fix"] == {
        "field": "sent_folder",
        "value": "Sent",
        "text": "“Sent” looks right.",
    }


@pytest.mark.dovecot
@pytest.mark.rule("R-023")
@pytest.mark.parametrize(
    ("use", "word"), [("\\Drafts", "drafts"), ("\\Trash", "deleted"), ("\\Junk", "junk"), ("\\All", "all")]
)
def test_a_folder_of_a_harmless_name_that_the_server_uses_otherwise_is_refused(
    tried, dovecot, monkeypatch, use, word
):
    with contextlib.suppress(imaplib.IMAP4.error):  # a test before this one made it
        dovecot.create_folder(USER, "Ablage")
    list_folders = Session.list_folders

    async def used(session):
        return [
            replace(one, special_use=use) if one.name == "Ablage" else one
            for one in await list_folders(session)
        ]

    assert tried(sent_folder="Ablage").state == "works"
    monkeypatch.setattr(Session, "list_folders", used)
    done = tried(sent_folder="Ablage")
    assert (done.state, done.result["code"]) == ("failed", "folder_missing"), done.result
    assert word in done.result["message"] and "Load" in done.result["fix"]["text"]
    offered = {row["name"]: row["refused"] for row in tried("load").result["folders"]}
    assert word in offered["Ablage"] and not offered["Sent"]


@pytest.mark.dovecot
def test_encryption_where_there_is_none_offers_the_right_mode(tried, dovecot):
    done = tried(imap_security="ssl")
    assert done.state == "failed"
    assert done.result["code"] == "tls_failed"


@pytest.mark.dovecot
def test_a_probe_whose_worker_died_ends(box, acting_as):
    from datetime import UTC, datetime, timedelta

    with acting_as("superuser"):
        row = Probe.objects.create(staff=box.owner, mailbox=box.mailbox, kind="imap", state="running")
        Probe.objects.filter(pk=row.pk).update(created_at=datetime.now(UTC) - timedelta(minutes=10))
    assert waiting() == []
    row.refresh_from_db()
    assert (row.state, row.result["code"]) == ("failed", "interrupted")


def error(code, message="No.", advice=""):
    return MailError(code, message, advice, temporary=False)


GMAIL = {"host": "imap.gmail.com", "port": 993, "security": "ssl", "username": "a@gmail.com"}


@pytest.mark.parametrize(
    ("kind", "settings", "problem", "field", "value"),
    [
        ("imap", {"port": 143, "security": "ssl"}, error("tls_failed"), "imap_security", "starttls"),
        ("load", {"port": 993, "security": "starttls"}, error("timeout"), "imap_security", "ssl"),
        ("imap", {"port": 995, "security": "ssl"}, error("connect_failed"), "imap_port", 993),
        ("smtp", {"port": 587, "security": "ssl"}, error("tls_failed"), "smtp_security", "starttls"),
        (
            "imap",
            {"port": 1143, "security": "ssl"},
            error("tls_failed", "“x” does not begin with encryption on port 1143."),
            "imap_security",
            "starttls",
        ),
        ("send", {"port": 465, "security": "starttls"}, error("timeout"), "smtp_security", "ssl"),
        ("system", {"port": 2525, "security": "starttls"}, error("timeout"), "smtp_port", 587),
        (
            "imap",
            {"port": 1993, "security": "starttls"},
            error("timeout", "Waiting for the server's greeting took longer than 20 seconds."),
            "imap_security",
            "ssl",
        ),
        ("imap", {"port": 143, "security": "starttls"}, error("starttls_missing"), "imap_security", "ssl"),
        (
            "imap",
            {"username": "marta", "host": "x"},
            error("password_rejected"),
            "imap_username",
            "marta@isp.example",
        ),
        (
            "smtp",
            {"username": "marta", "own_username": True},
            error("password_rejected"),
            "smtp_username",
            "marta@isp.example",
        ),
        ("imap", GMAIL, error("password_rejected"), "imap_password", None),
        ("smtp", GMAIL | {"own_username": True}, error("password_rejected"), "smtp_password", None),
        ("imap", {}, error("folder_missing", advice="“Sent” looks right."), "sent_folder", "Sent"),
        ("imap", {}, error("folder_missing"), "sent_folder", None),
        (
            "imap",
            {},
            error("certificate_invalid", "It is self-signed."),
            "imap_skip_validation",
            True,
        ),
    ],
)
def test_one_fix_for_common_failures(kind, settings, problem, field, value):
    fix = suggest(kind, settings, problem, "marta@isp.example", unchecked=True)
    assert fix is not None
    assert (fix["field"], fix["value"]) == (field, value)
    assert fix["text"]


@pytest.mark.rule("S-039")
def test_no_switch_is_offered_that_the_company_refuses():
    fix = suggest("imap", {}, error("certificate_invalid", "It is self-signed."))
    assert fix is not None and (fix["field"], fix["value"]) == ("", None)
    assert "super-administrator" in fix["text"]


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        ("imap", {"port": 993, "security": "ssl"}, error("timeout")),
        ("imap", {"username": "a@own.example", "host": "imap.own.example"}, error("password_rejected")),
        ("imap", {}, error("address_refused")),
        ("smtp", {"port": 587, "security": "starttls"}, error("server_busy")),
    ],
)
def test_no_fix_is_invented(kind, settings, problem):
    assert suggest(kind, settings, problem) is None


def test_without_any_hint_the_person_is_asked():
    told = suggested_sent([SimpleNamespace(name="Letters", selectable=True, special_use=None, delimiter="/")])
    assert told["sent_folder"] == ""
    assert "choose" in told["reason"]
