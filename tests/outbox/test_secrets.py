"""What a sign-in says to the server is in no log, at any level, in no shape (S-094); whose password goes where (S-030)."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.mailboxes.models import Mailbox, Secret, SystemSecret
from postern.mailboxes.save import save_mailbox
from postern.people.models import Staff
from tests.canary import leaks

from .test_deliver import use_system

PASSWORD = "correct horse"


@pytest.mark.rule("S-094")
@pytest.mark.parametrize("auth", ["plain", "auto"])
@pytest.mark.parametrize("answer", ["", "535 5.7.8 no"])
def test_s094_no_sign_in_is_logged_at_any_level(outbox, server, marta, acting_as, caplog, auth, answer):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tests").debug("this is heard")
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=outbox.mailbox, data={"smtp_auth": auth, "imap_password": PASSWORD})
    server.says = {"AUTH": answer} if answer else {}
    row = outbox.work(outbox.queue())
    assert any(word.startswith("AUTH") for word in server.heard), "the password went over the wire"
    told = caplog.text + repr(row.__dict__)
    assert "this is heard" in told and not leaks(PASSWORD, told, "marta")


@pytest.mark.rule("S-094")
def test_s094_a_fault_of_ours_in_the_middle_logs_no_password(outbox, server, caplog, monkeypatch):
    """A traceback names code, not values: the worker's own log is read by others than the owner."""
    from postern.outbox import deliver
    from postern.wire import smtp

    async def breaks(endpoint, policy, login, *rest, **more):
        raise RuntimeError(f"broken with {login!r}")

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(smtp, "send", breaks)
    row = outbox.work(outbox.queue())
    assert "broken with" in caplog.text and row.code == "internal"
    assert not leaks(PASSWORD, caplog.text, "marta")
    assert PASSWORD not in repr(deliver.Attempt.__dataclass_fields__)


@pytest.mark.rule("S-030")
def test_s030_the_companys_password_is_a_reference_and_goes_nowhere_else(outbox, server, marta, acting_as):
    """A mailbox that used the company's server and then names one of its own does not take its password along."""
    use_system(outbox, server)
    with acting_as("superuser"):
        assert SystemSecret.objects.count() == 1
        kept = [bytes(row.ciphertext) for row in Secret.objects.filter(mailbox=outbox.mailbox)]
        assert bytes(SystemSecret.objects.get().ciphertext) not in kept
    assert outbox.work(outbox.queue()).state == "accepted"
    with viewing_as(marta):
        told = json.dumps(Mailbox.objects.filter(pk=outbox.mailbox.pk).values()[0], default=str)
        assert "company" not in told and "login-name" not in told
    # The company's ciphertext, copied into the mailbox's row, opens there for nothing.
    with acting_as("superuser"):
        Secret.objects.filter(mailbox=outbox.mailbox, field="smtp").delete()
        stolen = SystemSecret.objects.get().ciphertext
        Secret.objects.create(mailbox=outbox.mailbox, field="smtp", ciphertext=stolen)
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(
            use_system_smtp=False, smtp_username="login-name", smtp_auth="plain", has_smtp_secret=True
        )
        Mailbox.objects.filter(pk=outbox.mailbox.pk).update(address="office@northlink.example")
    before = len(server.taken)
    row = outbox.work(outbox.queue())
    assert (row.state, row.code) == ("failed", "secret_unreadable") and len(server.taken) == before


@pytest.mark.rule("S-030")
def test_s030_web_reads_no_ciphertext_of_the_company_not_even_as_super_administrator(outbox, server):
    use_system(outbox, server)
    boss = Staff.objects.get(email="sue@northlink.example")
    from django.db import ProgrammingError

    with pytest.raises(ProgrammingError, match="permission denied"), viewing_as(boss):
        connection.cursor().execute("SELECT ciphertext FROM mailboxes_systemsecret")
