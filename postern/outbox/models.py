"""A letter on its way out, from draft to its fate."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from postern.mail.access import answerable_keys
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.people.models import Customer, Staff


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """A letter is its author's; one that a reader writes in the owner's name is the owner's too once sent off.

    No join to the mailbox: an author who may no longer answer does not see it.
    """

    def of(self, staff: Staff) -> DeliveryQuerySet:
        """Narrow to what the person may know of; of letters in another's name postern.outbox.behalf says what."""
        state = Delivery.State
        unsent = Q(author=staff, state__in=(state.DRAFT, state.QUEUED, state.FAILED, state.HELD))
        return self.filter(self._current(staff) | unsent)

    def current(self, staff: Staff) -> DeliveryQuerySet:
        """The same without letters in the name of somebody for whom this person may no longer answer."""
        return self.filter(self._current(staff))

    def written_by(self, staff: Staff) -> DeliveryQuerySet:
        """Narrow to what the person wrote, in whosever name."""
        return self.filter(author=staff)

    def _current(self, staff: Staff) -> Q:
        own = Q(mailbox__in=Mailbox.objects.filter(owner=staff).values("pk"))
        sent_off = ~Q(state=Delivery.State.DRAFT)
        answers = Q(answers__wall_key__in=answerable_keys(staff), answers__deleted_at=None, forward=False)
        answers &= Q(answers__mailbox=F("mailbox"))
        return own & (Q(author=staff) | sent_off) | Q(author=staff) & answers


class Delivery(models.Model):
    """One outgoing letter. Its bytes, Date and Message-ID are fixed before the first attempt."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        ACCEPTED = "accepted", "Accepted by server"
        FAILED = "failed", "Not sent"
        UNKNOWN = "unknown", "Unknown, please check"
        HELD = "held", "Held"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    customer = models.ForeignKey(Customer, on_delete=models.SET_NULL, null=True, related_name="+")
    to = models.JSONField(default=list, help_text="[[name, address], …]")
    cc = models.JSONField(default=list)
    bcc = models.JSONField(default=list)
    subject = models.CharField(max_length=900, blank=True)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    answers = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Replied to or forwarded."
    )
    forward = models.BooleanField(default=False)

    key = models.CharField(
        max_length=80, blank=True, help_text="Idempotency key of the request that sent it."
    )
    key_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of that request's content.")
    message_id = models.CharField(max_length=300, blank=True)
    date = models.DateTimeField(null=True)
    envelope_sender = models.CharField(max_length=320, blank=True)
    raw = models.BinaryField(null=True)

    send_at = models.DateTimeField(
        null=True, help_text="Not before: the end of the undo window, the next attempt."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    give_up_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=40, blank=True)
    problem = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    server_text = models.TextField(blank=True)
    refused = models.JSONField(
        default=list, help_text="[[address, code, text], …] of those refused for good."
    )
    deferred = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        help_text="The same of those refused for now: tried again while the letter is under way, then given up.",
    )
    accepted = models.JSONField(default=list, help_text="Recipients the server has taken the letter for.")
    accepted_at = models.DateTimeField(null=True)
    sent = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, related_name="+", help_text="The copy shown here."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["author", "key"], condition=~models.Q(key=""), name="delivery_once_a_key"
            )
        ]
        indexes = [models.Index(fields=["mailbox", "state", "-updated_at"], name="delivery_state")]

    @property
    def editable(self) -> bool:
        """True while the letter can still be changed: nobody has it."""
        return self.state in (self.State.DRAFT, self.State.FAILED, self.State.HELD)

    @property
    def under_way(self) -> bool:
        """True while it is not settled what becomes of the letter."""
        return self.state in (self.State.QUEUED, self.State.SENDING, self.State.UNKNOWN)

    @property
    def waits_for_some(self) -> bool:
        """True while some recipients have the letter and others are still tried, or unsure."""
        return bool(self.accepted) and self.under_way

    @property
    def said(self) -> str:
        """The server's words, unless they stand with a recipient."""
        own = {f"{code} {text}" for _, code, text in [*self.refused, *self.deferred]}
        return "" if self.server_text in own else self.server_text

    @property
    def next_attempt(self) -> datetime | None:
        """When a letter that did not go out at once is tried again."""
        return self.send_at if self.state == self.State.QUEUED and self.code not in ("", "stopped") else None

    @property
    def shown_state(self) -> str:
        """The state in words."""
        if self.waits_for_some:
            return "Sent to some, unknown for others" if self.state == self.State.UNKNOWN else "Sent to some"
        if self.state == self.State.ACCEPTED and (self.refused or self.deferred):
            return "Sent to some"
        return str(self.State(self.state).label)


class OutgoingFile(models.Model):
    """A file attached to a draft; inline in the text when it has a content id."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="files")
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=200)
    size = models.PositiveIntegerField()
    content_id = models.CharField(max_length=120, blank=True)
    data = models.BinaryField()

    class Meta:
        ordering = ["pk"]
