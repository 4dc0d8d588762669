"""Who can see a message at this moment, and through which grant: the pill and its panel, the API's `readers`.

The answer is the wall's own (app.visible_to), asked once for a page of messages. Who else reads is told to the
owner alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Protocol

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from postern.mail.models import ConversationShare, Message
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Staff

# Which of some wall keys the person of a grant reads at this moment.
_KEYS = "ARRAY(SELECT unnest(app.visible_to({table}.staff_id)) INTERSECT SELECT unnest(%s::bigint[]))"

_FACES = 3
WAITS = "waits until a mailbox of their own is set up"


class Scope(Protocol):
    """What a grant lets somebody do; a Given, or a line of the reader log."""

    @property
    def by_share(self) -> bool:
        """One conversation by name, not a mailbox."""
        ...

    @property
    def incoming_only(self) -> bool:
        """Not what was sent."""
        ...

    @property
    def customers_only(self) -> bool:
        """Only what counts as a customer's."""
        ...

    @property
    def may_reply(self) -> bool:
        """In the owner's name."""
        ...

    @property
    def ends_at(self) -> datetime | None:
        """None: no end."""
        ...


@dataclass(frozen=True)
class Given:
    """A grant for a mailbox, or a conversation shared by name, with what its person reads now."""

    staff: Staff
    mailbox: Mailbox
    keys: frozenset[int]
    ends_at: datetime | None
    conversation: int | None = None
    incoming_only: bool = False
    customers_only: bool = False
    may_reply: bool = False
    handed_over: bool = False

    @property
    def by_share(self) -> bool:
        """One conversation, not a mailbox."""
        return self.conversation is not None

    @property
    def through(self) -> str:
        """The grant in words."""
        return scope_in_words(self)

    def reaches(self, message: Message) -> bool:
        """True when the grant is about such a message; whether it is in force is for the wall to say."""
        if self.by_share:
            return message.conversation_id == self.conversation
        narrowed = (self.incoming_only and message.outgoing) or (
            self.customers_only and not message.owner_party
        )
        return message.mailbox_id == self.mailbox.pk and not narrowed


@dataclass(frozen=True)
class Seer:
    """One reader of the mailbox, and how many of the messages asked about they see now."""

    grant: Given
    sees: int
    of: int
    reason: str
    """Why they see none of them; '' otherwise."""

    @property
    def name(self) -> str:
        """The reader's name."""
        return self.grant.staff.name

    @property
    def waits(self) -> bool:
        """They see nothing because they have no mailbox of their own yet."""
        return self.reason == WAITS


@dataclass(frozen=True)
class Visibility:
    """Who can see some messages of one mailbox, as one person may know it."""

    mine: bool
    seeing: list[Seer] = field(default_factory=list)
    not_seeing: list[Seer] = field(default_factory=list)
    grant: Given | None = None
    """The viewer's own, where the mailbox is somebody else's."""

    @property
    def faces(self) -> list[str]:
        """Names of the few who read along, for the pill; none where only the owner does, or they are many."""
        return [seer.name for seer in self.seeing] if len(self.seeing) <= _FACES else []

    @property
    def text(self) -> str:
        """What the pill says."""
        if not self.mine:
            return _shared(self.grant)
        if not self.seeing:
            return "Only you can see this"
        first = self.seeing[0].name.split()[0]
        return f"You and {first}" if len(self.seeing) == 1 else f"You and {len(self.seeing)} others"


class Watch:
    """Who sees what of a page of messages. Made by `watch`, asks nothing more."""

    def __init__(self, staff: Staff, grants: Sequence[Given]) -> None:
        self._staff = staff
        self._grants = grants

    def over(self, messages: Sequence[Message]) -> Visibility:
        """Tell it of one message, or of several in one mailbox (at least one)."""
        box, threads = messages[0].mailbox, {message.conversation_id for message in messages}
        grants: dict[int, list[Given]] = {}
        for grant in self._grants:
            if grant.mailbox.pk == box.pk and (grant.conversation is None or grant.conversation in threads):
                grants.setdefault(grant.staff.pk, []).append(grant)
        if box.owner_id != self._staff.pk:
            own = grants.get(self._staff.pk)
            return Visibility(mine=False, grant=_best(own, messages) if own else None)
        seers = [_seer(_best(own, messages), messages) for own in grants.values()]
        return Visibility(
            mine=True, seeing=[s for s in seers if s.sees], not_seeing=[s for s in seers if not s.sees]
        )


