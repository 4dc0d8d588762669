"""The certificate log's row. A file of its own; models.py takes it in."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class TrustLine(models.Model):
    """Who stopped or resumed the checking of a server's certificate, trusted a changed one, or set what is allowed.

    Written in the transaction that does it, never changed or deleted. Without a mailbox it is about all of them.
    """

    class What(models.TextChoices):
        UNCHECKED = "unchecked", "Checking switched off"
        CHECKED = "checked", "Checking switched on"
        TRUSTED = "trusted", "Another certificate trusted"
        ALLOWED = "allowed", "Unchecked certificates allowed"
        FORBIDDEN = "forbidden", "Unchecked certificates no longer allowed"

    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    mailbox = models.ForeignKey("mailboxes.Mailbox", on_delete=models.PROTECT, null=True, related_name="+")
    what = models.CharField(max_length=12, choices=What)
    server = models.CharField(max_length=270, blank=True, help_text="Host and port at that moment.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="The certificate trusted.")
    former_sha256 = models.CharField(max_length=64, blank=True, help_text="The one remembered before.")

    class Meta:
        ordering = ["-pk"]
