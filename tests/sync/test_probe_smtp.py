"""The tests of sending, against a real Postfix with a real Dovecot behind it: what works, and each refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from postern.mail.access import viewing_as
from postern.mailboxes.models import MailboxHealth, Probe, ProbeSecret
from postern.mailboxes.probe import start_probe
from postern.people.models import Staff
from postern.sync import probe
from postern.sync.store import Store, waiting
from tests.roles import allow_unchecked, hire
from tests.servers import dovecot, postfix
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import FULL, LATER, Postfix

from .box import USER, Box, make_box

REASON = dovecot.available() or postfix.available()
pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
FORGED = "forged@example.test"
OFFICE = "elena@example.test"
ALL = "plain login cram-md5 xoauth2 oauthbearer"
STRICT = f"""
smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access inline:{{ {{ {FORGED} = 553 5.7.1 Sender address rejected: not owned by user }} }}
"""


@dataclass
class Desk:
    """Somebody at the settings page, and the worker who does the tests."""

    box: Box
    imap: Dovecot
    smtp: Postfix
    acting_as: Any

    def tries(
        self, kind: str = "smtp", *, who: Staff | None = None, recipient: str = "", **changes: Any
    ) -> Probe:
        """Start a test as web does, run it as the worker does."""
        staff = who or self.box.owner
        mailbox = None if kind == "system" else self.box.mailbox
        data = changes if kind == "system" else self.settings() | changes
        with self.acting_as("web"), viewing_as(staff):
            asked = start_probe(staff=staff, mailbox=mailbox, kind=kind, data=data, recipient=recipient)

        async def run() -> None:
            keeper = Store(2)
            try:
                assert await keeper.run(waiting) == [asked.pk]
                await probe.run(keeper, asked.pk)
            finally:
                keeper.close()

        asyncio.run(asyncio.wait_for(run(), 60))
        with self.acting_as("superuser"):
            assert not ProbeSecret.objects.exists()
        return Probe.objects.get(pk=asked.pk)

    def settings(self) -> dict[str, Any]:
        """The SMTP part of the form."""
        return {
            "smtp_host": "localhost",
            "smtp_port": self.smtp.port,
            "smtp_security": "starttls",
            "smtp_username": USER,
            "smtp_password": self.imap.passwords[USER],
            "sending": "on",
        }

    def company(self) -> dict[str, Any]:
        """Config → Main → Email."""
        return self.settings() | {
            "sender_email": OFFICE,
            "sender_name": "Northwind Fibre",
            "hourly_limit": 0,
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Postfix]]:
    """Real servers with every way to sign in."""
    with Dovecot(mechanisms=ALL) as imap, Postfix(imap, extra=STRICT) as smtp:
        yield imap, smtp


@pytest.fixture
def desk(servers, db, acting_as, monkeypatch) -> Iterator[Desk]:
    """Marta's mailbox, allowed by the operator; the test authority is trusted."""
    from django.conf import settings

    imap, smtp = servers
    monkeypatch.setattr(settings, "MAIL_HOSTS", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(imap.authority.cert_file))
    monkeypatch.setattr(probe, "STEP_SECONDS", 5.0)
    box = make_box(imap)
    with acting_as("sync"):
        yield Desk(box, imap, smtp, acting_as)


def told(done: Probe) -> tuple[str, str, str]:
    """State, the last step, and the code of the failure."""
    return done.state, done.steps[-1]["key"], done.result.get("code", "")


@pytest.mark.parametrize(
    ("security", "port", "auth", "chosen"),
    [
        ("starttls", "port", "plain", "plain"),
        ("starttls", "port", "login", "login"),
        ("starttls", "port", "cram-md5", "cram-md5"),
        ("starttls", "port", "xoauth2", "xoauth2"),
        ("starttls", "port", "auto", "plain"),
        ("ssl", "tls_port", "cram-md5", "cram-md5"),
        ("ssl", "tls_port", "xoauth2", "xoauth2"),
        ("none", "plain_port", "auto", "plain"),
        ("none", "plain_port", "login", "login"),
    ],
)
def test_row_17_every_security_mode_and_sign_in_type(desk, security, port, auth, chosen):
    changes: dict[str, Any] = {"smtp_security": security, "smtp_port": getattr(desk.smtp, port)}
    if auth == "xoauth2":
        changes["smtp_password"] = desk.imap.token(USER)
    done = desk.tries(smtp_auth=auth, **changes)
    assert done.state == "works", (done.steps, done.result)
    assert [step["key"] for step in done.steps] == [
        "resolve",
        "connect",
        "secure",
        "sign_in",
        "accept_sender",
    ]
    assert next(step["detail"] for step in done.steps if step["key"] == "sign_in") == chosen
    assert changes.get("smtp_password", desk.imap.passwords[USER]) not in str(done.steps) + str(done.result)