def watch(staff: Staff, messages: Iterable[Message]) -> Watch:
    """Ask who sees these messages (mailboxes loaded): one query, and one more where conversations are shared."""
    messages = list(messages)
    boxes = {message.mailbox_id for message in messages}
    keys = [*{message.wall_key for message in messages}, *(box * 4 + n for box in boxes for n in range(4))]
    theirs = Q(mailbox__owner=staff) | Q(staff=staff)
    rows = Reader.objects.filter(theirs, mailbox__in=boxes).select_related("staff", "mailbox__owner")
    grants = [_of_mailbox(row) for row in rows.annotate(keys=_reads("mailboxes_reader", keys))]
    threads = {message.conversation_id for message in messages if message.shared}
    if threads:
        shares = ConversationShare.objects.filter(theirs, conversation__in=threads)
        shares = shares.select_related("staff", "mailbox__owner")
        grants += [_of_share(row) for row in shares.annotate(keys=_reads("mail_conversationshare", keys))]
    return Watch(staff, sorted(grants, key=lambda grant: (grant.staff.name, grant.staff.pk, grant.by_share)))


def idle(mailbox: Mailbox) -> dict[int, str]:
    """Return the people who were given an own mailbox to read and see nothing of it now, each with the reason."""
    keys = [mailbox.pk * 4 + n for n in range(4)]
    rows = Reader.objects.filter(mailbox=mailbox).select_related("staff", "mailbox__owner")
    grants = [_of_mailbox(row) for row in rows.annotate(keys=_reads("mailboxes_reader", keys))]
    return {grant.staff.pk: _reason(grant) for grant in grants if not grant.keys}


def scope_in_words(scope: Scope) -> str:
    """Say what a grant shows, until when, and whether it lets answer: "Incoming mail, until 31 December 2026"."""
    until = f", until {_day(scope.ends_at)}" if scope.ends_at else ""
    if scope.by_share:
        return f"This conversation, shared by name{until}"
    what = "Incoming mail" if scope.incoming_only else "Incoming and sent mail"
    whose = " in customers’ conversations" if scope.customers_only else ""
    return f"{what}{whose}{', may answer' if scope.may_reply else ''}{until}"


def _reads(table: str, keys: list[int]) -> RawSQL:
    return RawSQL(_KEYS.format(table=table), [keys])  # noqa: S611 the table's name is one of ours


def _of_mailbox(row: Reader) -> Given:
    return Given(
        staff=row.staff,
        mailbox=row.mailbox,
        keys=frozenset(row.keys),  # type: ignore[attr-defined]
        ends_at=row.ends_at,
        incoming_only=row.incoming_only,
        customers_only=row.customers_only,
        may_reply=row.may_reply,
        handed_over=row.handover_id is not None,
    )


def _of_share(row: ConversationShare) -> Given:
    return Given(
        staff=row.staff,
        mailbox=row.mailbox,
        keys=frozenset(row.keys),  # type: ignore[attr-defined]
        ends_at=row.ends_at,
        conversation=row.conversation_id,
    )


def _best(grants: Sequence[Given], messages: Sequence[Message]) -> Given:
    """Of a person's grants the one that shows the messages: in force and about them before any other."""
    now = timezone.now()

    def worth(grant: Given) -> tuple[bool, int]:
        in_force = grant.ends_at is None or grant.ends_at > now
        return in_force, sum(grant.reaches(message) for message in messages)

    return max(grants, key=worth)


def _seer(grant: Given, messages: Sequence[Message]) -> Seer:
    sees = sum(message.wall_key in grant.keys for message in messages)
    return Seer(grant, sees, len(messages), "" if sees else _reason(grant))


def _reason(grant: Given) -> str:
    """Why a reader sees none of the messages."""
    if not grant.staff.is_active:
        return "can no longer sign in"
    if grant.ends_at and grant.ends_at <= timezone.now():
        return f"access ended on {_day(grant.ends_at)}"
    if not any(key >> 2 == grant.mailbox.pk for key in grant.keys):
        return WAITS
    only = chain(
        ["incoming mail"] if grant.incoming_only else [],
        ["customers’ conversations"] if grant.customers_only else [],
    )
    return f"reads {' in '.join(only)} only"


def _shared(grant: Given | None) -> str:
    if grant is None:
        return "Shared with you"
    until = f" until {timezone.localtime(grant.ends_at):%-d %b %Y}" if grant.ends_at else ""
    what = "conversation" if grant.by_share else "mailbox"
    how = "handed over to you" if grant.handed_over else "shared with you"
    return f"{grant.mailbox.owner.name.split()[0]}’s {what}, {how}{until}"


def _day(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %B %Y}"
