"""The demo's mail server itself, seen from outside by the standard library's clients."""

import imaplib
import smtplib
import time
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from tests.servers.pocket import Pocket

MARTA, ELENA = "marta@example.test", "elena@example.test"
GRETA = "greta@brandt-bakery.example"
RAW = b"From: Greta <greta@brandt-bakery.example>\r\nTo: marta@example.test\r\nSubject: Hello\r\n\r\nGood morning\r\n"
BINARY = b"Subject: odd\r\nContent-Type: text/plain; charset=x\r\n\r\n\xff\xfe bytes \x80\r\n\r\n.\r\nlast line without end"
LETTER = (
    b"From: Marta Lindqvist <marta@example.test>\r\nTo: Greta Brandt <greta@brandt-bakery.example>\r\n"
    b"Subject: Your line\r\nMessage-ID: <two@example.test>\r\nReferences: <one@example.test>\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nTom comes on Tuesday.\r\n"
)


@pytest.fixture
def server():
    with Pocket(answer_after=0.2, words=lambda person, text: f"Thank you, says {person}.") as running:
        yield running


def _submit(server, to, raw=LETTER):
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=10) as link:
        link.login(MARTA, server.passwords[MARTA])
        return link.sendmail(MARTA, to, raw)


@pytest.mark.parametrize(
    "raw", [RAW, BINARY, b"", b"x" * 300_000], ids=["plain", "odd bytes", "empty", "large"]
)
def test_every_byte_is_kept(server, raw):
    when = datetime(2026, 9, 3, 8, 30, tzinfo=UTC)
    server.deliver(MARTA, raw, date=when)
    uid = server.uids(MARTA)[-1]
    assert server.fetch_raw(MARTA, "INBOX", uid) == raw
    assert server.flags(MARTA, "INBOX", uid) == set()
    assert server.internaldate(MARTA, "INBOX", uid) == when
    assert server.uids(ELENA) == []


def test_append_flags_move_and_expunge(server):
    server.append(MARTA, "Sent", RAW, flags=["\\Seen"])
    uid = server.uids(MARTA, "Sent")[0]
    server.store(MARTA, "Sent", uid, add="\\Flagged", remove="\\Seen")
    assert server.flags(MARTA, "Sent", uid) == {"\\Flagged"}
    with server.session(MARTA, "Sent", readonly=False) as link:
        assert b"MOVE" in b" ".join(link.capability()[1])
        link._simple_command("UID", "MOVE", str(uid), "Trash")
    assert server.uids(MARTA, "Sent") == []
    assert server.letters(MARTA, "Trash") == [RAW]
    server.expunge(MARTA, "Trash", server.uids(MARTA, "Trash")[0])
    assert server.status(MARTA, "Trash")["MESSAGES"] == 0
    assert server.folders(MARTA) == ["Drafts", "INBOX", "Junk", "Sent", "Trash"]


def test_append_says_which_uid(server):
    with server.session(MARTA) as link:
        link.append("Sent", "", imaplib.Time2Internaldate(time.time()), RAW)
        assert link.untagged_responses.get("APPENDUID")


def test_idle_is_told_of_a_delivery_at_once(server):
    with server.session(MARTA, "INBOX") as link:
        link.send(b"x IDLE\r\n")
        while not link.readline().startswith(b"+"):
            pass
        began = time.monotonic()
        server.deliver(MARTA, RAW)
        while b"EXISTS" not in link.readline():
            pass
        assert time.monotonic() - began < 2
        link.send(b"DONE\r\n")


def test_wrong_passwords_are_rejected_by_both(server):
    with pytest.raises(imaplib.IMAP4.error):
        imaplib.IMAP4("127.0.0.1", server.port).login(MARTA, "wrong")
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=10) as link:
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            link.login(MARTA, "wrong")
        with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            link.sendmail(MARTA, [ELENA], LETTER)
    server.set_password(MARTA, "changed")
    assert server.uids(MARTA) == []


def test_mail_between_accounts_lands_in_the_inbox(server):
    _submit(server, [ELENA])
    server.wait_for(ELENA, count=1)
    assert server.letters(ELENA) == [LETTER]
    assert server.submitted[0].recipients == (ELENA,)


def test_an_unknown_colleague_is_refused_and_the_others_get_it(server):
    assert _submit(server, ["nobody@example.test", ELENA])["nobody@example.test"][0] == 550
    server.wait_for(ELENA, count=1)


def test_a_customer_answers_in_the_thread(server):
    _submit(server, [GRETA])
    server.wait_for(MARTA, count=1)
    reply = message_from_bytes(server.letters(MARTA)[0], policy=default)
    assert reply["From"] == "Greta Brandt <greta@brandt-bakery.example>"
    assert reply["To"] == "Marta Lindqvist <marta@example.test>"
    assert reply["Subject"] == "Re: Your line"
    assert reply["In-Reply-To"] == "<two@example.test>"
    assert reply["References"].split() == ["<one@example.test>", "<two@example.test>"]
    text = reply.get_content()
    assert text.startswith("Thank you, says greta@brandt-bakery.example.")
    assert "> Tom comes on Tuesday." in text


def test_an_automatic_letter_gets_no_answer(server):
    _submit(server, [GRETA], b"Auto-Submitted: auto-replied\r\n" + LETTER)
    _submit(server, [ELENA])
    server.wait_for(ELENA, count=1)
    time.sleep(0.5)
    assert server.uids(MARTA) == []


def test_after_a_stop_the_mail_is_still_there(server):
    server.deliver(MARTA, RAW)
    before = server.status(MARTA)
    with server.session(MARTA, "INBOX") as link:
        server.stop()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            for _ in range(3):
                link.noop()
    server.start()
    assert server.status(MARTA) == before
