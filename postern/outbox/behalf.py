"""Letters that a reader writes in the owner's name: who stands how to one, and what each is shown of it.

A draft is its author's. From the moment it is sent off the owner of the mailbox sees it too, under both
names. When the right to answer ends, nothing of the owner's mail stays with the author: the quote, the
subject and the names go, the author's own words remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from enum import Enum

from postern.mail.access import answerable_keys
from postern.mail.models import Message
from postern.mailboxes.connection import sender
from postern.mailboxes.models import Mailbox
from postern.mime.addresses import normalise
from postern.outbox.letter import ComposeError, unsure
from postern.outbox.models import Delivery, OutgoingFile
from postern.outbox.quoting import own_words
from postern.people.models import Staff

State = Delivery.State

ENDED = "You can no longer answer this message in its owner’s name. What you wrote yourself is kept."
# What is about the letter itself. Everything else is about the owner's server, sign-in and settings.
_ABOUT_THE_LETTER = frozenset(
    [
        "",
        "access_ended",
        "confirmed",
        "hourly_limit",
        "mailbox_full",
        "message_refused",
        "not_arrived",
        "recipients_refused",
        "sending_limit",
        "stopped",
        "too_large",
        "unknown_outcome",
    ]
)
_SERVERS_WORDS = frozenset(["mailbox_full", "message_refused", "recipients_refused", "too_large"])


class Standing(Enum):
    """How a person stands to a letter."""

    OWN = "own"  # wrote it, from a mailbox of their own
    ANSWERING = "answering"  # wrote it in the name of the mailbox's owner, and may
    ENDED = "ended"  # wrote it so, and may no more
    OWNER = "owner"  # a reader wrote it in this person's name


@dataclass(frozen=True)
class Seen:
    """A letter as one person may see it. `row` is for the eye, never to be saved."""

    row: Delivery
    standing: Standing
    on_behalf_of: str = ""
    """The owner in whose name this person writes."""
    written_by: str = ""
    """Who wrote it in this person's name."""
    from_address: str = ""

    @property
    def can_edit(self) -> bool:
        """The letter can still be changed, by this person."""
        return self.row.editable and self.standing in (Standing.OWN, Standing.ANSWERING)

    @property
    def can_discard(self) -> bool:
        """The letter can be thrown away, by this person."""
        return self.row.editable and self.standing is not Standing.OWNER

    @property
    def can_take_back(self) -> bool:
        """No attempt to send the letter is under way, and this person may stop it."""
        waits = self.row.state == State.QUEUED and self.row.code != "stopped"
        return waits and self.standing is not Standing.ENDED

    @property
    def can_settle(self) -> bool:
        """This person may say what became of the letter."""
        return self.row.state == State.UNKNOWN and self.standing is not Standing.ENDED

    @property
    def unsure(self) -> list[str]:
        """Those of whom nobody knows whether they got the letter."""
        return unsure(self.row) if self.row.state == State.UNKNOWN else []

    @property
    def ended(self) -> bool:
        """The right to answer has ended."""
        return self.standing is Standing.ENDED

    @property
    def files(self) -> list[OutgoingFile]:
        """Its files; after the end without the pictures that the quote brought along."""
        return [file for file in self.row.files.all() if not (self.ended and file.content_id)]


def seen_by(staff: Staff, rows: Iterable[Delivery]) -> list[Seen]:
    """Return letters of `Delivery.objects.of(staff)` as that person may see them."""
    rows = list(rows)
    own = set(Mailbox.objects.filter(owner=staff).values_list("pk", flat=True))
    foreign = [row for row in rows if row.author_id == staff.pk and row.mailbox_id not in own]
    granted = _granted(staff, foreign) if foreign else set()
    shown = _visible(staff, foreign) if foreign else set()
    names = _names(row.author_id for row in rows if row.author_id != staff.pk)
    found = []
    for row in rows:
        if row.author_id != staff.pk:
            found.append(Seen(row, Standing.OWNER, written_by=names.get(row.author_id, "")))
        elif row.mailbox_id in own:
            found.append(Seen(row, Standing.OWN))
        elif row.pk in granted:
            found.append(_as_answering(row, shown))
        else:
            found.append(Seen(_own_words_of(row), Standing.ENDED))
    return found


def still_granted(delivery: Delivery) -> bool:
    """True while the author may write this letter: their own mailbox, or a reader who may answer just now."""
    if Mailbox.objects.filter(pk=delivery.mailbox_id, owner=delivery.author_id).exists():
        return True
    return bool(_granted(delivery.author, [delivery]))


