"""One delivery, one step further: hand the letter to the server, and keep what became of it.

The state *sending* is committed before the first byte goes out, the result after the last. Whatever
happens in between, the letter is never sent a second time to anybody unless it is certain that they did not get it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection

from postern.mail import clock
from postern.mail.access import at_mailbox
from postern.mailboxes import connection as settings_of
from postern.mailboxes.models import Mailbox, MailboxHealth, SystemEmail
from postern.mailboxes.save import note_smtp_certificate
from postern.mailboxes.trust import tell_changed
from postern.outbox import fate
from postern.outbox.behalf import still_granted
from postern.outbox.compose import defer_send
from postern.outbox.letter import ComposeError, check_way_out, remaining
from postern.outbox.models import Delivery
from postern.wire import errors, smtp
from postern.wire.endpoint import Endpoint, Policy
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.tls import CertificateChanged

log = logging.getLogger(__name__)
State = Delivery.State

# Longer than a server may be silent: a letter "being sent" for longer was left behind by a dead worker.
LEFT_BEHIND_AFTER = timedelta(seconds=90)
_PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True)
class Attempt:
    """All that the conversation with the server needs, read before it begins."""

    mailbox_id: int
    delivery_id: int
    number: int
    endpoint: Endpoint
    policy: Policy
    login: Login | None
    auth: smtp.SmtpAuth
    sender: str
    recipients: list[str]
    raw: bytes = field(repr=False)


def deliver(*, mailbox_id: int, delivery_id: int) -> None:
    """Take the delivery one step further; safe to call at any time and any number of times."""
    attempt = _begin(mailbox_id, delivery_id)
    if attempt is not None:
        _keep(attempt, _hand_over(attempt))


def _begin(mailbox_id: int, delivery_id: int) -> Attempt | None:
    """Decide what is due; return an attempt when the letter is to be sent now, marked as being sent."""
    with at_mailbox(mailbox_id):
        row = _locked(delivery_id)
        if row is None:
            return None
        if row.state == State.UNKNOWN:
            fate.look_again(row)
        elif row.state == State.SENDING:
            _left_behind(row)
        elif row.state == State.QUEUED and row.code == "stopped":
            fate.stopped(row)
        elif row.state == State.QUEUED and _is_due(row):
            return _start(row)
    return None


def _locked(delivery_id: int) -> Delivery | None:
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("mailbox__owner", "author")
    # No worker reads whoever's password.
    return rows.defer("mailbox__owner__password", "author__password").filter(pk=delivery_id).first()


def _left_behind(row: Delivery) -> None:
    """A letter that is being sent already: by another worker, or by one that died over it."""
    since = clock.now() - row.updated_at
    if since < LEFT_BEHIND_AFTER:
        defer_send(row, clock.now() + LEFT_BEHIND_AFTER - since)
    else:
        fate.interrupted(row)


def _is_due(row: Delivery) -> bool:
    """True when nothing stands between the letter and its server; else the row says what does."""
    now = clock.now()
    if row.send_at is not None and row.send_at > now:
        defer_send(row, row.send_at)  # The undo window, or a clock behind the database's.
        return False
    if not still_granted(row):
        fate.access_ended(row)
        return False
    if reason := _reason_to_hold(row):
        fate.held(row, reason)
        return False
    if row.mailbox.use_system_smtp and (free_at := _take_a_place(now)):
        fate.waits_for_limit(row, free_at)
        return False
    return True


def _reason_to_hold(row: Delivery) -> str:
    """Why the letter must not go out as things are now, '' when it may (R-049)."""
    if not row.author.is_active or not row.mailbox.owner.is_active:
        return "Its author can no longer sign in."
    try:
        check_way_out(row.mailbox)
    except ComposeError as error:
        return str(error)
    if settings_of.sender(row.mailbox).envelope != row.envelope_sender:
        return "The sender’s address was changed after this message was written."
    return ""


def _take_a_place(now: datetime) -> datetime | None:
    """Count one letter through the company's server; return when the next is allowed if the hour is full."""
    system = SystemEmail.objects.select_for_update().filter(pk=1).first()
    if system is None or not system.hourly_limit:
        return None
    if system.hour_began_at is None or now - system.hour_began_at >= timedelta(hours=1):
        system.hour_began_at, system.sent_in_hour = now, 0
    if system.sent_in_hour >= system.hourly_limit:
        return system.hour_began_at + timedelta(hours=1)
    system.sent_in_hour += 1
    system.save(update_fields=["hour_began_at", "sent_in_hour"])
    return None


def _start(row: Delivery) -> Attempt | None:
    mailbox = row.mailbox
    try:
        login = settings_of.smtp_login(mailbox)
    except MailError as error:
        fate.refused(row, error)
        return None
    row.state, row.attempts = State.SENDING, row.attempts + 1
    fate.save(row)
    return Attempt(
        mailbox_id=mailbox.pk,
        delivery_id=row.pk,
        number=row.attempts,
        endpoint=settings_of.smtp_endpoint(mailbox),
        policy=settings_of.policy(),
        login=login,
        auth=settings_of.smtp_auth(mailbox),
        sender=row.envelope_sender,
        recipients=remaining(row),
        raw=bytes(row.raw or b""),
    )