@pytest.mark.parametrize(
    ("changes", "step", "code", "words"),
    [
        ({"smtp_host": "nowhere.localhost.invalid", "smtp_port": 465}, "resolve", "host_not_found", ""),
        ({"smtp_port": 1}, "connect", "connect_failed", ""),
        ({"smtp_security": "ssl"}, "secure", "tls_failed", "does not begin with encryption"),
        ({"smtp_port": "tls_port"}, "connect", "timeout", ""),
        ({"smtp_port": "plain_port"}, "secure", "starttls_missing", "STARTTLS"),
        ({"smtp_security": "none"}, "sign_in", "server_refused", "does not offer"),
        ({"smtp_password": "wrong"}, "sign_in", "password_rejected", "535 5.7.8"),
        ({"smtp_password": "wrong", "smtp_auth": "login"}, "sign_in", "password_rejected", "535 5.7.8"),
        ({"smtp_password": "wrong", "smtp_auth": "cram-md5"}, "sign_in", "password_rejected", "535 5.7.8"),
        ({"smtp_password": "old token", "smtp_auth": "xoauth2"}, "sign_in", "token_rejected", "535 5.7.8"),
        (
            {"smtp_port": "plain_port", "smtp_security": "none", "smtp_auth": "cram-md5"},
            "sign_in",
            "server_refused",
            "CRAM-MD5",
        ),
        ({"address": FORGED}, "accept_sender", "server_refused", "not owned by user"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_a_refusal_is_told_at_its_step(desk, changes, step, code, words):
    changes = {name: getattr(desk.smtp, str(value), value) for name, value in changes.items()}
    if changes.get("smtp_password") == "old token":
        changes["smtp_password"] = desk.imap.token(USER, seconds=-600)
    done = desk.tries(**changes)
    assert told(done) == ("failed", step, code), (done.steps, done.result)
    assert words in str(done.result["message"]) + str(done.result["server_text"])
    assert done.result["fix"] or done.result["advice"]
    assert all(one["ok"] for one in done.steps[:-1])


@pytest.mark.parametrize(
    ("recipient", "code", "temporary", "words"),
    [
        ("nobody.at.all@example.test", "recipients_refused", False, "550 5.1.1"),
        (FULL, "mailbox_full", False, "552 5.2.2"),
        (LATER, "recipients_refused", True, "450 4.2.1"),
    ],
)
def test_a_refused_recipient_of_the_test_email(desk, recipient, code, temporary, words):
    done = desk.tries("send", recipient=recipient)
    assert told(done) == ("failed", "send", code), done.result
    assert done.result["temporary"] is temporary and words in done.result["server_text"]
    assert recipient in done.result["message"]


def test_the_test_email_arrives_and_says_what_it_is(desk):
    before = len(desk.imap.uids(USER))
    done = desk.tries("send", recipient=USER, smtp_auth="xoauth2", smtp_password=desk.imap.token(USER))
    assert done.state == "works" and done.result["accepted"] == [USER], done.result
    uid = desk.imap.wait_for(USER, count=before + 1)[-1]
    assert b"Test email from Postern" in desk.imap.fetch_raw(USER, "INBOX", uid)


def test_the_companys_server_is_tested_with_its_refusals(desk):
    with desk.acting_as("web"):
        sue = hire(email="sue@isp.example", name="Sue", password=None, role="super")
    before = len(desk.imap.uids(USER))
    done = desk.tries("system", who=sue, recipient=USER, **desk.company())
    assert done.state == "works", (done.steps, done.result)
    uid = desk.imap.wait_for(USER, count=before + 1)[-1]
    raw = desk.imap.fetch_raw(USER, "INBOX", uid)
    assert b"From: Northwind Fibre <elena@example.test>" in raw
    for changes, step, code in (
        ({"smtp_password": "wrong"}, "sign_in", "password_rejected"),
        ({"smtp_security": "ssl"}, "secure", "tls_failed"),
        ({"sender_email": FORGED}, "accept_sender", "server_refused"),
    ):
        done = desk.tries("system", who=sue, recipient=USER, **desk.company() | changes)
        assert told(done) == ("failed", step, code), done.result


@pytest.mark.rule("S-039")
def test_a_test_cannot_skip_the_check_either(desk):
    from postern.mailboxes.save import SettingsError

    with pytest.raises(SettingsError) as refused:
        desk.tries(smtp_password="", smtp_skip_validation="on")
    assert "certificate is not checked" in str(refused.value.fields["smtp_skip_validation"])


def test_an_unknown_certificate_is_told_where_it_is_secured(desk, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    done = desk.tries(smtp_security="ssl", smtp_port=desk.smtp.tls_port)
    assert told(done) == ("failed", "secure", "certificate_invalid"), done.result


def test_a_changed_certificate_is_kept_for_the_owner_to_judge(desk):
    from postern.mailboxes.save import SettingsError, accept_certificate, save_mailbox

    allow_unchecked()
    now = desk.imap.certificate.sha256
    with desk.acting_as("web"), viewing_as(desk.box.owner):
        data = desk.settings() | {"smtp_skip_validation": "on"}
        save_mailbox(staff=desk.box.owner, mailbox=desk.box.mailbox, data=data)
    desk.box.change(smtp_pinned_sha256="ab" * 32)  # as if the server had shown another before
    done = desk.tries(smtp_password="", smtp_skip_validation="on")
    assert told(done) == ("failed", "secure", "certificate_changed")
    assert MailboxHealth.objects.get().smtp_seen_sha256 == now
    with desk.acting_as("web"), viewing_as(desk.box.owner):
        with pytest.raises(SettingsError):
            accept_certificate(
                staff=desk.box.owner, mailbox=desk.box.mailbox, seen_sha256="cd" * 32, server="smtp"
            )
        accept_certificate(staff=desk.box.owner, mailbox=desk.box.mailbox, seen_sha256=now, server="smtp")
    assert MailboxHealth.objects.get().smtp_seen_sha256 == ""
    assert desk.tries(smtp_password="", smtp_skip_validation="on").state == "works"
