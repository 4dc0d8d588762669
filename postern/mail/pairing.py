"""Pairing a sender with a customer or lead, and taking it back. It changes the viewer's own mailboxes at once.

Other mailboxes follow by one job as postern_send; colleagues learn neither who added an address nor when.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from postern.mail.access import at_mailbox
from postern.mail.filing import addresses_of, bring_in_whole, file_as_new, mailboxes_concerning, refile
from postern.mail.models import Body, Message, Party
from postern.mail.withholding import STRANGER
from postern.mailboxes.models import Mailbox, Reader
from postern.mime.addresses import domain_of, normalise
from postern.people.models import Address, Customer, Staff

FREE_MAIL = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
        "me.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "t-online.de",
        "mail.ru",
        "yandex.ru",
        "proton.me",
        "protonmail.com",
        "seznam.cz",
        "wp.pl",
        "o2.pl",
    ]
)
"""Domains that say nothing about who somebody is."""


class PairingRefused(ValueError):
    """An address cannot go to this customer; `code` is stable, the text is for the person."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Suggestion:
    """A customer or lead that an unknown sender may be, and why."""

    customer: Customer
    reasons: tuple[str, ...]


def add_address(
    *, staff: Staff, customer: Customer, email: str, kind: str = Address.Kind.OTHER, shared: bool = False
) -> Address:
    """Put an address on a customer and file the mail that carries it.

    Raises PairingRefused: `bad_address`, or `address_taken` naming the customer who has it.
    """
    row, _ = _put(staff.pk, customer, email, kind, shared)
    follow(staff=staff, customer_ids=[customer.pk], put=row.email)
    return row


@dataclass(frozen=True)
class Taken:
    """An address that was taken off a customer: who had put it there and when, and the letters that counted by it.

    Counted: for narrowed grants, of the mailboxes of who took it off.
    """

    email: str
    kind: str
    by: int | None
    since: str
    counted: list[int]


def taken_off(*, staff: Staff, address: Address) -> Taken:
    """Take an address off its customer; returns what `put_back` needs."""
    rows = Message.objects.owned_by(staff).filter(owner_party=True, parties__customer=address.customer_id)
    rows = rows.filter(Q(outgoing=True) | Q(from_address=address.email))
    rows = rows.exclude(Exists(Party.objects.filter(message=OuterRef("pk"), by_hand=True)))
    counted = [
        one.pk
        for one in rows.only("outgoing", "from_address", "to", "cc")
        if address.email in addresses_of(one)
    ]
    taken = Taken(address.email, address.kind, address.added_by_id, address.created_at.isoformat(), counted)
    remove_address(staff=staff, address=address)
    return taken


def put_back(*, staff: Staff, customer: Customer, taken: Taken) -> None:
    """Put it back: nobody but who had put it there did, and what did not count does not now. Raises PairingRefused."""
    row, made = _put(taken.by, customer, taken.email, taken.kind)
    if made:  # nobody was quicker
        row.created_at = datetime.fromisoformat(taken.since)
        row.save(update_fields=["created_at"])
    follow(staff=staff, customer_ids=[customer.pk])
    rows = Message.objects.owned_by(staff).filter(pk__in=taken.counted, parties__customer=customer)
    Message.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(owner_party=True)


def _put(
    by: int | None, customer: Customer, email: str, kind: str, shared: bool = False
) -> tuple[Address, bool]:
    address = normalise(email)
    if not address:
        raise PairingRefused(
            "bad_address", f"“{email}” is not an e-mail address. Type it like name@company.example."
        )
    taken = (
        Address.objects.filter(email=address, shared=False)
        .exclude(customer=customer)
        .select_related("customer")
        .first()
    )
    if taken is not None and not shared:
        raise PairingRefused(
            "address_taken",
            f"{address} is already an address of {taken.customer.name} ({taken.customer.number}). "
            "Remove it there first, or mark it as shared.",
        )
    return Address.objects.get_or_create(
        customer=customer, email=address, defaults={"kind": kind, "shared": shared, "added_by_id": by}
    )


def change_address(*, staff: Staff, address: Address, kind: str, shared: bool) -> None:
    """Change an address's kind, or whether it is used by several people. Raises PairingRefused (`address_taken`).

    Whoever says that it is one customer's alone puts it there: from now on its mail is filed by itself, which its
    owners did by hand so far, letter by letter (S-132).
    """
    if address.shared and not shared:
        address.added_by, address.created_at = staff, datetime.now(UTC)
    address.kind, address.shared = kind, shared
    try:
        with transaction.atomic():
            address.save(update_fields=["kind", "shared", "added_by", "created_at"])
    except IntegrityError:
        raise PairingRefused(
            "address_taken", f"{address.email} is on another customer too, so it stays shared."
        ) from None
    follow(staff=staff, customer_ids=[address.customer_id])


def remove_address(*, staff: Staff, address: Address) -> None:
    """Take an address off its customer; mail filed by it is no longer filed there."""
    customers = {address.customer_id}
    address.delete()
    if address.shared:
        customers |= _left_to(staff, address.email)
    follow(staff=staff, customer_ids=customers, anew=address.email)


