"""Write a letter: start, save, attach, send, take back. Every function works on the author's own drafts.

A reader with that grant answers in the owner's name: the draft lies in the owner's mailbox, is its author's,
and can be changed and sent only while the grant lasts (ComposeError `access_ended`).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from postern.mail import clock
from postern.mail.events import tell
from postern.mailboxes.models import Mailbox
from postern.outbox import behalf
from postern.outbox.begin import clean, forward, new, reply
from postern.outbox.letter import (
    MOST_BYTES,
    ComposeError,
    build,
    check_ready,
    check_subject,
    check_way_out,
    digest,
    people,
    too_large,
)
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Staff

__all__ = [
    "ComposeError",
    "attach",
    "detach",
    "discard",
    "forward",
    "new",
    "reply",
    "save",
    "send",
    "settle",
    "undo_send",
]

GIVE_UP_AFTER = timedelta(hours=24)
UNDO_SECONDS = 10
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp")
State = Delivery.State


def save(
    *,
    delivery: Delivery,
    to: str | Sequence[Any],
    cc: str | Sequence[Any] = (),
    bcc: str | Sequence[Any] = (),
    subject: str = "",
    html: str | None = None,
    text: str | None = None,
    mailbox: Mailbox | None = None,
) -> Delivery:
    """Save what was written, whole or not at all; addresses need not be right before it is sent.

    With `html` the text is made from it. `mailbox` changes from whom it goes; an answer in another's name
    stays where it is. Raises ComposeError.
    """
    fields = {"to": people(to, "to"), "cc": people(cc, "cc"), "bcc": people(bcc, "bcc")}
    subject = check_subject(subject)
    html, text = clean(html, text)
    with transaction.atomic():
        row = _editable(delivery)
        row.to, row.cc, row.bcc = fields["to"], fields["cc"], fields["bcc"]
        row.subject, row.html, row.text = subject, html, text
        moved = mailbox is not None and mailbox.pk != row.mailbox_id
        if mailbox is not None and moved:
            row.mailbox = _other_mailbox(row, mailbox)
        row.save()
        if moved:
            row.files.update(mailbox=row.mailbox)
    return row


def attach(
    *, delivery: Delivery, name: str, content_type: str, data: bytes, inline: bool = False
) -> OutgoingFile:
    """Attach a file; inline gives it a content id for `<img src="cid:…">`. Raises ComposeError."""
    if _CONTROL.search(name) or _CONTROL.search(content_type):
        raise ComposeError({"files": "The file’s name or type contains a control character."})
    if inline and content_type.partition(";")[0].strip().lower() not in _INLINE:
        raise ComposeError({"files": f"“{name}” is not a picture that can stand in the text."})
    with transaction.atomic():
        row = _editable(delivery)
        sizes = row.files.values_list("size", flat=True)
        total = (sum(sizes) + len(data)) * 4 // 3  # as it will be sent, in base64
        if total > MOST_BYTES:
            raise ComposeError({"files": too_large(total)}, "too_large")
        return OutgoingFile.objects.create(
            delivery=row,
            mailbox_id=row.mailbox_id,
            name=name.strip()[:255] or "attachment",
            content_type=content_type.strip()[:200] or "application/octet-stream",
            size=len(data),
            content_id=secrets.token_hex(16) if inline else "",
            data=data,
        )


def detach(*, delivery: Delivery, file_id: int) -> None:
    """Take a file off a draft. Raises ComposeError, OutgoingFile.DoesNotExist."""
    with transaction.atomic():
        _editable(delivery).files.get(pk=file_id).delete()


def send(*, delivery: Delivery, key: str = "", undo_seconds: int = UNDO_SECONDS) -> Delivery:
    """Fix the letter's Message-ID, Date and bytes and hand it to the worker, `undo_seconds` from now.

    `key` makes it safe to ask twice: the same author, key and content give the first delivery again (the
    draft asked about is then dropped, if it is another one), other content is refused. Raises ComposeError;
    the draft stays as it was.
    """
    with transaction.atomic():
        if key:
            _one_at_a_time(f"send {delivery.author_id} {key}")
        row = _locked(delivery)
        told = digest(row)
        if first := _asked_before(row, key, told):
            return first
        _require_editable(row)
        _check_way_out(row)
        check_ready(row)
        now = clock.now()
        letter = build(row, date=now)
        row.state, row.date = State.QUEUED, now
        row.message_id, row.envelope_sender, row.raw = letter.message_id, letter.envelope_sender, letter.raw
        row.key, row.key_digest = key[:80], told if key else ""
        row.send_at = now + timedelta(seconds=max(0, undo_seconds))
        row.give_up_at = row.send_at + GIVE_UP_AFTER
        row.attempts, row.refused, row.deferred, row.accepted = 0, [], [], []
        row.code = row.problem = row.advice = row.server_text = ""
        row.save()
        defer_send(row, row.send_at if undo_seconds > 0 else None)
        tell("delivery", mailbox=row.mailbox_id, id=row.pk)
    return row


def undo_send(*, delivery: Delivery, staff: Staff | None = None) -> Delivery:
    """Take a letter back while no attempt to send it is under way: it is a draft again. Raises ComposeError.

    One that some have got stays as it was sent: those who wait for it are not tried again, which the worker writes
    down. `staff` is who asks, None its author. The owner of the mailbox stops what a reader wrote in their name; it
    waits for its author then.
    """
    with transaction.atomic():
        row = _locked(delivery)
        if row.state != State.QUEUED:
            raise ComposeError({"state": "It is too late: the message is on its way."}, "too_late")
        if row.accepted:
            row.problem, row.advice = "It is not tried again for those who do not have it yet.", ""
            _leave_word(row, "stopped")
        else:
            _back_to_author(row, staff)
    return row


def settle(*, delivery: Delivery, arrived: bool, staff: Staff | None = None) -> Delivery:
    """The author says what became of a letter whose fate is unknown; it is never sent again by itself (I3).

    Arrived: it counts as sent. Not arrived: it is a draft again; where others have it, it goes out once more to those
    who do not. `staff` is who asks, None its author; the owner of the mailbox may answer for a reader's letter.
    Raises ComposeError.
    """
    with transaction.atomic():
        row = _locked(delivery)
        if row.state != State.UNKNOWN:
            raise ComposeError({"state": "The fate of this message is known by now."}, "not_editable")
        if arrived or row.accepted:
            _leave_word(row, "confirmed" if arrived else "not_arrived")
        else:
            _back_to_author(row, staff)
    return row


def discard(*, delivery: Delivery) -> None:
    """Delete a draft, or a letter that was not sent; also when the right to send it has ended. Raises ComposeError."""
    with transaction.atomic():
        locked = Delivery.objects.select_for_update(of=("self",)).filter(pk=delivery.pk).first()
        # Whose right has ended cannot lock the row, and nobody sends it meanwhile.
        row = locked or Delivery.objects.get(pk=delivery.pk)
        _require_editable(row)
        row.delete()


def defer_send(delivery: Delivery, at: datetime | None, *, beside: bool = False) -> None:
    """Ask the worker to look at this delivery at `at` (None: now). One job of the same letter runs at a time.

    A job waits for those asked for before it, also where they are for later; `beside` does not.
    """
    args = {"mailbox_id": delivery.mailbox_id, "delivery_id": delivery.pk}
    lock = f"delivery {delivery.pk} {delivery.message_id[:16]}{' beside' if beside else ''}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.defer('send', %s::jsonb, %s, %s)", [json.dumps(args), lock, at])


def _locked(delivery: Delivery) -> Delivery:
    """The row, locked. Raises ComposeError where its author may no longer write it, else Delivery.DoesNotExist."""
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("mailbox__owner")
    row = rows.filter(pk=delivery.pk).first()
    if row is not None:
        return row
    Delivery.objects.get(pk=delivery.pk)  # not even seen: not there
    raise ComposeError({"state": behalf.ENDED}, "access_ended")


def _editable(delivery: Delivery) -> Delivery:
    row = _locked(delivery)
    _require_editable(row)
    if not behalf.still_granted(row):
        raise ComposeError({"state": behalf.ENDED}, "access_ended")
    return row


def _other_mailbox(row: Delivery, mailbox: Mailbox) -> Mailbox:
    """Where a draft moves to: another mailbox of the same owner. The owner's mail never moves to its reader's."""
    if behalf.is_answer_for_another(row):
        raise ComposeError({"mailbox": "An answer in another’s name goes out from their mailbox."})
    return Mailbox.objects.get(pk=mailbox.pk, owner=row.mailbox.owner_id)


def _check_way_out(row: Delivery) -> None:
    """Raise ComposeError unless the letter may go out; of another's mailbox it is not said what is amiss."""
    if not behalf.is_answer_for_another(row):
        return check_way_out(row.mailbox)
    if not behalf.still_granted(row):
        raise ComposeError({"state": behalf.ENDED}, "access_ended")
    behalf.check_recipients(row)
    try:
        check_way_out(row.mailbox)
    except ComposeError:
        owner = row.mailbox.owner.name
        words = (
            f"This mailbox cannot send at the moment, so the message stays a draft. {owner} can change that."
        )
        raise ComposeError({"mailbox": words}, "sending_disabled") from None


