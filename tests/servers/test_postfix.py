"""The private Postfix itself: accepts, delivers into Dovecot, refuses, returns."""

import smtplib
import ssl

import pytest

from tests.servers import dovecot, postfix

REASON = dovecot.available() or postfix.available()
pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.postfix,
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
MARTA, ELENA = "marta@example.test", "elena@example.test"
RAW = b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: marta@example.test\r\nTo: elena@example.test\r\nMessage-ID: <one@example.test>\r\nSubject: Hi\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def imap():
    with dovecot.Dovecot() as server:
        yield server


@pytest.fixture(scope="module")
def smtp(imap):
    with postfix.Postfix(imap, size_limit=100_000) as server:
        yield server


def _context(imap):
    return ssl.create_default_context(cafile=str(imap.authority.cert_file))


@pytest.fixture
def marta(imap, smtp):
    with smtplib.SMTP("localhost", smtp.port, timeout=20) as link:
        link.starttls(context=_context(imap))
        link.login(MARTA, imap.passwords[MARTA])
        yield link


def test_a_letter_lands_in_the_other_inbox(imap, smtp, marta):
    marta.sendmail(MARTA, [ELENA], RAW)
    uid = imap.wait_for(ELENA, count=1)[0]
    raw = imap.fetch_raw(ELENA, "INBOX", uid)
    assert raw.endswith(b"Subject: Hi\r\n\r\nHello\r\n")
    assert b"Return-Path: <marta@example.test>" in raw
    smtp.wait_until_delivered()


def test_tls_from_the_first_byte(imap, smtp):
    with smtplib.SMTP_SSL("localhost", smtp.tls_port, context=_context(imap), timeout=20) as link:
        assert link.login(MARTA, imap.passwords[MARTA])[0] == 235


def test_no_password_before_tls_except_on_the_plain_port(imap, smtp):
    with smtplib.SMTP("localhost", smtp.port, timeout=20) as link:
        link.ehlo()
        assert not link.has_extn("auth")
        assert link.has_extn("starttls")
    with smtplib.SMTP("localhost", smtp.plain_port, timeout=20) as link:
        link.ehlo()
        assert not link.has_extn("starttls")
        assert link.login(MARTA, imap.passwords[MARTA])[0] == 235


def test_a_wrong_password_is_rejected(imap, smtp):
    link = smtplib.SMTP("localhost", smtp.plain_port, timeout=20)
    with link, pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
        link.login(MARTA, "wrong")


def test_strangers_cannot_relay(smtp):
    link = smtplib.SMTP("localhost", smtp.port, timeout=20)
    with link, pytest.raises(smtplib.SMTPRecipientsRefused, match="Relay access denied"):
        link.sendmail(MARTA, [postfix.ELSEWHERE], RAW)


def test_recipients_refused_for_good_and_for_now(marta):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        marta.sendmail(MARTA, ["nobody@example.test", postfix.LATER], RAW)
    codes = {address: code for address, (code, _) in refused.value.recipients.items()}
    assert codes == {"nobody@example.test": 550, postfix.LATER: 450}


def test_too_large_a_letter_is_refused(marta):
    with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
        marta.sendmail(MARTA, [ELENA], RAW + b"x" * 200_000)


def test_mail_to_the_outside_comes_back(imap, marta):
    before = len(imap.uids(MARTA))
    marta.sendmail(MARTA, [postfix.ELSEWHERE], RAW)
    uid = imap.wait_for(MARTA, count=before + 1, seconds=30)[-1]
    raw = imap.fetch_raw(MARTA, "INBOX", uid)
    assert b"multipart/report" in raw
    assert b"5.1.1" in raw


def test_it_stops_alone_and_comes_back(imap, smtp):
    smtp.stop()
    with pytest.raises(OSError):
        smtplib.SMTP("localhost", smtp.port, timeout=5)
    smtp.start()
    with smtplib.SMTP("localhost", smtp.port, timeout=20) as link:
        assert link.noop()[0] == 250