def is_answer_for_another(delivery: Delivery) -> bool:
    """True when the author is not the owner of the mailbox it goes out from."""
    return delivery.author_id != delivery.mailbox.owner_id


def check_recipients(delivery: Delivery) -> None:
    """Raise ComposeError unless an answer in another's name goes to somebody who takes part in what it answers."""
    answered = delivery.answers
    if answered is None:
        raise ComposeError({"state": ENDED}, "access_ended")
    own = {normalise(delivery.mailbox.address), normalise(sender(delivery.mailbox).envelope)}
    people = [["", answered.from_address], *answered.reply_to, *answered.to, *answered.cc]
    taking_part = {normalise(address) for _, address in people} - own - {""}
    if not taking_part & {normalise(address) for _, address in [*delivery.to, *delivery.cc]}:
        words = "In another’s name you can only answer: add somebody who wrote or received the message."
        raise ComposeError({"to": words})


def authors_of(staff: Staff, messages: Iterable[Message]) -> dict[int, str]:
    """Return sent message -> who wrote it in the owner's name ("you": this person).

    Told to the owner and to who wrote it, to nobody else.
    """
    ids = [message.pk for message in messages if message.outgoing]
    if not ids:
        return {}
    rows = (
        Delivery.objects.current(staff).filter(sent__in=ids).values_list("sent_id", "mailbox_id", "author_id")
    )
    found = list(rows)
    owners = dict(Mailbox.objects.filter(pk__in={box for _, box, _ in found}).values_list("pk", "owner_id"))
    names = _names(author for _, box, author in found if owners.get(box) != author)
    names |= {staff.pk: "you"} if staff.pk in names else {}
    return {sent: names[author] for sent, _, author in found if sent is not None and author in names}


def unreached(staff: Staff, messages: Iterable[Message]) -> dict[int, Seen]:
    """Return sent message -> its letter, of those that did not reach everybody (yet), as this person may see it."""
    ids = [message.pk for message in messages if message.outgoing]
    if not ids:
        return {}
    rows = Delivery.objects.current(staff).filter(sent__in=ids).exclude(refused=[], deferred=[])
    return {
        seen.row.sent_id: seen
        for seen in seen_by(staff, rows.defer("raw", "html", "text"))
        if seen.row.sent_id
    }


def _granted(staff: Staff, rows: Sequence[Delivery]) -> set[int]:
    """Ids of those letters that answer a message which `staff` may answer at this moment."""
    answered = Message.objects.filter(pk__in=[row.answers_id for row in rows], deleted_at=None)
    answered = answered.filter(wall_key__in=answerable_keys(staff))
    boxes = dict(answered.values_list("pk", "mailbox_id"))
    return {
        row.pk
        for row in rows
        if not row.forward and row.answers_id is not None and boxes.get(row.answers_id) == row.mailbox_id
    }


def _visible(staff: Staff, rows: Sequence[Delivery]) -> set[int]:
    sent = [row.sent_id for row in rows if row.sent_id]
    return set(Message.objects.visible_to(staff).filter(pk__in=sent).values_list("pk", flat=True))


def _names(ids: Iterable[int]) -> dict[int, str]:
    return dict(Staff.objects.filter(pk__in=set(ids)).values_list("pk", "name"))


def _as_answering(row: Delivery, shown: set[int]) -> Seen:
    """What the author is told: the letter and its fate, not how the owner's mailbox is set up."""
    owner = row.mailbox.owner.name
    told = copy(row)
    if told.sent_id not in shown:
        told.sent_id = None
    if told.code not in _ABOUT_THE_LETTER:
        waits = told.state == State.QUEUED
        told.problem = "The mailbox could not hand the message over" + (" yet." if waits else ".")
        told.advice = "It is tried again by itself." if waits else f"{owner} sees the reason and can mend it."
        told.code = "not_sent"
    if told.code not in _SERVERS_WORDS:
        told.server_text = ""
        told.deferred = [[address, code, ""] for address, code, _ in told.deferred]
    return Seen(told, Standing.ANSWERING, on_behalf_of=owner, from_address=sender(row.mailbox).from_.address)


def _own_words_of(row: Delivery) -> Delivery:
    """The author's own words, and nothing else that the draft held."""
    kept = copy(row)
    kept.text, kept.html, kept.subject = own_words(row.text), "", ""
    kept.to, kept.cc, kept.bcc, kept.refused, kept.deferred, kept.accepted = [], [], [], [], [], []
    kept.customer_id = kept.answers_id = kept.sent_id = None
    kept.message_id = kept.envelope_sender = kept.server_text = kept.advice = ""
    kept.code, kept.problem = "access_ended", ENDED
    return kept