def _require_editable(row: Delivery) -> None:
    if not row.editable:
        raise ComposeError({"state": "The message was sent already and cannot be changed."}, "already_sent")


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _asked_before(row: Delivery, key: str, told: str) -> Delivery | None:
    """The delivery that this key sent before. Raises ComposeError when that was another letter."""
    if not key:
        return None
    first = Delivery.objects.filter(author=row.author_id, key=key[:80]).first()
    if first is None or (first.pk == row.pk and row.editable):
        return None
    if first.key_digest != told:
        raise ComposeError({"key": "This key was used for another message."}, "conflict")
    if first.pk != row.pk and row.editable:
        row.delete()
    return first


def _leave_word(row: Delivery, code: str) -> None:
    """Say what the worker is to do with a letter that went out: no page writes what became of it (rule S-064)."""
    row.code = code
    row.save()
    defer_send(row, None, beside=True)  # the next look or attempt may be hours away
    tell("delivery", mailbox=row.mailbox_id, id=row.pk)


def _back_to_author(row: Delivery, staff: Staff | None) -> None:
    """A draft again. One that the owner stopped waits as held: it is not theirs to write, and they still see it."""
    row.state, row.raw, row.message_id, row.key, row.key_digest = State.DRAFT, None, "", "", ""
    row.send_at = row.give_up_at = row.date = None
    row.code = row.problem = row.advice = row.server_text = ""
    if staff is not None and staff.pk != row.author_id:
        row.state, row.code = State.HELD, "stopped"
        row.problem = f"{staff.name}, in whose name it was written, took it back."
    else:
        row.refused, row.deferred = [], []
    row.save()
    tell("delivery", mailbox=row.mailbox_id, id=row.pk)
