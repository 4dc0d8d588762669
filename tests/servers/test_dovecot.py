"""The private Dovecot itself: that what the other tests lean on is there."""

import imaplib
import ssl
import time
from datetime import UTC, datetime

import pytest

from tests.servers.dovecot import Dovecot, available

pytestmark = [pytest.mark.dovecot, pytest.mark.skipif(bool(available()), reason=available())]
MARTA, ELENA = "marta@example.test", "elena@example.test"
RAW = b"From: greta@brandt-bakery.test\r\nTo: marta@example.test\r\nSubject: Hello\r\n\r\nGood morning\r\n"


@pytest.fixture(scope="module")
def server():
    with Dovecot(quotas={ELENA: 3_000}) as running:
        yield running


def test_delivered_mail_lies_in_the_inbox_unread(server):
    before = server.uids(MARTA)
    when = datetime(2026, 9, 3, 8, 30, tzinfo=UTC)
    server.deliver(MARTA, RAW, date=when)
    uid = server.wait_for(MARTA, count=len(before) + 1)[-1]
    assert server.fetch_raw(MARTA, "INBOX", uid) == RAW
    assert server.flags(MARTA, "INBOX", uid) == set()
    assert server.internaldate(MARTA, "INBOX", uid) == when
    assert ELENA in server.passwords and server.uids(ELENA) == []


def test_special_folders_are_marked(server):
    with server.session(MARTA) as link:
        lines = b"\n".join(link.list()[1])
    for mark, name in (
        (b"\\Sent", b"Sent"),
        (b"\\Drafts", b"Drafts"),
        (b"\\Trash", b"Trash"),
        (b"\\Junk", b"Junk"),
    ):
        assert any(mark in line and name in line for line in lines.splitlines())
    assert server.folders(MARTA) == ["Drafts", "INBOX", "Junk", "Sent", "Trash"]


def test_append_store_move_expunge(server):
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    server.append(MARTA, "Sent", RAW, flags=["\\Seen"], date=when)
    uid = server.uids(MARTA, "Sent")[-1]
    assert server.flags(MARTA, "Sent", uid) == {"\\Seen"}
    assert server.internaldate(MARTA, "Sent", uid) == when
    server.store(MARTA, "Sent", uid, add="\\Flagged", remove="\\Seen")
    assert server.flags(MARTA, "Sent", uid) == {"\\Flagged"}
    server.move(MARTA, "Sent", uid, "Trash")
    assert uid not in server.uids(MARTA, "Sent")
    assert len(server.digests(MARTA, "Trash")) == 1
    server.expunge(MARTA, "Trash", server.uids(MARTA, "Trash")[0])
    with pytest.raises(KeyError):
        server.fetch_raw(MARTA, "Trash", 1)


def test_a_changed_password_rejects_the_old_one(server):
    old = server.passwords[MARTA]
    server.set_password(MARTA, "another-secret")
    try:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imaplib.IMAP4("127.0.0.1", server.port).login(MARTA, old)
        assert server.uids(MARTA) is not None
    finally:
        server.set_password(MARTA, old)


def test_a_full_mailbox_refuses(server):
    with pytest.raises(imaplib.IMAP4.error, match="OVERQUOTA"):
        server.append(ELENA, "INBOX", RAW + b"x" * 4_000)
    server.append(ELENA, "INBOX", RAW)


def test_tls_from_the_first_byte_and_by_starttls(server):
    context = ssl.create_default_context(cafile=str(server.authority.cert_file))
    with imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=context) as link:
        assert link.login(MARTA, server.passwords[MARTA])[0] == "OK"
        seen = ssl.DER_cert_to_PEM_cert(link.sock.getpeercert(binary_form=True))
    assert seen.strip() in server.certificate.cert_file.read_text()
    with imaplib.IMAP4("localhost", server.port) as link:
        assert link.starttls(context)[0] == "OK"
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=ssl.create_default_context())


def test_another_certificate_is_served_at_once(server):
    old = server.certificate.sha256
    new = server.new_certificate()
    assert new.sha256 != old
    pem = ssl.get_server_certificate(("127.0.0.1", server.tls_port))
    assert pem.strip() in new.cert_file.read_text()


def test_uidvalidity_changes_on_demand(server):
    server.set_uidvalidity(MARTA, "Drafts", 4711)
    assert server.status(MARTA, "Drafts")["UIDVALIDITY"] == 4711


def test_idle_is_told_of_a_delivery(server):
    with server.session(MARTA, "INBOX") as link:
        link.send(b"x IDLE\r\n")
        while not link.readline().startswith(b"+"):
            pass
        server.deliver(MARTA, RAW)
        began = time.monotonic()
        while b"EXISTS" not in link.readline():
            pass
        assert time.monotonic() - began < 10
        link.send(b"DONE\r\n")


def test_it_comes_back_with_its_mail_and_stops_alone():
    with Dovecot({"solo@example.test": "secret"}, storage="mdbox", sent="Gesendet") as server:
        server.append("solo@example.test", "Gesendet", RAW)
        server.stop()
        with pytest.raises(OSError):
            server.uids("solo@example.test")
        server.start()
        assert server.letters("solo@example.test", "Gesendet") == [RAW]
    assert not server.home.exists()
