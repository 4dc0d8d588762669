"""Every way to sign in, accepted and refused: the secret is in no log record, no error and no row (S-094).

At level DEBUG, with asyncio's own debugging on, against a real Dovecot and a real Postfix.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from postern.mail.access import viewing_as
from postern.mailboxes.models import MailboxHealth
from postern.mailboxes.save import save_mailbox
from postern.outbox import deliver
from postern.project.database import libpq
from postern.sync import probe
from postern.wire import sasl
from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.imap import open_session, signing_in
from postern.wire.login import Login
from tests.canary import leaks
from tests.outbox.worked import Outbox
from tests.servers import dovecot, postfix
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix

from .box import USER, make_box
from .test_probe_smtp import Desk
from .test_tokens import AT_ONCE
from .test_watcher import until

REASON = dovecot.available() or postfix.available()
pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.rule("S-094"),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
SECRET, WRONG = "cänary=7,s wörd", "wröng=8,s wörd"
IMAP_WAYS = ("the command LOGIN", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")
SMTP_WAYS = ("plain", "login", "cram-md5", "xoauth2")
TOKENS = ("XOAUTH2", "OAUTHBEARER", "xoauth2")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Postfix]]:
    """Real servers with every way to sign in that Postern knows."""
    ways = "plain login cram-md5 scram-sha-256 xoauth2 oauthbearer"
    with Dovecot({USER: SECRET}, mechanisms=ways, extra=AT_ONCE) as imap, Postfix(imap) as smtp:
        yield imap, smtp


@pytest.fixture
def desk(servers, db, acting_as, monkeypatch, caplog) -> Iterator[Desk]:
    """Marta's mailbox; everything is logged."""
    from django.conf import settings

    imap, smtp = servers
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(settings, "MAIL_HOSTS", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(imap.authority.cert_file))
    monkeypatch.setattr(probe, "STEP_SECONDS", 30.0)
    monkeypatch.setattr("postern.sync.backoff.PASSWORD_SECONDS", (0.05, 0.05))
    box = make_box(imap, imap_port=imap.tls_port, imap_security="ssl")
    with acting_as("sync"):
        yield Desk(box, imap, smtp, acting_as)


def secrets_for(way: str, imap: Dovecot) -> tuple[str, str]:
    """Return what is accepted this way, and what is not."""
    if way in TOKENS:
        return imap.token(USER), imap.token(USER, seconds=-600)
    return SECRET, WRONG


def all_rows() -> str:
    """Every row of every table of ours, ciphertexts included."""
    with psycopg.connect(**libpq("superuser")) as database:
        tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [database.execute(f"SELECT t::text FROM {table} t").fetchall() for (table,) in tables]
    return "\n".join(text for table in rows for (text,) in table)


def whole(error: BaseException | None) -> str:
    """All that an error says, and those behind it."""
    if error is None:
        return ""
    own = f"{error}\n{error!r}\n{error.args!r}\n{vars(error)!r}\n"
    return own + whole(error.__cause__) + whole(error.__context__)


