"""A line of the reader log: somebody other than the owner opened a message."""

from django.db import models

from postern.mailboxes.models import Mailbox


class Opening(models.Model):
    """Who opened what, when, through which grant. Written once, never changed; only the mailbox's owner reads it.

    What the line tells of the message, the reader and the grant is copied, and no key binds it: it stays when
    the message is deleted, the grant taken back, the reader disabled.
    """

    class What(models.TextChoices):
        BODY = "body", "Message"
        CONVERSATION = "conversation", "Conversation"
        FILE = "file", "Attachment"
        SOURCE = "source", "Source"
        REPLY = "reply", "Quoted in an answer"

    class Door(models.TextChoices):
        PAGE = "page", "Page"
        API = "api", "API"

    at = models.DateTimeField()
    mailbox = models.ForeignKey(
        Mailbox, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    message_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    reader_id = models.BigIntegerField()
    reader_name = models.CharField(max_length=200)
    what = models.CharField(max_length=12, choices=What)
    part = models.PositiveIntegerField(null=True, help_text="The attachment's number in the letter.")
    part_name = models.TextField(blank=True)
    door = models.CharField(max_length=4, choices=Door)
    subject = models.TextField(blank=True)
    author = models.TextField(blank=True)
    outgoing = models.BooleanField()
    received_at = models.DateTimeField()
    customers = models.JSONField(
        default=list, help_text="Ids of whom the message was filed under at that moment."
    )
    by_share = models.BooleanField(
        default=False, help_text="Through a conversation shared by name: the grant is that share."
    )
    grant_id = models.BigIntegerField(null=True)
    granted_at = models.DateTimeField(null=True)
    incoming_only = models.BooleanField(default=False)
    customers_only = models.BooleanField(default=False)
    may_reply = models.BooleanField(default=False)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index("mailbox", models.F("id").desc(), name="opening_newest"),
        ]
