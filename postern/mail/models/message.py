"""A letter in one mailbox: its identity, its content, whose it is. Where it lies is a Sighting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When

from postern.mail import letterstore
from postern.mail.models.conversation import Conversation
from postern.mail.models.fields import MailboxCopy, PackedText
from postern.mail.packing import unpack
from postern.mailboxes.models import Mailbox
from postern.people.models import Customer

if TYPE_CHECKING:
    from postern.people.models import Staff


class MessageQuerySet(models.QuerySet["Message"]):
    """Every list of messages starts at `visible_to`."""

    def visible_to(self, staff: Staff, *, outgoing: bool | None = None) -> MessageQuerySet:
        """Narrow to what `staff` may read and has not deleted here; `outgoing` narrows it to one direction.

        The classes of mail a person may read come from postern.mail.access.visible_keys, the same
        answer that the row policies use; a deleted message is hidden from its readers too.
        """
        from postern.mail.access import visible_keys

        return self.filter(wall_key__in=visible_keys(staff, outgoing=outgoing), deleted_at=None)

    def owned_by(self, staff: Staff) -> MessageQuerySet:
        """Narrow to the person's own mailboxes, deleted messages included."""
        return self.filter(mailbox__owner=staff)

    def with_unread(self, staff: Staff) -> MessageQuerySet:
        """Annotate `unread`: the person has not opened it. Read state is each person's own."""
        reads = MessageRead.objects.filter(message=models.OuterRef("pk"), staff=staff)
        return self.annotate(unread=~models.Exists(reads))

    def unread_by(self, staff: Staff) -> MessageQuerySet:
        """Narrow to messages that the person has not opened."""
        return self.filter(
            ~models.Exists(MessageRead.objects.filter(message=models.OuterRef("pk"), staff=staff))
        )


class Message(models.Model):
    """One letter in one mailbox. Identity: (mailbox, SHA-256 of the raw letter)."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    sha256 = models.BinaryField(max_length=32)
    outgoing = models.BooleanField(default=False)
    known = models.BooleanField(
        default=False, help_text="Filed under a customer or lead; else Author not found."
    )
    owner_party = models.BooleanField(
        default=False,
        help_text="Counts as a customer's for a narrowed grant: nobody widens their own access.",
    )
    shared = models.BooleanField(
        default=False, db_default=False, help_text="Its conversation is shared with a colleague by name."
    )
    message_id = models.CharField(max_length=998, blank=True)
    subject = models.TextField(blank=True)
    from_name = models.TextField(blank=True)
    from_address = models.CharField(max_length=320, blank=True, help_text="Normalised.")
    also_from = models.JSONField(
        default=list, help_text="Further authors and the Sender, normalised: a deny list looks at them too."
    )
    to = models.JSONField(default=list, help_text="[[name, address], …]")
    cc = models.JSONField(default=list)
    reply_to = models.JSONField(default=list)
    date = models.DateTimeField(null=True, help_text="The Date header, as claimed.")
    received_at = models.DateTimeField(
        help_text="INTERNALDATE, or the moment of sending: what lists sort by."
    )
    stored_at = models.DateTimeField(auto_now_add=True)
    size = models.PositiveIntegerField(default=0)
    preview = models.CharField(max_length=300, blank=True)
    has_attachments = models.BooleanField(default=False)
    automatic = models.CharField(max_length=60, blank=True, help_text="Why it is an automatic letter, or ''.")
    remote_images = models.PositiveIntegerField(default=0)
    defects = models.JSONField(default=list)
    quarantined = models.TextField(
        blank=True, help_text="Why it could not be read whole; the raw letter is kept."
    )
    withheld = models.TextField(
        blank=True, db_default="", help_text="Why only its header is here; `size` is the whole letter's."
    )
    emailid = models.CharField(
        max_length=255,
        blank=True,
        db_default="",
        help_text="The server's own name of the content, the same in each of its folders (Gmail's X-GM-MSGID), or ''.",
    )
    deleted_at = models.DateTimeField(
        null=True, help_text="Deleted here; remembered so that it never comes back."
    )
    gone_at = models.DateTimeField(null=True, help_text="No longer in the mailbox on the server.")
    wall_key = models.GeneratedField(
        expression=Case(When(shared=True, then=(F("conversation_id") + 1) * -4), default=F("mailbox_id") * 4)
        + Case(When(outgoing=True, then=Value(2)), default=Value(0))
        + Case(When(owner_party=True, then=Value(0)), default=Value(1)),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailbox", "sha256"], name="message_once_a_mailbox")]
        indexes = [
            # With what the sidebar counts beside it, so that counting reads no message.
            models.Index(
                "wall_key",
                F("received_at").desc(),
                F("id").desc(),
                name="message_wall",
                include=["known", "deleted_at"],
            ),
            models.Index("conversation", "received_at", name="message_conversation"),
            models.Index("mailbox", "message_id", name="message_message_id"),
            models.Index("mailbox", "from_address", name="message_from"),
            models.Index(
                fields=["mailbox", "stored_at"], condition=Q(withheld__gt=""), name="message_withheld"
            ),
            models.Index(fields=["mailbox", "emailid"], condition=Q(emailid__gt=""), name="message_emailid"),
        ]

    def __str__(self) -> str:
        return self.subject or "(no subject)"

    @property
    def who(self) -> str:
        """The author as a list shows it: the name, else the address."""
        return self.from_name or self.from_address or "(no sender)"


class Body(models.Model):
    """What is shown of a message: text, and HTML cleaned by the sanitiser of that version."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="body")
    mailbox = MailboxCopy()
    text = PackedText(default="")
    html = PackedText(default="")
    sanitizer_version = models.PositiveIntegerField(default=0)


class Raw(models.Model):
    """The raw letter, zstd-compressed. The truth that everything else can be made from.

    `data` holds it, or else `place` says where it lies outside the database.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="raw")
    mailbox = MailboxCopy()
    data = models.BinaryField(null=True)
    place = models.CharField(max_length=200, blank=True)

    def letter(self) -> bytes:
        """Return the raw letter, byte for byte. Raises LetterMissing or LetterStoreDown."""
        return unpack(letterstore.get(self.place) if self.place else bytes(self.data or b""))


class Bcc(models.Model):
    """Blind copies of a sent letter. The owner's alone, whoever may read the message."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="blind")
    mailbox = MailboxCopy()
    addresses = models.JSONField(default=list)


class Attachment(models.Model):
    """A part of a letter with a name or a content id, served from the raw letter by its place in it."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments", db_index=False)
    mailbox = MailboxCopy()
    index = models.PositiveIntegerField(help_text="The part's number in the letter, as mime.read counts.")
    name = models.TextField(blank=True)
    content_type = models.CharField(max_length=200)
    size = models.PositiveIntegerField(default=0, help_text="Decoded bytes.")
    content_id = models.CharField(max_length=500, blank=True)
    inline = models.BooleanField(default=False)

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["message", "index"], name="attachment_once")]


class Party(models.Model):
    """A customer or lead under whom a message is filed."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="parties", db_index=False)
    mailbox = MailboxCopy()
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+", db_index=False)
    by_hand = models.BooleanField(default=False, help_text="Filed by its owner, not by address.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "customer"], name="party_once_a_message")]
        indexes = [models.Index(fields=["customer", "mailbox"], name="party_customer")]


class MessageRead(models.Model):
    """This person has opened this message. Each person's own."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    mailbox = MailboxCopy()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["staff", "message"], name="read_once_a_person")]