def _left_to(staff: Staff, email: str) -> set[int]:
    """The customer who alone has an address now that several people used: as good as put there by who says so.

    Unless somebody put it there who reads a mailbox of theirs: that would count as the owner's own word (S-132). Its
    mail is filed by hand then, as so far, until somebody says otherwise there.
    """
    rows = Address.objects.filter(email=email)
    if rows.filter(shared=True).exists():
        return set()
    readers = Reader.objects.filter(mailbox__owner=staff).values("staff")
    rows.filter(added_by__in=readers).update(shared=True)
    rows.filter(shared=False).update(added_by=staff, created_at=datetime.now(UTC))
    return set(rows.values_list("customer_id", flat=True))


def follow(*, staff: Staff, customer_ids: Collection[int], put: str = "", anew: str = "") -> int:
    """File the person's own mail about customers anew now, everybody else's by a job; returns how many changed.

    `put`: the address that they put on a customer, new there or not; `anew`: the one that they took off, or did not
    put there after all.
    """
    if not customer_ids:
        return 0
    mailboxes = Mailbox.objects.filter(owner=staff)
    changed = sum(
        refile(customer_ids=customer_ids, mailbox=b, by_owner=True, put=put, anew=anew) for b in mailboxes
    )
    _defer(customer_ids=sorted(customer_ids))
    return changed


def ask_to_unmake(customer_id: int) -> None:
    """Have a customer removed that was added by mistake, as soon as nobody's mail is filed there.

    By a job after the one that files: whether a customer can go at once would tell of colleagues' letters.
    """
    _defer(customer_ids=[], unmade=[customer_id])


def _defer(**args: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.defer('file_mail', %s::jsonb, 'file_mail', NULL)", [json.dumps(args)])


def unmake(customer_ids: Collection[int]) -> None:
    """The job: remove these customers, but those that have an address or mail that somebody filed there by hand."""
    for pk in customer_ids:
        with (
            suppress(IntegrityError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):  # filed this moment
            cursor.execute("SELECT app.unmake(%s)", [pk])


def file_mail(customer_ids: Collection[int]) -> None:
    """The job: file everybody's mail about these customers anew, one mailbox a transaction."""
    if not customer_ids:
        return
    for mailbox in mailboxes_concerning(customer_ids):
        with at_mailbox(mailbox.pk):
            refile(customer_ids=customer_ids, mailbox=mailbox, by_owner=False)


def file_by_hand(*, message: Message, customer: Customer) -> None:
    """File this one message under a customer, whatever its addresses say (shared addresses)."""
    Party.objects.update_or_create(
        message=message, customer=customer, defaults={"mailbox_id": message.mailbox_id, "by_hand": True}
    )
    Message.objects.filter(pk=message.pk).update(known=True, owner_party=True)
    if message.withheld == STRANGER:
        bring_in_whole(message)


def unfile(*, message: Message, customer_id: int) -> None:
    """Take a message that was filed by hand off a customer again, unless it is there by its addresses too."""
    Party.objects.filter(message=message, customer_id=customer_id).update(by_hand=False)
    file_as_new(message)


def is_shared(email: str) -> bool:
    """True when the address is marked as used by several people."""
    return Address.objects.filter(email=email, shared=True).exists()


def suggestions(message: Message, limit: int = 3) -> list[Suggestion]:
    """Return customers and leads whom the sender may be, best first, each with its reasons. Never pairs."""
    reasons: dict[int, list[str]] = {}
    body = Body.objects.filter(message=message).first()
    text = f"{message.subject}\n{body.text if body else ''}"[:20_000]
    for ids, reason in (
        (_same_phone(text), "Same phone number in the signature"),
        (_number_named(text), "Customer number in the message"),
        (_same_domain(message), "Same domain as another address"),
        (_same_thread(message), "Same conversation"),
        (_similar_name(message), "Similar name"),
    ):
        for pk in ids:
            reasons.setdefault(pk, []).append(reason)
    best = sorted(reasons, key=lambda pk: (-len(reasons[pk]), pk))[:limit]
    rows = Customer.objects.in_bulk(best)
    return [Suggestion(rows[pk], tuple(reasons[pk])) for pk in best if pk in rows]


def _same_domain(message: Message) -> Iterable[int]:
    domain = domain_of(message.from_address)
    if not domain or domain in FREE_MAIL:
        return []
    rows = Address.objects.filter(Q(email__endswith=f"@{domain}") | Q(email__endswith=f".{domain}"))
    return set(rows.values_list("customer_id", flat=True)[:50])


def _same_phone(text: str) -> Iterable[int]:
    numbers = {re.sub(r"\D", "", n)[-7:] for n in re.findall(r"\+?\d[\d ()/.-]{6,20}\d", text)[:20]}
    if not numbers:
        return []
    rows = Customer.objects.exclude(phone="").values_list("pk", "phone")
    return {pk for pk, phone in rows.iterator() if re.sub(r"\D", "", phone)[-7:] in numbers}


def _number_named(text: str) -> Iterable[int]:
    numbers = set(re.findall(r"(?i)(?:customer|client|kunden)[\w .#:-]{0,16}?(\d{3,12})", text)[:10])
    return set(Customer.objects.filter(number__in=numbers).values_list("pk", flat=True)) if numbers else []


def _same_thread(message: Message) -> Iterable[int]:
    rows = Party.objects.filter(message__conversation=message.conversation_id).exclude(message=message)
    return set(rows.values_list("customer_id", flat=True))


def _similar_name(message: Message) -> Iterable[int]:
    words = [w for w in re.findall(r"\w{4,}", message.from_name) if not w.isdigit()][:4]
    if not words:
        return []
    query = Q()
    for word in words:
        query |= Q(name__icontains=word)
    return set(Customer.objects.filter(query).values_list("pk", flat=True)[:5])
