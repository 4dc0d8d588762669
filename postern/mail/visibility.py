"""Who can see a message at this moment, and through which grant: the pill and its panel, the API's `readers`.

The answer is the wall's own (app.visible_to), asked once for a page of messages. Who else reads is told to the
owner alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from postern.mail.models import Message
from postern.mailboxes.models import Reader
from postern.people.models import Staff

# What of the reader's keys lies in this grant's mailbox.
_KEYS = """ARRAY(SELECT k FROM unnest(app.visible_to(mailboxes_reader.staff_id)) k
  WHERE k >> 2 = mailboxes_reader.mailbox_id)"""


class Scope(Protocol):
    """What a grant lets somebody do; a Reader, or a line of the reader log."""

    incoming_only: bool
    customers_only: bool
    may_reply: bool
    ends_at: datetime | None


@dataclass(frozen=True)
class Seer:
    """One reader of the mailbox, and how many of the messages asked about they see now."""

    grant: Reader
    sees: int
    of: int
    reason: str
    """Why they see none of them; '' otherwise."""

    @property
    def name(self) -> str:
        """The reader's name."""
        return self.grant.staff.name

    @property
    def through(self) -> str:
        """The grant in words."""
        return scope_in_words(self.grant)


@dataclass(frozen=True)
class Visibility:
    """Who can see some messages of one mailbox, as one person may know it."""

    mine: bool
    seeing: list[Seer] = field(default_factory=list)
    not_seeing: list[Seer] = field(default_factory=list)
    grant: Reader | None = None
    """The viewer's own, where the mailbox is somebody else's."""

    @property
    def text(self) -> str:
        """What the pill says."""
        if not self.mine:
            return _shared(self.grant)
        if not self.seeing:
            return "Only you can see this"
        first = self.seeing[0].name.split()[0]
        return f"You and {first}" if len(self.seeing) == 1 else f"You and {len(self.seeing)} others"

    @property
    def through(self) -> str:
        """The viewer's own grant in words."""
        return scope_in_words(self.grant) if self.grant else ""


class Watch:
    """Who sees what of a page of messages. Made by `watch`, asks nothing more."""

    def __init__(self, staff: Staff, grants: Sequence[Reader]) -> None:
        self._staff = staff
        self._grants = grants

    def over(self, messages: Sequence[Message]) -> Visibility:
        """Tell it of one message, or of several in one mailbox (at least one)."""
        box = messages[0].mailbox
        grants = [grant for grant in self._grants if grant.mailbox_id == box.pk]
        if box.owner_id != self._staff.pk:
            own = (grant for grant in grants if grant.staff_id == self._staff.pk)
            return Visibility(mine=False, grant=next(own, None))
        seers = [_seer(grant, messages) for grant in grants]
        return Visibility(
            mine=True, seeing=[s for s in seers if s.sees], not_seeing=[s for s in seers if not s.sees]
        )


def watch(staff: Staff, messages: Iterable[Message]) -> Watch:
    """Ask who sees these messages (mailboxes loaded): one query, whatever their number."""
    boxes = {message.mailbox_id for message in messages}
    rows = Reader.objects.filter(Q(mailbox__owner=staff) | Q(staff=staff), mailbox__in=boxes)
    rows = rows.select_related("staff", "mailbox__owner")
    rows = rows.annotate(keys=RawSQL(_KEYS, []))  # noqa: S611 nothing is put into it
    return Watch(staff, list(rows.order_by("staff__name", "pk")))


def scope_in_words(scope: Scope) -> str:
    """Say what a grant shows, until when, and whether it lets answer: "Incoming mail, until 31 December 2026"."""
    what = "Incoming mail" if scope.incoming_only else "Incoming and sent mail"
    whose = " in customers’ conversations" if scope.customers_only else ""
    until = f", until {_day(scope.ends_at)}" if scope.ends_at else ""
    return f"{what}{whose}{', may answer' if scope.may_reply else ''}{until}"


def _seer(grant: Reader, messages: Sequence[Message]) -> Seer:
    keys = set(grant.keys)  # type: ignore[attr-defined]
    sees = sum(message.wall_key in keys for message in messages)
    return Seer(grant, sees, len(messages), "" if sees else _reason(grant, bool(keys)))


def _reason(grant: Reader, sees_others: bool) -> str:
    """Why a reader sees none of the messages. `sees_others`: they see other mail of the mailbox."""
    if not grant.staff.is_active:
        return "can no longer sign in"
    if grant.ends_at and grant.ends_at <= timezone.now():
        return f"access ended on {_day(grant.ends_at)}"
    if not sees_others:
        return "waits until a mailbox of their own is set up"
    only = ["incoming mail"] if grant.incoming_only else []
    only += ["customers’ conversations"] if grant.customers_only else []
    return f"reads {' in '.join(only)} only" if only else "not this message"


def _shared(grant: Reader | None) -> str:
    if grant is None:
        return "Shared with you"
    until = f" until {timezone.localtime(grant.ends_at):%-d %b %Y}" if grant.ends_at else ""
    return f"{grant.mailbox.owner.name.split()[0]}’s mailbox, shared with you{until}"


def _day(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %B %Y}"
