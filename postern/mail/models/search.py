"""What search looks through: one narrow row a message, written with it."""

from django.db import models
from django.db.models import F

from postern.mail.models.fields import SearchVector
from postern.mail.models.message import Message


class MessageSearch(models.Model):
    """The words of a message. Reached only through `app.search`, which narrows to what its caller may read.

    `wall_key` and `received_at` are the message's; a trigger of the wall keeps them so.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="+")
    wall_key = models.BigIntegerField()
    received_at = models.DateTimeField()
    tsv = SearchVector()

    class Meta:
        indexes = [
            models.Index(F("received_at").desc(), name="search_received"),
            models.Index(F("wall_key"), F("received_at").desc(), name="search_wall"),
        ]
