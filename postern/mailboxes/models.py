"""A mailbox with its settings, its secrets, its readers, its deny list and its folders."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from postern.mailboxes.trustline import TrustLine as TrustLine


class Security(models.TextChoices):
    """How a connection is secured. STARTTLS chosen is mandatory, never opportunistic."""

    SSL = "ssl", "SSL/TLS"
    STARTTLS = "starttls", "STARTTLS"
    NONE = "none", "None"


class SmtpAuth(models.TextChoices):
    """SMTP authentication type."""

    AUTO = "auto", "Automatic"
    PLAIN = "plain", "PLAIN"
    LOGIN = "login", "LOGIN"
    CRAM_MD5 = "cram-md5", "CRAM-MD5"
    XOAUTH2 = "xoauth2", "XOAUTH2"
    NONE = "none", "None"


class ImapAuth(models.TextChoices):
    """What the secret under Credentials is."""

    PASSWORD = "password", "Password"
    TOKEN = "token", "OAuth token"


class Mailbox(models.Model):
    """One administrator's personal IMAP/SMTP account. Rows 1 to 18 of the table of behaviours."""

    class Process(models.TextChoices):
        ALL = "all", "All messages"
        UNREAD = "unread", "Unread messages"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="mailboxes")
    address = models.CharField(
        "email address", max_length=320, help_text="Your own address, as customers see it."
    )

    # Email tracking
    tracking = models.BooleanField(
        "Enable inbox processing",
        default=True,
        help_text="Off keeps what was imported and reads nothing new.",
    )
    process = models.CharField(
        "Which messages to process",
        max_length=8,
        choices=Process,
        default=Process.ALL,
        help_text="Unread: a message you read elsewhere before it was met here is skipped, and listed as skipped.",
    )
    historic = models.BooleanField(
        "Process old (historic) messages",
        default=False,
        help_text="Off: only what arrives from now on. On: everything since the date.",
    )
    historic_since = models.DateField(
        "Since", null=True, blank=True, help_text="By the date of arrival on the server."
    )
    mark_as_read = models.BooleanField(
        "Mark as read",
        default=False,
        help_text="After a message is stored here it becomes read in your mailbox too.",
    )

    only_customers = models.BooleanField(
        "Store only customers’ mail",
        default=False,
        help_text="Of messages from or to nobody we know only the header is stored. Pair the sender, and the whole "
        "message is brought in. What was stored before stays.",
    )
    stranger_days = models.PositiveIntegerField(
        "Forget the others after (days)",
        default=30,
        help_text="Then the header goes too, and only a line of the ledger is left. The mail server keeps its copy.",
    )

    # Credentials
    imap_username = models.CharField("Username", max_length=320, blank=True)
    imap_auth = models.CharField(
        "Sign in with",
        max_length=8,
        choices=ImapAuth,
        default=ImapAuth.PASSWORD,
        help_text="OAuth token: paste an access token as the password. Postern does not renew it.",
    )
    has_imap_secret = models.BooleanField(default=False, editable=False)

    # IMAP settings
    imap_host = models.CharField("IMAP server", max_length=253, blank=True)
    imap_port = models.PositiveIntegerField("IMAP port", default=993)
    imap_security = models.CharField("Security", max_length=8, choices=Security, default=Security.SSL)
    imap_skip_validation = models.BooleanField(
        "Don’t validate certificate",
        default=False,
        help_text="The certificate seen first is remembered and a change stops the mailbox and asks. "
        "Anyone in between at that first moment could read your password.",
    )
    imap_pinned_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    sent_folder = models.CharField("Folder name of sent emails", max_length=500, blank=True)

    # SMTP settings
    sending = models.BooleanField(
        "Enable sending", default=True, help_text="Off: drafts can be written and saved, nothing is sent."
    )
    reply_to = models.CharField(
        "Reply to", max_length=320, blank=True, help_text="Empty: answers go to the sender."
    )
    use_system_smtp = models.BooleanField(
        "Use system SMTP", default=False, help_text="Send through the company server set in Config."
    )
    smtp_host = models.CharField("SMTP server", max_length=253, blank=True)
    smtp_port = models.PositiveIntegerField("SMTP port", default=465)
    smtp_security = models.CharField(
        "SMTP security mode", max_length=8, choices=Security, default=Security.SSL
    )
    smtp_auth = models.CharField(
        "SMTP authentication type", max_length=8, choices=SmtpAuth, default=SmtpAuth.AUTO
    )
    smtp_username = models.CharField(
        "SMTP username", max_length=320, blank=True, help_text="Empty: the username above, with its password."
    )
    has_smtp_secret = models.BooleanField(default=False, editable=False)
    smtp_skip_validation = models.BooleanField("Don’t validate certificate (SMTP)", default=False)
    smtp_pinned_sha256 = models.CharField(max_length=64, blank=True, editable=False)

    settings_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    imap_ready = models.GeneratedField(
        expression=Q(has_imap_secret=True) & ~Q(imap_host="") & ~Q(imap_username=""),  # type: ignore[arg-type]
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.address


class MailboxHealth(models.Model):
    """What sync last learned of a mailbox. Written by the worker, read by the owner and readers."""

    class State(models.TextChoices):
        NEW = "new", "Not started"
        FIRST_SYNC = "first_sync", "First sync"
        IN_SYNC = "in_sync", "In sync"
        RECONNECTING = "reconnecting", "Reconnecting"
        PASSWORD_REJECTED = "password_rejected", "Password rejected"
        CERTIFICATE_CHANGED = "certificate_changed", "Certificate changed"
        FAILED = "failed", "Needs attention"
        PAUSED = "paused", "Paused"

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="health")
    state = models.CharField(max_length=20, choices=State, default=State.NEW)
    since = models.DateTimeField(null=True)
    code = models.CharField(max_length=40, blank=True)
    message = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    server_text = models.TextField(blank=True)
    seen_sha256 = models.CharField(max_length=64, blank=True, help_text="Certificate seen when it differed.")
    smtp_seen_sha256 = models.CharField(
        max_length=64, blank=True, help_text="The SMTP server's, seen when it differed."
    )
    last_sync_at = models.DateTimeField(null=True)
    known_host = models.CharField(
        max_length=253, blank=True, default="", db_default="", help_text="IMAP server that let us in."
    )
    smtp_known_host = models.CharField(
        max_length=253, blank=True, default="", db_default="", help_text="SMTP server that took a letter."
    )
    done = models.PositiveIntegerField(default=0, help_text="Letters of the first sync stored.")
    total = models.PositiveIntegerField(default=0, help_text="Letters of the first sync in all.")
    goes_on_at = models.DateTimeField(null=True, help_text="When what rests (history_rests) goes on.")
    settings_version = models.PositiveIntegerField(default=0, help_text="The settings these facts are about.")
    reconciled_at = models.DateTimeField(null=True, help_text="When ledger and server were last compared.")
    reconciled = models.TextField(blank=True, help_text="What came of it: a sentence, then the folders.")
    downloaded = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="Bytes by hour (since 1970) of the last day, where the provider allows so many a day.",
    )
    uploaded = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="The same of what was appended there.",
    )


