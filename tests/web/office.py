"""A morning at Northlink Fibre: every kind of message, draft and person that the pages know how to show."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Folder, Mailbox, MailboxHealth, Reader
from postern.outbox.models import Delivery
from postern.people.models import Address, Customer, Staff
from tests.world import arrive, make_folder, make_mailbox
from tests.world import letter as any_letter

PASSWORD = "a long pass phrase"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PLAN = "application/pdf; name=Floor-plan-Mill-Lane.pdf"
HTML = "text/html; charset=utf-8"


def letter(**parts: Any) -> bytes:
    """A letter to Marta."""
    return any_letter(**{"to": "Marta Lindqvist <marta@northlink.example>"} | parts)


@dataclass
class Office:
    """Marta owns the mailbox, Elena reads it, Tom may read it but has no mailbox, Boss manages."""

    acting_as: Any
    marta: Staff
    elena: Staff
    tom: Staff
    boss: Staff
    mailbox: Mailbox
    inbox: Folder
    sent: Folder
    brandt: Customer
    lead: Customer
    mail: dict[str, Message] = field(default_factory=dict)
    out: dict[str, Delivery] = field(default_factory=dict)

    @property
    def everybody(self) -> list[Staff]:
        return [self.marta, self.elena, self.tom, self.boss]

    def arrive(self, name: str, raw: bytes, *, ago: timedelta = timedelta(), sent: bool = False) -> Message:
        """Let one letter arrive as the worker would store it, and remember it by a name."""
        folder = self.sent if sent else self.inbox
        self.mail[name] = arrive(self.acting_as, folder, raw, at=datetime.now(UTC) - ago)[0]
        return self.mail[name]


def mixed(*parts: tuple[str, bytes, str]) -> tuple[str, str]:
    """Headers and body of multipart/mixed: (content type, bytes, content id), a file when it has a name."""
    lines = []
    for kind, data, cid in parts:
        head = f"--x\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
        head += f"Content-ID: <{cid}>\r\n" if cid else ""
        if "name=" in kind and not cid:
            head += f"Content-Disposition: attachment; filename={kind.split('name=')[1]}\r\n"
        lines.append(
            f"{head}\r\n{base64.encodebytes(data).decode()}".replace("\r\n", "\n").replace("\n", "\r\n")
        )
    body = "\r\n".join(lines) + "\r\n--x--\r\n"
    return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n", body


def furnish(acting_as: Any) -> Office:
    """Save everything."""
    office = _people(acting_as)
    _letters(office)
    _deliveries(office)
    return office


def _people(acting_as: Any) -> Office:
    with acting_as("superuser"):
        people = {
            name: Staff.objects.create_staff(email=email, name=full, password=PASSWORD, role=role)
            for name, email, full, role in (
                ("marta", "marta@northlink.example", "Marta Lindqvist", "admin"),
                ("elena", "elena@northlink.example", "Elena Ruiz", "admin"),
                ("tom", "tom@northlink.example", "Tom Okafor", "admin"),
                ("boss", "boss@northlink.example", "Ruth Berg", "super"),
            )
        }
        Staff.objects.filter(pk=people["marta"].pk).update(title="Customer care")
        box = make_mailbox(people["marta"])
        make_mailbox(people["elena"])
        Mailbox.objects.filter(pk=box.pk).update(smtp_host="127.0.0.1", smtp_port=1025, has_smtp_secret=True)
        MailboxHealth.objects.create(
            mailbox=box, state="in_sync", last_sync_at=timezone.now(), settings_version=1
        )
        for name in ("elena", "tom"):
            Reader.objects.create(mailbox=box, staff=people[name])
        brandt = _customer("Brandt Bakery", "greta@brandt-bakery.example", phone="0555 010 287")
        lead = _customer("Adeyemi Homes", "ruth@adeyemi.example", kind="lead", status="new")
        _customer("Hoffmann Tiling", "office@hoffmann.example", phone="0555 010 288")
        inbox, sent = make_folder(box), make_folder(box, Folder.Role.SENT)
        return Office(acting_as, **people, mailbox=box, inbox=inbox, sent=sent, brandt=brandt, lead=lead)


def _customer(name: str, email: str, **values: str) -> Customer:
    customer = Customer.objects.create(name=name, **values)
    address = Address.objects.create(customer=customer, email=email, kind="main")
    Address.objects.filter(pk=address.pk).update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return customer


def _letters(office: Office) -> None:
    hours = lambda count: timedelta(hours=count)  # noqa: E731
    day, week = timedelta(days=1), timedelta(days=7)
    thread = "References: <thread@brandt-bakery.example>\r\nIn-Reply-To: <thread@brandt-bakery.example>\r\n"
    office.arrive(
        "thread",
        letter(subject="Packet loss in the mornings", mid="thread@brandt-bakery.example"),
        ago=week,
    )
    office.arrive(
        "sent",
        letter(
            sender="Marta Lindqvist <marta@northlink.example>",
            to="Greta Brandt <greta@brandt-bakery.example>",
            subject="Re: Packet loss in the mornings",
            body="Good morning Greta,\r\n\r\nthanks for reporting this.\r\n",
            headers=thread,
        ),
        ago=day * 3,
        sent=True,
    )
    office.arrive(
        "known",
        letter(
            subject="Re: Packet loss in the mornings",
            headers=f"Cc: office@brandt-bakery.example\r\n{thread}",
            body="Good morning Marta,\r\n\r\nit started again at 6:10 today, exactly when the ovens heat up. "
            "See https://graphs.example/x for the graph.\r\n\r\nOn Fri, 20 Nov 2026, Marta wrote:\r\n> Good morning Greta\r\n",
        ),
        ago=hours(2),
    )
    office.arrive(
        "lead", letter(sender="Ruth Adeyemi <ruth@adeyemi.example>", subject="Quote for 24 flats"), ago=day
    )
    office.arrive("gone", letter(subject="Opening hours over Christmas"), ago=day * 2)
    office.arrive("broken", letter(sender="Someone <someone@else.example>", subject="Broken"), ago=day * 4)
    head, body = mixed(
        ("text/plain; charset=utf-8", "Fax line offer, only today — ask us.".encode(), ""),
    )
    office.arrive(
        "automatic",
        letter(
            sender="list@offers.example",
            subject="Fax line offer",
            headers=f"Auto-Submitted: auto-generated\r\n{head}",
            body=body,
        ),
        ago=hours(3),
    )
    _unknown(office)
    with office.acting_as("sync"), at_mailbox(office.mailbox.pk):
        Message.objects.filter(pk=office.mail["gone"].pk).update(gone_at=timezone.now())
        Message.objects.filter(pk=office.mail["broken"].pk).update(quarantined="ValueError: a made-up reason")


def _unknown(office: Office) -> None:
    """Html with pictures from elsewhere, one inside, and two files, from nobody we know."""
    page = (
        "<p>Hello,</p><p>we are moving our office and showroom to <b>Mill Lane 14</b> on 1 December and need at least "
        "500/500 with one static IP address for the alarm system. Is your fibre already in the building?</p>"
        "<p>Kind regards<br>Daniel Hoffmann<br>0555 010 288</p>"
        '<img src="cid:logo" width="20" height="20" alt="logo">'
        '<img src="https://tracker.example/1.gif"><img src="https://tracker.example/2.gif">'
    )
    head, body = mixed(
        (HTML, page.encode(), ""),
        ("image/png; name=logo.png", PNG, "logo"),
        (PLAN, b"%PDF-1.4 plan" * 900, ""),
        ("image/jpeg; name=cabinet-cellar.jpg", b"\xff\xd8\xff" + b"x" * 840, ""),
    )
    sender = "Daniel Hoffmann <d.hoffmann@tiling-hoffmann.example>"
    office.arrive(
        "unknown",
        letter(
            sender=sender, subject="New office at Mill Lane 14: can you connect us?", headers=head, body=body
        ),
        ago=timedelta(minutes=5),
    )
    office.arrive(
        "bare", letter(sender="accounts@harbourview.example", subject="", body=""), ago=timedelta(minutes=40)
    )


def _deliveries(office: Office) -> None:
    to = [["Greta Brandt", "greta@brandt-bakery.example"]]
    with viewing_as(office.marta):
        for state in Delivery.State.values:
            office.out[state] = Delivery.objects.create(
                mailbox=office.mailbox,
                author=office.marta,
                state=state,
                customer=office.brandt,
                to=to,
                subject=f"Visit on Tuesday ({state})",
                text="Dear Greta,\n\nwe come on Tuesday.\n",
                problem="The server refused the message." if state == "failed" else "",
                server_text="550 5.7.1 no" if state == "failed" else "",
                refused=[["greta@brandt-bakery.example", 550, "no such user"]] if state == "failed" else [],
            )
