"""What became of a letter, written into its delivery. The caller holds the row and is at its mailbox."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from postern.mail import clock
from postern.mail.events import notify, tell
from postern.mail.intake import record_sent
from postern.mail.models import Bcc, Errand, Message
from postern.mime.addresses import normalise
from postern.outbox.compose import defer_send
from postern.outbox.letter import remaining, unsure
from postern.outbox.models import Delivery
from postern.people.models import Address
from postern.wire.errors import MailError
from postern.wire.smtp import RecipientsRefused, Refusal, SendResult, SomeRefused, limits

log = logging.getLogger(__name__)
State = Delivery.State

PLEASE_CHECK = "Look into the sent folder or ask the recipient before you send it again; Postern does not do so by itself."
_CHECK = "Everybody else was accepted. Check the addresses and send to these alone."
_SEND_TO_THESE = "Everybody else was accepted. Send to these alone."
_TO_THE_REST = "Postern tries again by itself; who has it does not get it twice."
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
    "deferred",
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
    """The server has taken the letter, for some recipients at least: it is a sent message now (R-046).

    Those it refused for now are tried again, alone; the message and its copy are made of the first acceptance.
    """
    if row.accepted_at is None:
        # In whole seconds, as mail servers date: an automatic answer of the same second still stands below it.
        row.accepted_at = clock.now().replace(microsecond=0)
        row.sent = _recorded(row, row.accepted_at)
        if row.sent is not None:
            _file(row, row.sent, row.accepted_at)
            row.files.all().delete()
        if row.author_id != row.mailbox.owner_id:  # S-064: under both names, also in the log of the process
            log.info(
                "delivery %s: written by staff %s for staff %s", row.pk, row.author_id, row.mailbox.owner_id
            )
    row.accepted = [*row.accepted, *result.accepted]
    _keep_refusals(row, result.refused)
    row.server_text = result.response
    if result.put_off is not None:
        _try_again(row, result.put_off)
    else:
        _end(row)


def _keep_refusals(row: Delivery, refusals: tuple[Refusal, ...]) -> None:
    """Note who was refused at this attempt: for good, which stays so, or for now."""
    row.refused = [*row.refused, *_listed(refusals, temporary=False)]
    row.deferred = _listed(refusals, temporary=True)


def _listed(refusals: tuple[Refusal, ...], *, temporary: bool) -> list[list[object]]:
    return [[one.address, one.code, one.text] for one in refusals if one.temporary is temporary]


def _named(entries: Iterable[Sequence[object]]) -> str:
    return ", ".join(str(address) for address, *_ in entries)


def _end(row: Delivery) -> None:
    """The server has said the last word on every recipient."""
    if row.refused:
        _end_with(row, "recipients_refused", _refusals(row).strip(), _CHECK)
    else:
        _end_with(row, "", "", "")


def _end_with(row: Delivery, code: str, problem: str, advice: str) -> None:
    """Nothing more is done for this letter, which some have; whom it did not reach stands in `refused` and `deferred`."""
    row.state, row.code, row.problem, row.advice = State.ACCEPTED, code, problem, advice
    if row.sent_id is not None:
        row.raw = None
    save(row)


def _end_early(row: Delivery, code: str, why: str) -> None:
    """The same, while some were still to be tried."""
    said = {address: words for address, *words in row.deferred}
    row.deferred = [[address, *said.get(address, (0, ""))] for address in remaining(row)]
    problem = f"{_refusals(row)}{why} It was not sent to {_named(row.deferred)}."
    _end_with(row, code, problem, _SEND_TO_THESE)


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
    """The customer under whom the letter is filed by hand: its author began it there, and still writes to them.

    Not one who gets it blind: readers would find out (S-136). Nor where it answers, and quotes, a letter that does not
    count as a customer's (S-132): such an answer is filed by its addresses alone, and whoever put those there.
    """
    if row.customer_id is None or not _stands_for_itself(row):
        return None
    theirs = Address.objects.filter(customer=row.customer_id).values_list("email", flat=True)
    written_to = {normalise(address) for _, address in (*row.to, *row.cc)}
    return row.customer_id if written_to & set(theirs) else None


def _stands_for_itself(row: Delivery) -> bool:
    """True unless it answers a letter that does not count as a customer's, or one in another mailbox of the owner's."""
    return row.answers_id is None or Message.objects.filter(pk=row.answers_id, owner_party=True).exists()


def _file(row: Delivery, message: Message, now: datetime) -> None:
    """Owe the server a copy in its sent folder, where there is one (row 30)."""
    mailbox = row.mailbox
    if mailbox.imap_ready and mailbox.sent_folder:
        Errand.objects.get_or_create(
            message=message, kind=Errand.Kind.APPEND, defaults={"mailbox": mailbox, "not_before": now}
        )
        notify("postern_errands", {"mailbox": mailbox.pk})


def refused(row: Delivery, error: MailError) -> None:
    """The letter did not go out to those it was offered to, or nobody knows whether it did."""
    row.server_text = error.server_text
    if isinstance(error, RecipientsRefused | SomeRefused):
        _keep_refusals(row, error.refused)
    elif error.code == "unknown_outcome":
        row.deferred = []
    if error.code == "unknown_outcome":
        _unknown(row, error.message, error.advice)
    elif error.temporary:
        _try_again(row, error)
    elif row.accepted and remaining(row):
        _end_early(row, error.code, error.message)
    elif row.accepted:
        _end(row)
    else:
        _tell(row, error)
        row.state = State.FAILED
        save(row)


def _tell(row: Delivery, error: MailError) -> None:
    """Say what stands in the way; of a letter that some have, for whom."""
    row.code, row.problem, row.advice = error.code, error.message, error.advice
    row.server_text = error.server_text
    if row.accepted:
        waiting = _named([one] for one in remaining(row))
        row.problem = f"{_refusals(row)}{error.message} It still waits for {waiting}."
        if error.code == "recipients_refused":
            row.problem = f"{_refusals(row)}The server does not take the message for {waiting} yet."
        row.advice = _TO_THE_REST
    elif error.code == limits.CODE:
        row.advice = "Nothing needs to be done; Postern tries again by itself."


def _refusals(row: Delivery) -> str:
    return f"The server refused {_named(row.refused)}. " if row.refused else ""


def _try_again(row: Delivery, error: MailError) -> None:
    now = clock.now()
    at = now + max(wait_before(row.attempts), timedelta(seconds=error.retry_after or 0))
    sent_off = row.date or row.created_at
    if error.code == limits.CODE:  # Waiting for it does not count against the letter's day.
        row.give_up_at = min((row.give_up_at or at) + (at - now), sent_off + _LIMITED_FOR)
    _tell(row, error)
    if row.give_up_at is None or at <= row.give_up_at:
        row.state, row.send_at = State.QUEUED, at
        defer_send(row, at)
        save(row)
    else:
        _give_up(row, now - sent_off)


def _give_up(row: Delivery, age: timedelta) -> None:
    days = max(1, round(age / timedelta(days=1)))
    tried = f"Postern tried for {'a day' if days == 1 else f'{days} days'} and gave up."
    if row.accepted:
        return _end_early(row, row.code, tried)
    row.state = State.FAILED
    row.advice = f"{tried} Change the message or the settings, or send it again."
    save(row)


def _unknown(row: Delivery, why: str, advice: str = "") -> None:
    row.state, row.code, row.problem = State.UNKNOWN, "unknown_outcome", why
    row.advice = advice or PLEASE_CHECK
    if row.accepted:  # The copy in the sent folder is of the attempt that others took: it proves nothing.
        row.problem = f"{why} Nobody knows whether {_named([one] for one in unsure(row))} got it."
        row.advice = "Ask them, then say what you know; Postern does not send it to them again by itself."
    save(row)
    if not row.accepted:
        defer_send(row, clock.now() + timedelta(minutes=1))


def interrupted(row: Delivery) -> None:
    """A worker died while it was sending this letter: found in the sent folder it was sent, else unknown (I3)."""
    row.deferred = []  # What the server said to the dead one about each recipient is lost with it.
    if not _found(row):
        row.server_text = ""
        _unknown(row, "Postern was interrupted while it handed the message to the server.")


def look_again(row: Delivery) -> None:
    """Look once more for a letter of unknown fate; ever more rarely, for a day."""
    if row.code == "confirmed":
        accepted(row, _arrived(row))
    elif row.code == "not_arrived":
        row.state, row.send_at = State.QUEUED, clock.now()
        row.code = row.problem = row.advice = row.server_text = ""
        defer_send(row, None, beside=True)
        save(row)
    elif not row.accepted and not _found(row):
        age = clock.now() - (row.date or row.created_at)
        if age < _LOOK_FOR:
            defer_send(row, clock.now() + max(age, timedelta(minutes=1)))


def _arrived(row: Delivery) -> SendResult:
    """What the server must have said when a letter of unknown fate did arrive."""
    waiting = tuple(Refusal(address, code, text, True) for address, code, text in row.deferred)
    return SendResult(tuple(unsure(row)), waiting, "")


def _found(row: Delivery) -> bool:
    """Whether a letter that nobody had came back through the sent folder; then the server had taken it."""
    rows = Message.objects.filter(mailbox=row.mailbox_id, outgoing=True, message_id=row.message_id)
    message = rows.first() if row.message_id and not row.accepted else None
    if message is None:
        return False
    if row.bcc:
        Bcc.objects.get_or_create(
            message=message, defaults={"mailbox_id": row.mailbox_id, "addresses": row.bcc}
        )
    row.sent, row.accepted_at = message, message.received_at
    row.files.all().delete()
    accepted(row, _arrived(row))
    return True


def held(row: Delivery, reason: str, code: str = "held", advice: str = "") -> None:
    """The letter waits for its author. One that some have does not: to send it again would be to send it to all."""
    row.server_text = ""
    if row.accepted:
        return _end_early(row, code, reason)
    row.state, row.code, row.problem = State.HELD, code, reason
    row.advice = advice or "Open it and send it again when that is settled, or discard it."
    save(row)


def stopped(row: Delivery) -> None:
    """Its author, or the owner of the mailbox, wants nothing more to be done for those who do not have it."""
    row.server_text = ""
    _end_early(row, "stopped", "It was stopped.")


def access_ended(row: Delivery) -> None:
    """Its author may no longer answer in the owner's name (S-062): it waits, and nothing they wrote is lost."""
    reason = "The right to answer in the owner’s name ended before the message was sent."
    if row.accepted:
        reason = "The right to answer in the owner’s name ended."
    advice = "With that right given again its author can send it; until then they keep their own words."
    held(row, reason, "access_ended", advice)


def waits_for_limit(row: Delivery, free_at: datetime) -> None:
    """The hour of the company's server is full; waiting for it does not count against the letter's day."""
    row.give_up_at = (row.give_up_at or free_at) + (free_at - clock.now())
    row.send_at, row.server_text = free_at, ""
    full = "The hourly limit of the company’s server is reached."
    _tell(row, MailError("hourly_limit", full, "It goes out by itself.", temporary=True))
    defer_send(row, free_at)
    save(row)