class Secret(models.Model):
    """One encrypted password. Web writes rows and can never read `ciphertext` (column rights)."""

    class Field(models.TextChoices):
        IMAP = "imap", "IMAP"
        SMTP = "smtp", "SMTP"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    field = models.CharField(max_length=8, choices=Field)
    ciphertext = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailbox", "field"], name="one_secret_a_field")]


class SystemEmail(models.Model):
    """Config → Main → Email: the company's own SMTP account. One row, id 1."""

    sender_email = models.CharField("Sender's email", max_length=320, blank=True)
    sender_name = models.CharField("Sender's name", max_length=120, blank=True)
    smtp_host = models.CharField("SMTP server", max_length=253, blank=True)
    smtp_port = models.PositiveIntegerField("SMTP port", default=465)
    smtp_security = models.CharField(
        "SMTP security mode", max_length=8, choices=Security, default=Security.SSL
    )
    smtp_auth = models.CharField(
        "SMTP authentication type", max_length=8, choices=SmtpAuth, default=SmtpAuth.AUTO
    )
    smtp_username = models.CharField("Username", max_length=320, blank=True)
    has_smtp_secret = models.BooleanField(default=False, editable=False)
    sending = models.BooleanField("Enable sending", default=False)
    hourly_limit = models.PositiveIntegerField(
        "Hourly limit", default=0, help_text="Messages an hour through this server; 0 is no limit."
    )
    unchecked_certificates = models.BooleanField(
        "Owners may connect to mail servers whose certificate cannot be checked",
        default=False,
        help_text="The certificate seen first is remembered and a change stops the mailbox. Off: such mailboxes "
        "are not connected, and their owners are told.",
    )
    hour_began_at = models.DateTimeField(null=True, editable=False)
    sent_in_hour = models.PositiveIntegerField(default=0, editable=False)

    @classmethod
    def current(cls) -> SystemEmail:
        """Return the one row (unsaved defaults before it was ever saved)."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)


class SystemSecret(models.Model):
    """The company's SMTP password, encrypted. Web writes it and cannot read it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    ciphertext = models.BinaryField()


