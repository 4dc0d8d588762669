"""What became of a letter, written into its delivery. The caller holds the row and is at its mailbox."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from postern.mail import clock
from postern.mail.events import notify, tell
from postern.mail.intake import record_sent
from postern.mail.models import Bcc, Errand, Message
from postern.mime.addresses import normalise
from postern.outbox.compose import defer_send
from postern.outbox.letter import recipients
from postern.outbox.models import Delivery
from postern.people.models import Address
from postern.wire.errors import MailError
from postern.wire.smtp import RecipientsRefused, Refusal, SendResult, limits

log = logging.getLogger(__name__)
State = Delivery.State

PLEASE_CHECK = "Look into the sent folder or ask the recipient before you send it again; Postern does not do so by itself."
FATE = (
    "state",
    "send_at",
    "attempts",
    "give_up_at",
    "code",
    "problem",
    "advice",
    "server_text",
    "refused",
    "accepted",
    "accepted_at",
    "sent",
    "raw",
    "updated_at",
)
"""All that a worker may change of a letter (postern.mail.workwall)."""
# Seconds before the next attempt: greylisting opens after some minutes, an outage lasts hours.
_WAITS = (60, 120, 300, 600, 900, 1800)
_LOOK_FOR = timedelta(hours=24)
# RFC 5321 section 4.5.4.1 asks for four or five days. Only a letter that waits for a limit gets them.
_LIMITED_FOR = timedelta(days=4)


def wait_before(attempt: int) -> timedelta:
    """Return how long to wait after the failed attempt of this number (from 1): at most half an hour."""
    return timedelta(seconds=_WAITS[min(max(attempt, 1), len(_WAITS)) - 1])


def save(row: Delivery) -> None:
    """Save what became of the letter, and tell who is looking at it. What was written stays as it is."""
    row.save(update_fields=FATE)
    tell("delivery", mailbox=row.mailbox_id, id=row.pk)


def accepted(row: Delivery, result: SendResult) -> None:
    """The server has taken the letter, for some recipients at least: it is a sent message now."""
    # In whole seconds, as mail servers date: an automatic answer of the same second still stands below it.
    now = clock.now().replace(microsecond=0)
    row.state, row.accepted_at = State.ACCEPTED, now
    row.accepted, row.refused = list(result.accepted), _listed(result.refused)
    row.code = row.problem = row.advice = ""
    row.server_text = result.response
    if row.refused:
        row.code = "recipients_refused"
        row.problem = f"The server refused {', '.join(address for address, _, _ in row.refused)}."
        not_now = all(refusal.temporary for refusal in result.refused)
        what = "It says that this passes: send" if not_now else "Check the addresses and send"
        row.advice = f"Everybody else was accepted. {what} to these alone{' later' if not_now else ''}."
    row.sent = _recorded(row, now)
    if row.sent is not None:
        _file(row, row.sent, now)
        row.raw = None
        row.files.all().delete()
    save(row)
    if row.author_id != row.mailbox.owner_id:  # S-064: under both names, also in the log of the process
        log.info("delivery %s: written by staff %s for staff %s", row.pk, row.author_id, row.mailbox.owner_id)


def _recorded(row: Delivery, now: datetime) -> Message | None:
    """Our copy of the letter. If it cannot be made, the letter is sent nevertheless, and keeps its bytes."""
    try:
        with transaction.atomic():
            return record_sent(
                mailbox=row.mailbox,
                raw=bytes(row.raw or b""),
                sent_at=now,
                bcc=row.bcc,
                customer_id=_customer_of(row),
            )
    except (ValueError, TypeError, LookupError):
        log.exception("delivery %s was sent, but its copy could not be stored", row.pk)
        return None


def _customer_of(row: Delivery) -> int | None:
    """The customer the letter was written to, provided that it still goes to one of their addresses."""
    if row.customer_id is None:
        return None
    theirs = Address.objects.filter(customer=row.customer_id).values_list("email", flat=True)
    written_to = {normalise(address) for address in recipients(row)}
    return row.customer_id if written_to & set(theirs) else None


def _file(row: Delivery, message: Message, now: datetime) -> None:
    """Owe the server a copy in its sent folder, where there is one (row 30)."""
    mailbox = row.mailbox
    if mailbox.imap_ready and mailbox.sent_folder:
        Errand.objects.get_or_create(
            message=message, kind=Errand.Kind.APPEND, defaults={"mailbox": mailbox, "not_before": now}
        )
        notify("postern_errands", {"mailbox": mailbox.pk})


def refused(row: Delivery, error: MailError) -> None:
    """The letter did not go out, or nobody knows whether it did."""
    row.code, row.problem, row.advice = error.code, error.message, error.advice
    row.server_text = error.server_text
    if isinstance(error, RecipientsRefused):
        row.refused = _listed(error.refused)
    if error.code == "unknown_outcome":
        _unknown(row)
    elif error.temporary:
        _try_again(row, error)
    else:
        row.state = State.FAILED
        save(row)


def _listed(refusals: tuple[Refusal, ...]) -> list[list[object]]:
    return [[refusal.address, refusal.code, refusal.text] for refusal in refusals]


def _try_again(row: Delivery, error: MailError) -> None:
    now = clock.now()
    at = now + max(wait_before(row.attempts), timedelta(seconds=error.retry_after or 0))
    sent_off = row.date or row.created_at
    if error.code == limits.CODE:  # Waiting for it does not count against the letter's day.
        row.give_up_at = min((row.give_up_at or at) + (at - now), sent_off + _LIMITED_FOR)
        row.advice = f"Postern tries again by itself at {timezone.localtime(at):%H:%M}."
    if row.give_up_at is not None and at > row.give_up_at:
        row.state = State.FAILED
        days = max(1, round((now - sent_off) / timedelta(days=1)))
        tried = "a day" if days == 1 else f"{days} days"
        row.advice = (
            f"Postern tried for {tried} and gave up. Change the message or the settings, or send it again."
        )
    else:
        row.state, row.send_at = State.QUEUED, at
        defer_send(row, at)
    save(row)


def _unknown(row: Delivery) -> None:
    row.state = State.UNKNOWN
    row.advice = row.advice or PLEASE_CHECK
    save(row)
    defer_send(row, clock.now() + timedelta(minutes=1))


def interrupted(row: Delivery) -> None:
    """A worker died while it was sending this letter: found in the sent folder it was sent, else unknown (I3)."""
    if not _found(row):
        row.code = "unknown_outcome"
        row.problem = "Postern was interrupted while it handed the message to the server."
        row.advice, row.server_text = PLEASE_CHECK, ""
        _unknown(row)


def look_again(row: Delivery) -> None:
    """Look once more for a letter of unknown fate; ever more rarely, for a day."""
    if row.code == "confirmed":
        accepted(row, SendResult(tuple(recipients(row)), (), ""))
    elif not _found(row):
        age = clock.now() - (row.date or row.created_at)
        if age < _LOOK_FOR:
            defer_send(row, clock.now() + max(age, timedelta(minutes=1)))


def _found(row: Delivery) -> bool:
    """Whether the letter came back through the sent folder; then the server had taken it."""
    rows = Message.objects.filter(mailbox=row.mailbox_id, outgoing=True, message_id=row.message_id)
    message = rows.first() if row.message_id else None
    if message is None:
        return False
    if row.bcc:
        Bcc.objects.get_or_create(
            message=message, defaults={"mailbox_id": row.mailbox_id, "addresses": row.bcc}
        )
    row.state, row.sent, row.accepted = State.ACCEPTED, message, recipients(row)
    row.accepted_at, row.raw = message.received_at, None
    row.code = row.problem = row.advice = row.server_text = ""
    row.files.all().delete()
    save(row)
    return True


def held(row: Delivery, reason: str, code: str = "held", advice: str = "") -> None:
    """The letter waits for its author."""
    row.state, row.code, row.problem = State.HELD, code, reason
    row.advice = advice or "Open it and send it again when that is settled, or discard it."
    row.server_text = ""
    save(row)


def access_ended(row: Delivery) -> None:
    """Its author may no longer answer in the owner's name (S-062): it waits, and nothing they wrote is lost."""
    reason = "The right to answer in the owner’s name ended before the message was sent."
    advice = "With that right given again its author can send it; until then they keep their own words."
    held(row, reason, "access_ended", advice)


def waits_for_limit(row: Delivery, free_at: datetime) -> None:
    """The hour of the company's server is full; waiting for it does not count against the letter's day."""
    row.give_up_at = (row.give_up_at or free_at) + (free_at - clock.now())
    row.code, row.send_at, row.server_text = "hourly_limit", free_at, ""
    row.problem = "The hourly limit of the company’s server is reached."
    row.advice = f"It goes out by itself at {timezone.localtime(free_at):%H:%M}."
    defer_send(row, free_at)
    save(row)
