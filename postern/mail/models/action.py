"""A step a person took that can be undone."""

from django.conf import settings
from django.db import models


class Action(models.Model):
    """What was done, with what it takes to undo it. Only the person who did it sees the row."""

    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=20)
    label = models.CharField(max_length=300, help_text="What the toast says.")
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True)