class Reader(models.Model):
    """An administrator to whom the owner gave access to a mailbox. Only the owner grants."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="readers")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="readings")
    incoming_only = models.BooleanField("Incoming mail only", default=False)
    customers_only = models.BooleanField("Customers’ conversations only", default=False)
    may_reply = models.BooleanField(
        "May answer in my name",
        default=False,
        help_text="Replies to the mail they may read go out from your address, in your name. You see each one and "
        "who wrote it. They cannot forward, write new letters or see your settings.",
    )
    ends_at = models.DateTimeField("Until", null=True, blank=True)
    handover = models.ForeignKey(
        "people.Handover",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Handed over after the owner left: it counts only while the owner is disabled.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "staff"], name="reader_once_a_mailbox"),
            models.CheckConstraint(
                condition=Q(handover=None) | Q(may_reply=False, ends_at__isnull=False),
                name="handed_over_to_read_until_a_day",
            ),
        ]


class DenyEntry(models.Model):
    """One line of the deny list: an address or a domain, or a comment alone (`pattern` empty)."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="deny_entries")
    pattern = models.CharField(max_length=320, blank=True)
    comment = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return " ".join(part for part in (self.pattern, self.comment and f"# {self.comment}") if part)


class Folder(models.Model):
    """A folder that is read, with the cursor: (UIDVALIDITY, last UID passed over)."""

    class Role(models.TextChoices):
        INBOX = "inbox", "Inbox"
        SENT = "sent", "Sent"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="folders")
    name = models.CharField(max_length=500)
    role = models.CharField(max_length=8, choices=Role)
    uidvalidity = models.BigIntegerField(null=True, help_text="Null before the first visit.")
    next_uid = models.BigIntegerField(
        default=1, help_text="Every UID below it is accounted for (the cursor)."
    )
    first_uid = models.BigIntegerField(
        default=1, help_text="UIDNEXT when processing was switched on: below it lies history."
    )
    history_since = models.DateField(null=True, help_text="History imported back to this date.")
    history_done = models.BooleanField(default=True, help_text="False while history is still being imported.")
    highestmodseq = models.BigIntegerField(null=True)
    exists = models.PositiveIntegerField(
        default=0,
        null=True,
        help_text="How many letters the ledger explains; null while letters are coming in.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailbox", "name"], name="folder_once_a_mailbox")]


class Lease(models.Model):
    """Which sync process is at a mailbox, and until when. Whoever takes it over counts `epoch` up.

    A write of sync is refused unless it knows the epoch of this moment: a process that was frozen and wakes
    up cannot harm what its successor does.
    """

    mailbox = models.OneToOneField(Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="+")
    owner = models.CharField(max_length=100, blank=True)
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()
    not_before = models.DateTimeField(
        help_text="Nobody tries before: the wait after a failure outlives the process."
    )
    signature = models.CharField(
        max_length=64, blank=True, help_text="The settings that the wait is about: others need not wait."
    )


class Probe(models.Model):
    """One run of Load, Test connection or Send a test email, worked off by the worker, its steps as they happen."""

    class Kind(models.TextChoices):
        IMAP = "imap", "Test connection (IMAP)"
        SMTP = "smtp", "Test connection (SMTP)"
        SEND = "send", "Send a test email"
        LOAD = "load", "Load folders"
        SYSTEM = "system", "Test system SMTP"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        WORKS = "works", "Works"
        FAILED = "failed", "Failed"

    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    settings = models.JSONField(default=dict, help_text="Host, port, security, username, … never a secret.")
    recipient = models.CharField(max_length=320, blank=True, help_text="Where the test email goes.")
    steps = models.JSONField(default=list)
    result = models.JSONField(
        default=dict, help_text="Folders and the suggested sent folder, or the failure."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)


class ProbeSecret(models.Model):
    """A password typed for one probe, encrypted; deleted when the probe ends. Web cannot read it."""

    probe = models.OneToOneField(Probe, on_delete=models.CASCADE, primary_key=True, related_name="+")
    ciphertext = models.BinaryField()
