"""The daily digest of the reader log, as the owner of a mailbox chose it."""

from django.db import models

from postern.mailboxes.models import Mailbox


class Digest(models.Model):
    """Once a day an e-mail to the mailbox tells its owner who else opened what; off unless chosen."""

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="+")
    wanted = models.BooleanField("Daily digest", default=False)
    zone = models.CharField(
        max_length=64, blank=True, help_text="The owner's time zone (IANA); empty: the installation's."
    )
    mark = models.CharField(
        max_length=32, help_text="By this each digest is known again when it is read from the mailbox."
    )
    upto = models.BigIntegerField(default=0, help_text="The last line of the reader log that was told.")
    day = models.DateField(null=True, help_text="The owner's day on which it last went out, or had no news.")
