"""Who proved what (S-085, S-086), what bounced, and a letter as JSON."""

import json

import pytest

from postern.mime.authresults import verdict
from postern.mime.bounces import read_bounce
from postern.mime.look import as_json
from postern.mime.read import read

FROM = "From: Ann <ann@example.org>\n"
VERDICTS = [
    ("Authentication-Results: mx.me; dmarc=pass header.from=example.org\n", "mx.me", True),
    ("Authentication-Results: mx.me 1; dkim=pass header.d=example.org\n", "mx.me", True),
    ("Authentication-Results: mx.me; dkim=pass header.d=mail.example.org\n", "MX.me", True),
    ("Authentication-Results: mx.me; spf=pass smtp.mailfrom=bounce@example.org\n", "mx.me", True),
    (
        "Authentication-Results: mx.me; dkim=fail header.d=x.org; dkim=pass header.d=example.org\n",
        "mx.me",
        True,
    ),
    # nothing that proves the From domain
    ("Authentication-Results: mx.me; dkim=pass header.d=evil.org\n", "mx.me", False),
    ("Authentication-Results: mx.me; dkim=pass header.d=org\n", "mx.me", False),
    ("Authentication-Results: mx.me; dkim=pass header.d=notexample.org\n", "mx.me", False),
    ("Authentication-Results: mx.me; spf=pass smtp.mailfrom=evil.org\n", "mx.me", False),
    ("Authentication-Results: mx.me; dmarc=fail; dkim=pass header.d=example.org\n", "mx.me", False),
    ("Authentication-Results: mx.me; none\n", "mx.me", False),
    (
        "Authentication-Results: mx.me (dmarc=pass); dmarc=none (dkim=pass header.d=example.org)\n",
        "mx.me",
        False,
    ),
    # forged ones: another server's, or one below the mailbox's own
    ("Authentication-Results: evil.org; dmarc=pass\n", "mx.me", False),
    (
        "Authentication-Results: mx.me; dmarc=fail\nAuthentication-Results: mx.me; dmarc=pass\n",
        "mx.me",
        False,
    ),
    ("Authentication-Results: mx.me.evil.org; dmarc=pass\n", "mx.me", False),
    ("Authentication-Results: mx.me; dmarc=pass\n", "", False),
    ("", "mx.me", False),
    ("Authentication-Results: mx.me; dmarc=pass\nFrom: b@evil.org\n", "mx.me", False),
    ("Authentication-Results: ;;==;\n", "mx.me", False),
]


@pytest.mark.parametrize(("header", "server", "verified"), VERDICTS)
def test_s085_s086_verdict(header: str, server: str, verified: bool) -> None:
    raw = (header + FROM + "\nx").encode()
    found = verdict(raw, server)
    assert (found.verified, bool(found.reason)) == (verified, True)
    assert verdict(read(raw).headers, server) == found


def test_two_addresses_in_from_are_not_verified() -> None:
    raw = b"Authentication-Results: mx.me; dmarc=pass\nFrom: a@example.org, b@evil.org\n\nx"
    assert not verdict(raw, "mx.me").verified


DSN = """From: MAILER-DAEMON@mx.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; Bob@Example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>:
 no such user

Final-Recipient: rfc822; cy@example.net
Action: delayed
Status: 4.2.2
--b
Content-Type: message/rfc822

Message-ID: <1@example.org>
Subject: Hello

x
--b--
"""


def test_delivery_report() -> None:
    bounce = read_bounce(read(DSN.encode()))
    assert bounce is not None
    assert bounce.original_message_id == "1@example.org"
    assert [(r.address, r.action, r.status, r.permanent) for r in bounce.recipients] == [
        ("bob@example.net", "failed", "5.1.1", True),
        ("cy@example.net", "delayed", "4.2.2", False),
    ]
    assert bounce.recipients[0].text == "550 5.1.1 <bob@example.net>: no such user"
    assert bounce.permanent


def test_report_with_headers_only() -> None:
    text = DSN.replace("message/rfc822", "text/rfc822-headers")
    bounce = read_bounce(read(text.encode()))
    assert bounce is not None and bounce.original_message_id == "1@example.org"


PROSE = """From: MAILER-DAEMON@qmail.example
Subject: failure notice
Return-Path: <>

I'm afraid I wasn't able to deliver your message.

<bob@example.net>:
192.0.2.1 does not like recipient. 550 5.1.1 unknown

--- Below this line is a copy of the message.

Message-ID: <1@example.org>
From: <ann@example.org>
"""


def test_report_in_prose() -> None:
    bounce = read_bounce(read(PROSE.encode()))
    assert bounce is not None
    assert [(r.address, r.status, r.permanent) for r in bounce.recipients] == [
        ("bob@example.net", "5.1.1", True)
    ]
    assert bounce.original_message_id == "1@example.org"


NO_BOUNCE = [
    "From: ann@example.org\nSubject: Undelivered parcel\n\n<bob@example.net> 550",
    "From: ann@example.org\nSubject: hello\n\nhi",
    "From: MAILER-DAEMON@x.org\nSubject: hello\n\nhi <a@b.org>",
    "From: MAILER-DAEMON@x.org\nSubject: failure notice\n\nno address here",
]


@pytest.mark.parametrize("text", NO_BOUNCE)
def test_ordinary_letters_are_no_bounces(text: str) -> None:
    assert read_bounce(read(text.encode())) is None


def test_look_shows_what_is_shown() -> None:
    raw = (
        "From: Ann <a@x.org>\nTo: b@x.org\nCc: c@x.org\nSubject: =?utf-8?q?=C3=BC?=\nMessage-ID: <1@x.org>\n"
        "References: <0@x.org>\nDate: Mon, 23 Nov 2026 12:00:00 +0100\n"
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<script>x</script><p onclick=1>hi\n"
        "--b\nContent-Type: application/pdf; name=a.pdf\n\nPDF\n--b--"
    )
    assert as_json(raw.encode()) == {
        "subject": "ü",
        "from": [{"name": "Ann", "address": "a@x.org"}],
        "to": [{"name": "", "address": "b@x.org"}],
        "cc": [{"name": "", "address": "c@x.org"}],
        "date": "2026-11-23T12:00:00+01:00",
        "message_id": "1@x.org",
        "references": ["0@x.org"],
        "text": "hi",
        "html": "<p>hi</p>",
        "attachments": [{"name": "a.pdf", "type": "application/pdf", "size": 3, "inline": False}],
        "events": [],
        "defects": [],
    }


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff" * 100, b"\xed\xa0\x80: \xed\xa0\x80\n\n\xed\xa0\x80"])
def test_look_at_anything(raw: bytes) -> None:
    json.dumps(as_json(raw), ensure_ascii=False).encode()
