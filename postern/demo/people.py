"""The demo's people: who works at Northlink Fibre, its customers and leads, and how they are saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from postern.demo.accounts import ELENA, MARTA, PASSWORDS, TOM
from postern.mailboxes.save import save_mailbox
from postern.people.models import Address, Customer, Staff

HISTORY_DAYS = 7


@dataclass(frozen=True)
class Client:
    """A customer or lead as the demo invents them; the first address is the main one, the second for bills."""

    number: str
    name: str
    phone: str
    addresses: tuple[str, ...]
    kind: str = Customer.Kind.CUSTOMER
    status: str = Customer.Status.ACTIVE
    notes: str = ""


def _lead(number: str, name: str, phone: str, *addresses: str, notes: str = "") -> Client:
    return Client(number, name, phone, addresses, Customer.Kind.LEAD, Customer.Status.NEW, notes)


CLIENTS = (
    Client(
        "1042",
        "Brandt Bakery",
        "0555 010 287",
        ("greta@brandt-bakery.example", "office@brandt-bakery.example", "g.brandt@post.example"),
        notes="Business Fibre 300/100. Ovens and line share the cellar. Best called before 5:00 or after 14:00.",
    ),
    Client(
        "0988",
        "Hoffmann Tiling",
        "0555 010 288",
        ("office@tiling-hoffmann.example",),
        notes="Asked in spring about a second site.",
    ),
    Client(
        "1107",
        "Kestrel Dental Clinic",
        "0555 010 311",
        ("nadia.petrov@kestrel-dental.example", "accounts@kestrel-dental.example"),
        notes="Static address for the X-ray workstation since June.",
    ),
    Client(
        "1019",
        "Oakfield Primary School",
        "0555 010 140",
        ("p.lang@oakfield-school.example", "bursar@oakfield-school.example"),
        notes="Content filter on. Changes to it only from Peter Lang.",
    ),
    Client(
        "1163",
        "Harbour View Hotel",
        "0555 010 402",
        ("frontdesk@hotel-harbourview.example",),
        notes="84 rooms, two lines. Pays by purchase order.",
    ),
    Client(
        "1150", "Café Amélie", "0555 010 366", ("amelie@cafe-amelie.example",), notes="Closed on Tuesdays."
    ),
    Client("1171", "Nilsson Arkitekter", "0555 010 455", ("zoe.nilsson@nilsson-arch.example",)),
    Client("1084", "Riverside Pharmacy", "0555 010 214", ("desk@riverside-pharmacy.example",)),
    Client("1122", "Castle Garage", "0555 010 246", ("service@castle-garage.example",)),
    Client("1139", "Ito Violins", "0555 010 251", ("ken@ito-violins.example",)),
    Client("1188", "Bellweather Books", "0555 010 420", ("hello@bellweather-books.example",)),
    Client("1195", "Mill Lane Property Management", "0555 010 470", ("desk@mill-lane-homes.example",)),
    Client(
        "1090",
        "Chidi Okonkwo",
        "0555 010 305",
        ("chidi.okonkwo@post.example",),
        notes="Private line, Lower Green 7. Router from 2019.",
    ),
    Client(
        "1133", "Jonas Weber", "0555 010 344", ("jonas.weber@post.example",), status=Customer.Status.BLOCKED
    ),
    Client(
        "1058",
        "Corner Pharmacy",
        "0555 010 219",
        ("team@corner-pharmacy.example",),
        status=Customer.Status.INACTIVE,
    ),
    _lead(
        "2004",
        "Weaver’s Yard",
        "0555 010 690",
        "ruth.adeyemi@weavers-yard.example",
        notes="24 flats, ready in March. Ruth Adeyemi manages the building.",
    ),
    _lead("2007", "Hoffmann & Söhne", "0555 010 731", "info@hoffmann-soehne.example"),
    _lead("2011", "Maple Court Residents", "0555 010 752", "committee@maple-court.example"),
    _lead("2012", "Tide Mill Studios", "0555 010 760", "booking@tide-mill.example"),
)


@dataclass(frozen=True)
class Team:
    """The three who sign in."""

    marta: Staff
    elena: Staff
    tom: Staff


def mailbox_settings(address: str, *, imap_port: int, smtp_port: int) -> dict[str, object]:
    """Return what the person at `address` would type under My Profile, Email for the demo's server."""
    return {
        "address": address,
        "tracking": True,
        "process": "all",
        "historic": True,
        "historic_since": timezone.localdate() - timedelta(days=HISTORY_DAYS),
        "mark_as_read": False,
        "imap_username": address,
        "imap_password": PASSWORDS[address],
        "imap_host": "127.0.0.1",
        "imap_port": imap_port,
        "imap_security": "none",
        "sent_folder": "Sent",
        "sending": True,
        "smtp_host": "127.0.0.1",
        "smtp_port": smtp_port,
        "smtp_security": "none",
        "smtp_auth": "auto",
    }


@transaction.atomic
def seed(*, imap_port: int, smtp_port: int) -> Team:
    """Save everybody and Marta's mailbox; Elena has none yet, so that grants stay shut (row 7)."""
    for client in CLIENTS:
        add_client(client)
    team = Team(
        marta=_staff(MARTA, "Marta Lindqvist", "Customer care"),
        elena=_staff(ELENA, "Elena Ruiz", "Customer care"),
        tom=_staff(TOM, "Tom Okafor", "Operations", role=Staff.Role.SUPER),
    )
    settings = mailbox_settings(MARTA, imap_port=imap_port, smtp_port=smtp_port)
    save_mailbox(staff=team.marta, mailbox=None, data=settings)
    return team


def _staff(email: str, name: str, title: str, *, role: str = Staff.Role.ADMIN) -> Staff:
    """Nobody has a password: the demo's people sign in by their address in the terminal."""
    return Staff.objects.create_staff(email=email, name=name, password=None, role=role, title=title)


def add_client(client: Client) -> Customer:
    """Save one customer or lead with its addresses."""
    customer = Customer.objects.create(
        kind=client.kind,
        number=client.number,
        name=client.name,
        status=client.status,
        phone=client.phone,
        notes=client.notes,
    )
    kinds = (Address.Kind.MAIN, Address.Kind.BILLING, Address.Kind.OTHER)
    Address.objects.bulk_create(
        Address(customer=customer, email=email, kind=kind)
        for email, kind in zip(client.addresses, kinds, strict=False)
    )
    return customer
