"""Everything that is made from raw letters, made anew: after an upgrade of the reader, or when in doubt.

The raw letters are the truth (RELIABILITY R-055). What people decided is not made from them and is never
touched: deletions, read marks, what was filed or unpaired by hand, who counts for a narrowed grant, and which
letters are in a conversation that is shared by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from django.db.models import Q
from zstandard import ZstdError

from postern.mail import rawstore
from postern.mail.access import at_mailbox
from postern.mail.conversations import lock, place_all, stay
from postern.mail.filing import Filer, addresses_of
from postern.mail.letterstore import LetterMissing
from postern.mail.models import (
    Aside,
    Attachment,
    Body,
    Conversation,
    ConversationShare,
    Message,
    MessageSearch,
    Party,
    Raw,
    Reference,
)
from postern.mail.preparing import Arrival, Prepared, prepare
from postern.mail.storing import DESCRIBED, describe, note_places, save_content
from postern.mail.withholding import header_only
from postern.mailboxes.models import Mailbox
from postern.mime.sanitize import SANITIZER_VERSION

BATCH = 100


@dataclass
class Rebuilt:
    """What was done with a mailbox. missing: messages whose raw letter is gone, left as they are."""

    letters: int = 0
    healed: int = 0
    unreadable: int = 0
    missing: list[str] = field(default_factory=list)

    def __iadd__(self, other: Rebuilt) -> Rebuilt:
        self.letters += other.letters
        self.healed += other.healed
        self.unreadable += other.unreadable
        self.missing += other.missing
        return self

    def __str__(self) -> str:
        parts = [f"{self.letters} letters read anew"]
        if self.healed:
            parts.append(f"{self.healed} that could not be read before can be read now")
        if self.unreadable:
            parts.append(f"{self.unreadable} cannot be read and stay in quarantine")
        if self.missing:
            parts.append(f"{len(self.missing)} without their raw letter were left as they are")
        return ", ".join(parts)


def rebuild(mailbox_id: int, *, told: Callable[[int], object] = lambda done: None) -> Rebuilt:
    """Make all derived rows of one mailbox anew, in one transaction: whole or not at all.

    told: called with the number of letters done so far. New mail of this mailbox waits meanwhile.
    """
    report = Rebuilt()
    with at_mailbox(mailbox_id):
        lock(mailbox_id)
        mailbox = Mailbox.objects.get(pk=mailbox_id)
        before = dict(Message.objects.filter(mailbox=mailbox).values_list("pk", "conversation_id"))
        shared = ConversationShare.objects.filter(mailbox=mailbox).values("conversation_id")
        Reference.objects.filter(mailbox=mailbox).exclude(conversation__in=shared).delete()
        for messages in _batches(mailbox):
            _reread(mailbox, messages, report)
            told(report.letters)
        _keep_numbers(mailbox, before)
    return report


def heal() -> Rebuilt:
    """Read anew what no version could read so far, and what an earlier one cleaned by older rules.

    For every mailbox, a batch at a time, so that new mail never waits long.
    """
    report = Rebuilt()
    for mailbox_id in Mailbox.objects.order_by("pk").values_list("pk", flat=True):
        with at_mailbox(mailbox_id):
            stale = Q(body__sanitizer_version__lt=SANITIZER_VERSION) | ~Q(quarantined="")
            rows = Message.objects.filter(stale, mailbox_id=mailbox_id).order_by("pk")
            ids = list(rows.values_list("pk", flat=True))
        for start in range(0, len(ids), BATCH):
            report += reread(mailbox_id, ids[start : start + BATCH])
    return report


def reread(mailbox_id: int, ids: Sequence[int]) -> Rebuilt:
    """Read some messages of a mailbox anew, in one transaction."""
    report = Rebuilt()
    with at_mailbox(mailbox_id):
        lock(mailbox_id)
        mailbox = Mailbox.objects.get(pk=mailbox_id)
        _reread(mailbox, list(Message.objects.filter(mailbox=mailbox, pk__in=ids)), report)
        _drop_empty(mailbox)
    return report


def _batches(mailbox: Mailbox) -> Iterator[list[Message]]:
    last = 0
    while batch := list(Message.objects.filter(mailbox=mailbox, pk__gt=last).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk


def _reread(mailbox: Mailbox, messages: Sequence[Message], report: Rebuilt) -> None:
    pairs: list[tuple[Message, Prepared]] = []
    for message in messages:
        try:
            pairs.append((message, _prepared(message)))
        except LetterMissing as error:
            report.missing.append(str(error))
    report.letters += len(pairs)
    readable = [(message, one) for message, one in pairs if not one.broken]
    report.unreadable += len(pairs) - len(readable)
    report.healed += sum(bool(message.quarantined) for message, _ in readable)
    for message, one in readable:
        describe(message, one)
        message.quarantined = ""
    _thread(mailbox, readable)
    _file([message for message, _ in readable], mailbox)
    changed = ("conversation_id", "known", "owner_party", "quarantined", *DESCRIBED)
    Message.objects.bulk_update([message for message, _ in pairs], changed)
    for model in (Body, Attachment, MessageSearch):
        model._default_manager.filter(message__in=[message for message, _ in readable]).delete()
    save_content(mailbox, [(message.pk, one) for message, one in readable])


def _thread(mailbox: Mailbox, readable: Sequence[tuple[Message, Prepared]]) -> None:
    """Put messages into conversations anew. Those of a shared one stay there, and no other comes to it."""
    fixed = [(message, one) for message, one in readable if message.shared]
    stay(mailbox.pk, [one.ids for _, one in fixed], [message.conversation_id for message, _ in fixed])
    # Letters without ids stand alone, and stay.
    loose = [(message, one) for message, one in readable if one.ids and not message.shared]
    places = place_all(mailbox.pk, [one.ids for _, one in loose])
    for (message, _), conversation in zip(loose, places.conversations, strict=True):
        message.conversation_id = conversation
    note_places(mailbox, [message.pk for message, _ in loose], places)


def _prepared(message: Message) -> Prepared:
    """Read a message's raw letter. Raises LetterMissing, also for bytes that are not the ones stored."""
    try:
        raw = rawstore.get(message)
    except (Raw.DoesNotExist, ZstdError) as error:
        raise LetterMissing(f"the raw letter of message {message.pk} is gone or damaged") from error
    if sha256(raw).digest() != bytes(message.sha256):
        raise LetterMissing(f"the raw letter of message {message.pk} is not the one that was stored")
    arrival, outgoing = Arrival(0, frozenset(), message.received_at, raw), message.outgoing
    if message.withheld:
        return header_only(arrival, size=message.size, reason=message.withheld, outgoing=outgoing)
    return replace(prepare(arrival, outgoing=outgoing), received_at=message.received_at)


