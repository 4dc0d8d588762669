"""Under which customer or lead a message is filed, decided from the addresses on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from postern.mail.bulk import ask, column
from postern.mail.events import notify
from postern.mail.models import Errand, Message, Party
from postern.mail.withholding import STRANGER
from postern.mailboxes.models import Mailbox, Reader
from postern.people.matching import Match, match

CHUNK = 500


@dataclass(frozen=True)
class Filing:
    """The customers of one message, and whether it counts as a customer's for narrowed grants."""

    customers: frozenset[int]
    owner_party: bool


def addresses_of(message: Message) -> list[str]:
    """Return the addresses that decide: the author's of incoming mail, the recipients' of outgoing."""
    if not message.outgoing:
        return [message.from_address]
    return [address for _, address in (*message.to, *message.cc)]


_NOWHERE = Filing(frozenset(), False)


class Filer:
    """Files messages of one mailbox; looks the addresses of a whole batch up at once."""

    def __init__(self, mailbox: Mailbox, addresses: Iterable[str]) -> None:
        self.mailbox = mailbox
        self.matches = match(addresses)

    @cached_property
    def _readers(self) -> set[int]:
        return set(Reader.objects.filter(mailbox=self.mailbox).values_list("staff_id", flat=True))

    def filing(self, addresses: Iterable[str], *, received_at: datetime) -> Filing:
        """Return where a message belongs by the addresses that decide."""
        found = [self.matches[a] for a in addresses if a in self.matches]
        if not found:
            return _NOWHERE
        return Filing(
            frozenset(m.customer_id for m in found), any(self._counts(m, received_at) for m in found)
        )

    def put_by_owner(self, message: Message, put: str) -> bool:
        """True when the owner put one of its addresses on a customer; `put`: one that somebody had put there before."""
        found = (self.matches[a] for a in addresses_of(message) if a in self.matches)
        return any(m.added_by == self.mailbox.owner_id or m.email == put for m in found)

    def _counts(self, found: Match, received_at: datetime) -> bool:
        """Nobody widens their own access by adding addresses (rule S-132).

        An address counts when the owner added it, when nobody in particular did (an import), or when it was
        on the customer before the letter came and no reader of this mailbox put it there.
        """
        if found.added_by in (None, self.mailbox.owner_id):
            return True
        return found.added_by not in self._readers and found.since <= received_at


def bring_in_whole(message: Message) -> None:
    """Ask for the letter of which only the header was stored, since nobody knew its sender."""
    now = datetime.now(UTC)
    Errand.objects.get_or_create(
        message=message,
        kind=Errand.Kind.FETCH,
        defaults={"mailbox_id": message.mailbox_id, "not_before": now},
    )
    notify("postern_errands", {"mailbox": message.mailbox_id})


def concerning(customer_ids: Collection[int], mailbox: Mailbox) -> list[int]:
    """Ids of messages in a mailbox that are filed under one of the customers or carry one of their addresses."""
    found = ask("SELECT app.concerning(%s, %s)", column("bigint", list(customer_ids)), mailbox.pk)
    return sorted({pk for (pk,) in found})


def mailboxes_concerning(customer_ids: Collection[int]) -> list[Mailbox]:
    """Mailboxes that hold such messages, and with many customers all of them, whosever they are; for a worker."""
    found = ask("SELECT app.mailboxes_concerning(%s)", column("bigint", list(customer_ids)))
    return list(Mailbox.objects.filter(pk__in=[pk for (pk,) in found]).order_by("pk"))


def refile(
    *, customer_ids: Collection[int], mailbox: Mailbox, by_owner: bool, put: str = "", anew: str = ""
) -> int:
    """File the mailbox's messages that concern these customers anew; returns how many changed.

    `by_owner`: the mailbox's owner did it, so what is filed by an address that the owner put there (`put`: now, or
    again) counts for narrowed grants. Whatever else is newly filed does not: a reader may have put its address on
    this customer (S-132). What is no longer filed stops counting; what stays filed under others, or carries the
    address `anew`, counts on only if it would as a new letter: what made it count may be gone. Filing by hand is never touched.
    """
    changed = 0
    ids = concerning(customer_ids, mailbox)
    for start in range(0, len(ids), CHUNK):
        messages = list(Message.objects.filter(pk__in=ids[start : start + CHUNK]))
        changed += _refile_batch(mailbox, messages, by_owner, put, {anew} - {""})
    return changed


def file_as_new(message: Message) -> None:
    """File one message by its addresses and by hand: for narrowed grants it counts on only if it would as a new one."""
    fresh = Message.objects.get(pk=message.pk)
    _refile_batch(message.mailbox, [fresh], by_owner=False, put="", anew=set(addresses_of(fresh)))


def _refile_batch(mailbox: Mailbox, messages: list[Message], by_owner: bool, put: str, anew: Set[str]) -> int:
    filer = Filer(mailbox, {address for message in messages for address in addresses_of(message)})
    parties: dict[int, dict[int, bool]] = {}
    for party in Party.objects.filter(message__in=messages):
        parties.setdefault(party.message_id, {})[party.customer_id] = party.by_hand
    changed = 0
    for message in messages:
        before = parties.get(message.pk, {})
        by_hand = {c for c, hand in before.items() if hand}
        filing = filer.filing(addresses_of(message), received_at=message.received_at)
        wanted = filing.customers | by_hand
        if wanted != set(before):
            changed += 1
            if wanted and message.withheld == STRANGER:
                bring_in_whole(message)
            Party.objects.filter(message=message, by_hand=False).exclude(customer_id__in=wanted).delete()
            Party.objects.bulk_create(
                [Party(message=message, mailbox=mailbox, customer_id=c) for c in wanted - set(before)],
                ignore_conflicts=True,
            )
        known = bool(wanted)
        owners = bool(by_hand) or (by_owner and filer.put_by_owner(message, put))
        judged = not wanted >= set(before) or not anew.isdisjoint(addresses_of(message))
        still = message.owner_party and (filing.owner_party or not judged)
        owner_party = known and (owners or still)
        if (message.known, message.owner_party) != (known, owner_party):
            Message.objects.filter(pk=message.pk).update(known=known, owner_party=owner_party)
    return changed