def _hand_over(attempt: Attempt) -> smtp.SendResult | MailError:
    """Talk to the server. An error of our own is told apart from a refusal of the server's (R-045)."""
    done: set[str] = set()
    try:
        return asyncio.run(
            smtp.send(
                attempt.endpoint,
                attempt.policy,
                attempt.login,
                attempt.auth,
                sender=attempt.sender,
                recipients=attempt.recipients,
                raw=attempt.raw,
                on_step=lambda step: done.add(step.key) if step.ok else None,
            )
        )
    except MailError as error:
        return error
    except Exception as error:
        log.exception("delivery %s failed inside Postern", attempt.delivery_id)
        return _own_fault(error, letter_may_be_out="accept_sender" in done)


def _own_fault(error: Exception, *, letter_may_be_out: bool) -> MailError:
    what = type(error).__name__
    if letter_may_be_out:
        return MailError(
            "unknown_outcome",
            f"Postern itself failed while handing the message over ({what}).",
            fate.PLEASE_CHECK,
            temporary=False,
        )
    return MailError(
        "internal",
        f"Postern itself failed before the message was handed over ({what}).",
        "It is tried again; whoever runs Postern finds the cause in its log.",
        temporary=True,
    )


def _keep(attempt: Attempt, outcome: smtp.SendResult | MailError) -> None:
    """Write the outcome down; a database that is away for a moment must not lose it."""
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            return _write(attempt, outcome)
        except (OperationalError, InterfaceError):
            log.exception("the outcome of delivery %s could not be written", attempt.delivery_id)
            connection.close()
    raise OperationalError(f"the outcome of delivery {attempt.delivery_id} was not written")


def _write(attempt: Attempt, outcome: smtp.SendResult | MailError) -> None:
    with at_mailbox(attempt.mailbox_id):
        row = _locked(attempt.delivery_id)
        # Another number or state: this worker was given up for dead, and its author decided meanwhile.
        if row is None or row.attempts != attempt.number or row.state not in (State.SENDING, State.UNKNOWN):
            return
        if isinstance(outcome, smtp.SendResult):
            fate.accepted(row, outcome)
            _remember_server(attempt, outcome)
        else:
            fate.refused(row, _judged(attempt, outcome))
            if isinstance(outcome, CertificateChanged):
                _tell_certificate(row.mailbox, attempt.endpoint, outcome.sha256)


def _judged(attempt: Attempt, error: MailError) -> MailError:
    """What an error means for this letter: a name that was found before is not misspelt, the letter waits (R-031)."""
    host = attempt.endpoint.host
    known = MailboxHealth.objects.filter(mailbox=attempt.mailbox_id, smtp_known_host=host)
    return errors.host_vanished(host) if error.code == "host_not_found" and known.exists() else error


def _tell_certificate(mailbox: Mailbox, endpoint: Endpoint, sha256: str) -> None:
    """A changed certificate is for the owner to judge, who may not be the one who wrote the letter."""
    if note_smtp_certificate(mailbox, endpoint, sha256):
        tell_changed(mailbox_id=mailbox.pk, host=endpoint.host, sha256=sha256)


def _remember_server(attempt: Attempt, result: smtp.SendResult) -> None:
    """Remember that this server takes our letters, and pin the certificate seen at the first connection (row 12)."""
    endpoint = attempt.endpoint
    known = MailboxHealth.objects.filter(mailbox=attempt.mailbox_id).exclude(smtp_known_host=endpoint.host)
    known.update(smtp_known_host=endpoint.host)
    if endpoint.skip_validation and not endpoint.pinned_sha256 and result.certificate is not None:
        same = Mailbox.objects.filter(pk=attempt.mailbox_id, smtp_host=endpoint.host, smtp_port=endpoint.port)
        same.filter(smtp_skip_validation=True, smtp_pinned_sha256="").update(
            smtp_pinned_sha256=result.certificate.sha256
        )


def recover_interrupted() -> int:
    """Find letters that are queued or being sent and that no job takes care of; return how many got one.

    To be called when a worker starts, and now and then. Letters that a dead worker left in a job come
    back with that job.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (args->>'delivery_id')::bigint FROM procrastinate_jobs"
            " WHERE task_name = 'send' AND status IN ('todo', 'doing')"
        )
        cared_for = {row[0] for row in cursor.fetchall()}
    found = 0
    for mailbox_id in Mailbox.objects.values_list("pk", flat=True):
        with at_mailbox(mailbox_id):
            waiting = Delivery.objects.filter(state__in=(State.QUEUED, State.SENDING))
            for row in waiting.exclude(pk__in=cared_for):
                defer_send(row, row.send_at if row.state == State.QUEUED else None)
                found += 1
    return found