def _file(messages: Sequence[Message], mailbox: Mailbox) -> None:
    """Links by rule are made anew; links by hand, and what counts for a narrowed grant, stay."""
    Party.objects.filter(message__in=messages, by_hand=False).delete()
    by_hand: dict[int, set[int]] = {}
    for message_id, customer in Party.objects.filter(message__in=messages).values_list(
        "message_id", "customer_id"
    ):
        by_hand.setdefault(message_id, set()).add(customer)
    filer = Filer(mailbox, {address for message in messages for address in addresses_of(message)})
    new: list[Party] = []
    for message in messages:
        filing = filer.filing(addresses_of(message), received_at=message.received_at)
        hand = by_hand.get(message.pk, set())
        new += [Party(message=message, mailbox=mailbox, customer_id=c) for c in filing.customers - hand]
        known = bool(filing.customers | hand)
        message.owner_party = known and (message.owner_party if message.known else filing.owner_party)
        message.known = known
    Party.objects.bulk_create(new)


def _keep_numbers(mailbox: Mailbox, before: dict[int, int]) -> None:
    """Conversations that are what they were keep their number, and with it their address."""
    now = dict(Message.objects.filter(mailbox=mailbox).values_list("pk", "conversation_id"))
    groups: dict[int, list[int]] = {}
    for message, conversation in now.items():
        groups.setdefault(conversation, []).append(message)
    taken: set[int] = set()
    for conversation, messages in sorted(groups.items(), key=lambda item: min(item[1])):
        free = {before[message] for message in messages if message in before} - taken
        if not free:
            continue
        number = min(free)
        taken.add(number)
        if number != conversation:
            Message.objects.filter(mailbox=mailbox, conversation_id=conversation).update(
                conversation_id=number
            )
            Reference.objects.filter(mailbox=mailbox, conversation_id=conversation).update(
                conversation_id=number
            )
    _drop_empty(mailbox)


def _drop_empty(mailbox: Mailbox) -> None:
    """Delete conversations that no message and no reference belongs to any more, or may come back to."""
    used = Message.objects.filter(mailbox=mailbox).values("conversation_id")
    kept = Reference.objects.filter(mailbox=mailbox).values("conversation_id")
    Conversation.objects.filter(mailbox=mailbox).exclude(pk__in=used).exclude(pk__in=kept).exclude(
        pk__in=Aside.objects.filter(mailbox=mailbox, stood_in__isnull=False).values("stood_in")
    ).delete()
