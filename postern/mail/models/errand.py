"""A wish that only the server can fulfil, worked off by the next visit of its mailbox."""

from django.db import models

from postern.mail.models.fields import MailboxCopy
from postern.mail.models.message import Message


class Errand(models.Model):
    """Mark seen, append to the sent folder, move to Trash, or bring in a whole letter. Done rows are deleted; failed ones keep the reason."""

    class Kind(models.TextChoices):
        SEEN = "seen", "Mark as read"
        APPEND = "append", "Append to the sent folder"
        TRASH = "trash", "Move to Trash"
        FETCH = "fetch", "Bring in the whole message"

    mailbox = MailboxCopy()
    kind = models.CharField(max_length=8, choices=Kind)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)
    not_before = models.DateTimeField(auto_now_add=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True, help_text="Given up; shown to the owner.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "kind"], name="errand_once_a_kind")]
        indexes = [models.Index(fields=["mailbox", "not_before"], name="errand_due")]
