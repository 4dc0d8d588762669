"""Where a letter lies on the server, and what became of each UID there: the mailbox ledger."""

from django.db import models

from postern.mail.models.fields import MailboxCopy
from postern.mail.models.message import Message
from postern.mailboxes.models import Folder


class Sighting(models.Model):
    """(folder, UIDVALIDITY, UID) and what was done with it: imported, denied, skipped, or quarantined."""

    class Outcome(models.TextChoices):
        IMPORTED = "imported", "Imported"
        DENIED = "denied", "Denied"
        SKIPPED = "skipped", "Skipped"
        QUARANTINED = "quarantined", "Quarantined"

    mailbox = MailboxCopy()
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="+", db_index=False)
    uidvalidity = models.BigIntegerField()
    uid = models.BigIntegerField()
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.IMPORTED)
    reason = models.CharField(max_length=400, blank=True, help_text="Why denied, skipped or quarantined.")
    message = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, related_name="sightings", db_index=False
    )
    flags = models.CharField(
        max_length=8, blank=True, db_default="", help_text="As last seen: S A F D T, see postern.mail.flags."
    )
    gone_at = models.DateTimeField(null=True, help_text="The server no longer lists this UID.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["folder", "uidvalidity", "uid"], name="sighting_once")]
        indexes = [
            models.Index(fields=["message"], name="sighting_message"),
            # Who empties their INBOX every day has a hundred lines of letters that left for each that is there.
            models.Index(
                fields=["folder", "uidvalidity", "uid"],
                condition=models.Q(gone_at=None),
                name="sighting_here",
            ),
        ]
