"""A conversation: messages of one mailbox joined by Message-ID and References. It holds no subject, count or date."""

from django.db import models

from postern.mail.models.fields import MailboxCopy
from postern.mailboxes.models import Mailbox


class Conversation(models.Model):
    """A thread in one mailbox. What it is called and how long it is comes from the messages a viewer may see."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+", db_index=False)


class Reference(models.Model):
    """A Message-ID known in a mailbox, own or merely referred to, and the conversation it belongs to."""

    mailbox = MailboxCopy()
    id_hash = models.BigIntegerField(help_text="First 8 bytes of SHA-256 of the Message-ID, signed.")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "id_hash"], name="reference_once_a_mailbox")
        ]