def nothing_of(caplog: pytest.LogCaptureFixture, *secrets: str, told: str = "") -> None:
    """No shape of the secrets in a record (its arguments included), in what was told, or in a row."""
    assert any(record.name == "asyncio" for record in caplog.records), "asyncio's debugging is heard"
    records = "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)
    for where, text in (("log", caplog.text + records), ("told", told), ("rows", all_rows())):
        for secret in secrets:
            assert not leaks(secret, text, USER), where


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let nothing but one way to sign in be tried, whatever Dovecot offers."""

    def this(way: str) -> str:
        name = "LOGIN" if way == "the command LOGIN" else way
        real = signing_in._first_that_fits

        def ways(offered: Any, endpoint: Any, policy: Any, login: Login, quirks: Any) -> list[Any]:
            return sasl.ways_in([name], login, encrypted=True)

        async def no_command(connection: Any, ways: Any, login: Login, offered: frozenset[str]) -> None:
            await real(connection, ways, login, offered | {"LOGINDISABLED"})

        monkeypatch.setattr(signing_in, "_ways", ways)
        if way == "LOGIN":
            monkeypatch.setattr(signing_in, "_first_that_fits", no_command)
        return "PLAIN" if way == "the command LOGIN" else name

    return this


def refusal_of(imap: Dovecot, wrong: str, token: bool) -> MailError:
    endpoint = Endpoint("localhost", imap.tls_port, Security.SSL)
    policy = Policy.from_setting(f"localhost:{imap.tls_port}")
    with pytest.raises(MailError) as caught:
        asyncio.run(open_session(endpoint, policy, Login(USER, wrong, token=token)))
    return caught.value


@pytest.mark.parametrize("way", IMAP_WAYS)
def test_s094_reading(desk: Desk, caplog: pytest.LogCaptureFixture, only: Any, way: str) -> None:
    right, wrong = secrets_for(way, desk.imap)
    method = only(way)
    if way in TOKENS:
        desk.box.change(imap_auth="token")

    async def until_it_is(state: str) -> None:
        async with desk.box.watched():
            await until(lambda: desk.box.health.state == state, 60)

    desk.box.enter_password(right)
    before = desk.imap.log.read_text().count(f"method={method}")
    asyncio.run(until_it_is("in_sync"))
    assert desk.imap.log.read_text().count(f"method={method}") > before, "it signed in this way"
    nothing_of(caplog, right, wrong)
    desk.box.enter_password(wrong)
    asyncio.run(until_it_is("password_rejected"))
    error = refusal_of(desk.imap, wrong, way in TOKENS)
    assert error.code == ("token_rejected" if way in TOKENS else "password_rejected")
    assert MailboxHealth.objects.get(mailbox=desk.box.mailbox).code == error.code
    nothing_of(caplog, right, wrong, told=whole(error))


@pytest.mark.parametrize("way", SMTP_WAYS)
def test_s094_sending(desk: Desk, caplog: pytest.LogCaptureFixture, way: str) -> None:
    right, wrong = secrets_for(way, desk.imap)
    outbox = Outbox(desk.box.owner, desk.box.mailbox, desk.acting_as)

    def sent_with(secret: str) -> Any:
        settings = desk.settings() | {"smtp_auth": way, "smtp_password": secret}
        with desk.acting_as("web"), viewing_as(desk.box.owner):
            save_mailbox(staff=desk.box.owner, mailbox=desk.box.mailbox, data=settings)
        with desk.acting_as("web"):
            row = outbox.queue(to=USER)
        return outbox.work(row)

    done = desk.tries(smtp_auth=way, smtp_password=right)
    assert done.state == "works", (done.steps, done.result)
    assert sent_with(right).state == "accepted"
    nothing_of(caplog, right, wrong)
    refused = desk.tries(smtp_auth=way, smtp_password=wrong)
    code = "token_rejected" if way in TOKENS else "password_rejected"
    assert (refused.state, refused.result["code"]) == ("failed", code)
    row = sent_with(wrong)
    assert row.code == code and row.state != "accepted"
    nothing_of(caplog, right, wrong, told=repr(vars(refused)) + repr(vars(row)))


def test_s094_a_secret_that_is_there_is_found(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """These tests can fail: a secret as an argument of a record nobody formats, in an error's cause, in a row."""
    with pytest.raises(AssertionError, match="asyncio"):
        nothing_of(caplog, SECRET)
    asyncio.run(asyncio.sleep(0))
    nothing_of(caplog, SECRET)
    error = MailError("x", "y", temporary=False)
    error.__cause__ = ValueError(SECRET)
    with pytest.raises(AssertionError, match="told"):
        nothing_of(caplog, SECRET, told=whole(error))
    MailboxHealth.objects.filter(mailbox=desk.box.mailbox).update(server_text=SECRET)
    with pytest.raises(AssertionError, match="rows"):
        nothing_of(caplog, SECRET)
    MailboxHealth.objects.filter(mailbox=desk.box.mailbox).update(server_text="")
    logging.getLogger("tests").debug("%.0s", SECRET)
    with pytest.raises(AssertionError, match="log"):
        nothing_of(caplog, SECRET)
    assert deliver.log.isEnabledFor(logging.DEBUG)
