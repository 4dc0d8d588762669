"""Share one conversation with one colleague by name, take it back, and add a letter that stands aside of it.

Only the owner of the mailbox does. It shows exactly the letters of that conversation in that mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from postern.mail.conversations import lock, try_lock
from postern.mail.models import Aside, ConversationShare, Message
from postern.mailboxes.cleaning import SettingsError
from postern.people.models import Staff


@dataclass(frozen=True)
class StandsAside:
    """A letter answers a conversation that is shared, or was, with these colleagues (names), and is none of it.

    added: it is of it, because its owner added it.
    """

    conversation: int
    names: tuple[str, ...]
    added: bool = False


def own_conversation(staff: Staff, conversation: int) -> int:
    """Return the mailbox of a conversation of the person's own. Raises Message.DoesNotExist for any other."""
    rows = Message.objects.visible_to(staff).filter(conversation_id=conversation, mailbox__owner=staff)
    box = rows.values_list("mailbox_id", flat=True).first()
    if box is None:
        raise Message.DoesNotExist
    return box


def share(
    *,
    staff: Staff,
    conversation: int,
    colleague: Staff,
    ends_at: datetime | None = None,
    messages: int | None = None,
) -> ConversationShare:
    """Let a colleague read one of the person's own conversations, or change until when (an aware moment).

    `messages`: how many the person saw in it. A letter with forged references joins others to it until it is shared;
    with more by now it is not (S-133). Raises SettingsError with the fields `colleague`, `ends_at` and `messages`;
    Message.DoesNotExist for a conversation that is not theirs.
    """
    with transaction.atomic():
        box = own_conversation(staff, conversation)
        lock(box)  # what is being stored is in it, or comes when it is shared
        if colleague.pk == staff.pk:
            raise SettingsError({"colleague": ["The conversation is yours; you read it already."]})
        if not colleague.is_active:
            raise SettingsError({"colleague": [f"{colleague.name} can no longer sign in."]})
        if ends_at is not None and ends_at <= timezone.now():
            raise SettingsError({"ends_at": ["The end lies in the past: choose a later day."]})
        if messages is not None and messages < (now := seen_of(staff, conversation)):
            words = (
                f"It has {now} messages by now, {messages} when you looked. Look at it again, then share it."
            )
            raise SettingsError({"messages": [words]})
        row, _ = ConversationShare.objects.update_or_create(
            conversation_id=conversation,
            staff=colleague,
            defaults={"ends_at": ends_at},
            create_defaults={"ends_at": ends_at, "mailbox_id": box},
        )
    return row


def seen_of(staff: Staff, conversation: int) -> int:
    """Return how many messages of a conversation the person sees: what sharing it shows."""
    return Message.objects.visible_to(staff).filter(conversation_id=conversation).count()


def take_back(*, staff: Staff, conversation: int, colleague: int) -> ConversationShare:
    """End a share; from the next statement on it shows nothing. Raises ConversationShare.DoesNotExist.

    It never waits: while the mailbox is storing letters or is read anew the share is ended, and removed later.
    """
    with transaction.atomic():
        rows = ConversationShare.objects.filter(mailbox__owner=staff, conversation=conversation)
        row = rows.select_related("staff").get(staff=colleague)
        if try_lock(row.mailbox_id):
            ConversationShare.objects.filter(pk=row.pk).delete()
        else:
            ConversationShare.objects.filter(pk=row.pk).update(ends_at=timezone.now())
    return row


def shares_of(staff: Staff, conversations: Iterable[int]) -> QuerySet[ConversationShare]:
    """Return the shares in force of the person's own conversations among these, by name."""
    rows = ConversationShare.objects.filter(_in_force(), mailbox__owner=staff, conversation__in=conversations)
    return rows.select_related("staff").order_by("staff__name", "pk")


def stand_aside(staff: Staff, messages: Sequence[Message]) -> dict[int, StandsAside]:
    """Return which of these messages answer a shared conversation without being of it, or were added to it since.

    Told to the owner alone.
    """
    rows = Aside.objects.filter(mailbox__owner=staff, message__in=[message.pk for message in messages])
    apart = ~Q(conversation=F("message__conversation"))
    found = list(rows.filter(apart | Q(added_at__isnull=False)).order_by("pk"))
    names: dict[int, tuple[str, ...]] = {}
    for row in shares_of(staff, {one.conversation_id for one in found}) if found else ():
        names[row.conversation_id] = (*names.get(row.conversation_id, ()), row.staff.name)
    return {
        one.pk: StandsAside(one.conversation_id, names.get(one.conversation_id, ()), one.added_at is not None)
        for one in found
    }


def add_aside(*, staff: Staff, message: Message) -> int:
    """Add a letter that stands aside to the conversation it answers: whoever reads that reads it too.

    Returns the conversation. Raises Aside.DoesNotExist where the letter is not the person's, or stands nowhere aside.
    """
    return _moved("app.add_aside", staff, message, added=False)


def take_out(*, staff: Staff, message: Message) -> int:
    """Take a letter that was added out of the shared conversation again, and no other with it.

    Whoever reads that conversation by name no longer sees it with their next request. Returns the conversation it is
    in now. Raises Aside.DoesNotExist where the letter is not the person's, or was not added by them.
    """
    return _moved("app.take_out", staff, message, added=True)


def _moved(function: str, staff: Staff, message: Message, *, added: bool) -> int:
    found = stand_aside(staff, [message]).get(message.pk)
    if found is None or found.added is not added:
        raise Aside.DoesNotExist
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [message.pk])
        (conversation,) = cursor.fetchone()
    if conversation is None:  # somebody else did it since
        raise Aside.DoesNotExist
    return int(conversation)


def _in_force() -> Q:
    return Q(ends_at=None) | Q(ends_at__gt=timezone.now())
