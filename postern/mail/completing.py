"""Mailboxes that store only customers' mail: a header becomes the whole letter, or is forgotten.

Of a letter from or to nobody we know only the header is stored (`withholding.STRANGER`). When somebody pairs
its sender, an errand brings the whole letter in; after the days that the owner chose, the header goes too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from postern.mail import rawstore
from postern.mail.access import at_mailbox
from postern.mail.events import tell
from postern.mail.filing import bring_in_whole
from postern.mail.models import Attachment, Body, Conversation, Message, MessageSearch, Raw, Sighting
from postern.mail.preparing import Arrival, prepare
from postern.mail.storing import DESCRIBED, describe, save_content
from postern.mail.withholding import STRANGER, header_of, header_only
from postern.mailboxes.models import Mailbox

FORGOTTEN = "Only its header was stored, and forgotten: nobody here knew who it was from or to."
_AT_ONCE = 500


def complete(message: Message, arrival: Arrival) -> None:
    """Let a message be the whole letter `arrival`, at its mailbox; where that cannot be read, say so instead."""
    if message.withheld != STRANGER:
        return
    one = prepare(arrival, outgoing=message.outgoing)
    if one.broken:
        header = replace(arrival, raw=header_of(arrival.raw))
        one = header_only(
            header,
            size=len(arrival.raw),
            reason=f"The rest cannot be read: {one.broken}",
            outgoing=message.outgoing,
        )
    else:
        same = (
            Message.objects.filter(mailbox=message.mailbox_id, sha256=one.sha256)
            .exclude(pk=message.pk)
            .first()
        )
        if same is not None:  # it lay in the mailbox twice, and one of them came whole
            Sighting.objects.filter(message=message).update(message=same)
            message.delete()
            return
    describe(message, one)
    message.sha256, message.size, message.withheld = one.sha256, one.size, one.withheld
    message.save(update_fields=["sha256", "size", "withheld", *DESCRIBED])
    for model in (Raw, Body, Attachment, MessageSearch):
        model._default_manager.filter(message=message).delete()
    rawstore.put_many(message.mailbox_id, [(message.pk, one.sha256, one.raw)])
    save_content(message.mailbox, [(message.pk, one)])
    tell("message", mailbox=message.mailbox_id, id=message.pk)


def forget_strangers() -> int:
    """Forget headers that waited as long as their owner chose; returns how many.

    Where the owner stores everybody's mail again, the whole letters are asked for instead.
    """
    forgotten = 0
    for mailbox in Mailbox.objects.order_by("pk"):
        with at_mailbox(mailbox.pk):
            waiting = Message.objects.filter(mailbox=mailbox, withheld=STRANGER, known=False).order_by("pk")
            if mailbox.only_customers:
                before = datetime.now(UTC) - timedelta(days=mailbox.stranger_days)
                forgotten += _forget(list(waiting.filter(stored_at__lt=before)))
            else:
                for message in waiting[:_AT_ONCE]:
                    bring_in_whole(message)
    return forgotten


def _forget(messages: list[Message]) -> int:
    ids = [message.pk for message in messages]
    Sighting.objects.filter(message__in=ids).update(
        outcome=Sighting.Outcome.SKIPPED, reason=FORGOTTEN, message=None
    )
    places = {message.conversation_id for message in messages}
    Message.objects.filter(pk__in=ids).delete()
    Conversation.objects.filter(pk__in=places, messages=None).delete()
    for message in messages:
        tell("message", mailbox=message.mailbox_id, id=message.pk)
    return len(ids)
