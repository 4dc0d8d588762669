"""A person with a mailbox that sends through a scripted server, and a customer's letter in it."""

from datetime import UTC, datetime

import pytest
from django.conf import settings

from .server import Server

LETTER = (
    b"From: =?utf-8?q?Daniel_Hoffmann?= <daniel@hoffmann.example>\r\n"
    b"To: Marta <marta@northlink.example>, Paul <paul@hoffmann.example>\r\n"
    b"Cc: Office <office@hoffmann.example>\r\n"
    b"Subject: RE: Re: New office\r\n"
    b"Date: Mon, 23 Nov 2026 09:00:00 +0000\r\n"
    b"Message-ID: <second@hoffmann.example>\r\n"
    b"References: <first@northlink.example>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>We move <b>soon</b>.<script>alert(1)</script></p><img src=cid:logo><img src=http://t.example/p.gif>\r\n"
    b"--x\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; filename=logo.png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"
    b"--x\r\nContent-Type: application/pdf; name=plan.pdf\r\n"
    b"Content-Disposition: attachment; filename=plan.pdf\r\n\r\n%PDF plan\r\n"
    b"--x--\r\n"
)


@pytest.fixture
def server(monkeypatch):
    with Server() as running:
        allowed = f"127.0.0.1:{running.port}"
        monkeypatch.setattr(settings, "MAIL_HOSTS", f"{settings.MAIL_HOSTS},{allowed}")
        yield running


@pytest.fixture
def marta(db):
    from tests.roles import hire

    return hire(email="marta@northlink.example", name="Marta Lindqvist", password=None)


@pytest.fixture
def mailbox(marta, server):
    from postern.mail.access import viewing_as
    from postern.mailboxes.save import save_mailbox

    data = {
        "address": "marta@northlink.example",
        "imap_username": "marta",
        "imap_password": "correct horse",
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": "none",
    }
    with viewing_as(marta):
        return save_mailbox(staff=marta, mailbox=None, data=data)


@pytest.fixture
def customer(marta):
    from postern.people.models import Address, Customer

    found = Customer.objects.create(name="Hoffmann Tiling", status="active")
    for email, kind in (("office@hoffmann.example", "billing"), ("daniel@hoffmann.example", "main")):
        Address.objects.create(customer=found, email=email, kind=kind)
    return found


@pytest.fixture
def message(mailbox, acting_as):
    """The customer's letter, as intake stores it."""
    return arrive(mailbox, acting_as, LETTER)


def arrive(mailbox, acting_as, raw, role="inbox", uid=1):
    from postern.mail.intake import Arrival
    from postern.mailboxes.models import Folder
    from tests.world import stored

    with acting_as("superuser"):
        folder, _ = Folder.objects.get_or_create(mailbox=mailbox, name=role, role=role)
    with acting_as("sync"):
        when = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
        found = stored(folder, [Arrival(uid, frozenset(), when, raw)], uidvalidity=1, next_uid=uid + 1)
    return found[0] if found else None


@pytest.fixture
def outbox(marta, mailbox, acting_as):
    from .worked import Outbox

    return Outbox(marta, mailbox, acting_as)


@pytest.fixture
def petra(marta, mailbox):
    """Reads Marta's mail and may answer it."""
    from .answering import reader

    return reader("petra", marta, mailbox, may_reply=True)


@pytest.fixture
def rosa(marta, mailbox):
    """Reads Marta's mail, no more."""
    from .answering import reader

    return reader("rosa", marta, mailbox)


@pytest.fixture
def draft(petra, customer, message):
    """Petra's answer in Marta's name, not sent yet."""
    from .answering import answer

    return answer(petra, message)
