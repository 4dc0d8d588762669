"""One conversation shared with one colleague, and letters that stand aside because of it."""

from django.conf import settings
from django.db import models

from postern.mail.models.conversation import Conversation
from postern.mail.models.fields import MailboxCopy
from postern.mail.models.message import Message
from postern.mailboxes.models import Mailbox


class ConversationShare(models.Model):
    """The owner of a mailbox lets one colleague read one of its conversations, and nothing else of it.

    A trigger of the wall keeps `Message.shared` true as long as a conversation has such a row.
    """

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="shares", db_index=False
    )
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    ends_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "staff"], name="share_once_a_colleague")
        ]


class Aside(models.Model):
    """A letter that answers a shared conversation and is none of it until the owner adds it (rule S-133).

    `conversation` is the shared one. Once it is added, `stood_in` and `moved` say what taking it out again puts back;
    only where `moves_to` points may it move, and that is so within the statement that moves it. Only the owner of the
    mailbox ever learns of it.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="aside")
    mailbox = MailboxCopy()
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+")
    added_at = models.DateTimeField(null=True)
    stood_in = models.ForeignKey(Conversation, on_delete=models.SET_NULL, null=True, related_name="+")
    moved = models.JSONField(null=True, help_text="The keys of the ids that came along (mail_reference).")
    moves_to = models.BigIntegerField(null=True)
