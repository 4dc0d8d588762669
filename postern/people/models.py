"""Staff, customers and leads, and the addresses by which mail finds them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password, get_hasher, identify_hasher
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.crypto import salted_hmac

from postern.mime.addresses import normalise

ENDED = Q(must_change_password=True, one_time_until__lte=Now())


def sign_in_address(typed: str) -> str:
    """Return an address as people sign in with it; raises ValueError, in words, when it is none."""
    address = normalise(typed)
    if not address:
        raise ValueError("Type a full e-mail address, like name@company.example.")
    return address


class StaffManager(BaseUserManager["Staff"]):
    """Makes and finds staff by their sign-in address."""

    def create_staff(
        self, *, email: str, name: str, password: str | None, role: str = "admin", **more: Any
    ) -> Staff:
        """Return a new, saved member of staff; raises ValueError for a bad address.

        As the owner of the tables: the pages go through postern.people.staff.
        """
        address = sign_in_address(email)
        staff = self.model(email=address, name=name.strip() or address, role=role, **more)
        staff.set_password(password)
        staff.save()
        return staff

    def with_ended(self) -> models.QuerySet[Staff]:
        """Say of each whether their one-time password has ended (`one_time_ended`), by the database's clock."""
        return self.annotate(one_time_ended=ENDED)

    def get_by_natural_key(self, username: str | None) -> Staff:
        """Find by sign-in address in whatever case it was typed."""
        return self.get(email=normalise(username or ""))


class Staff(AbstractBaseUser):
    """One administrator: a person with a sign-in."""

    class Role(models.TextChoices):
        SUPER = "super", "Super-administrator"
        ADMIN = "admin", "Administrator"

    last_login = None  # when somebody signed in is nobody's business, and nothing here asks for it
    email = models.EmailField("sign-in address", max_length=254, unique=True)
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=8, choices=Role, default=Role.ADMIN)
    title = models.CharField(
        max_length=80, blank=True, help_text="Shown under the name, like “Customer care”."
    )
    is_active = models.BooleanField("may sign in", default=True)
    single_keys = models.BooleanField("single-key shortcuts", default=True)
    must_change_password = models.BooleanField(
        default=False, help_text="Somebody else knows it: whoever made the account."
    )
    one_time_until = models.DateTimeField(
        null=True,
        help_text="When the password that somebody else knows ends. Says nothing once it is another.",
    )
    has_notice = models.BooleanField(default=False, help_text="A notice waits that cannot be skipped.")
    sign_ins = models.PositiveIntegerField(
        default=0, help_text="Counted up when everything that is signed in must end, for good."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StaffManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(must_change_password=False) | Q(one_time_until__isnull=False),
                name="one_time_password_ends",
            )
        ]

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    def __str__(self) -> str:
        return self.name

    @property
    def is_super(self) -> bool:
        """True for a super-administrator: manages staff and Config, sees nobody's mail."""
        return self.role == self.Role.SUPER

    def check_password(self, raw_password: str | None) -> bool:
        """True for the person's password. It writes nothing: who signs in is nobody yet (see postern.mail.staffwall)."""
        return check_password(raw_password, self.password)

    def hash_anew(self, raw_password: str) -> None:
        """Keep a password that was just found right as this version hashes passwords, if it is not kept so."""
        ours = get_hasher()
        if identify_hasher(self.password).algorithm != ours.algorithm or ours.must_update(self.password):
            self.set_password(raw_password)
            self.save(update_fields=["password"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Tie a session to password and `sign_ins`: one that ended does not come back when somebody is enabled again."""
        tied = f"{self.sign_ins} {self.password}"
        return salted_hmac("postern.people.sign_in", tied, secret=secret, algorithm="sha256").hexdigest()


def _next_number() -> str:
    """Return a number no customer has. Typed numbers may lie ahead of the sequence, so it is asked again."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT nextval('customer_number')::text")
            number = str(cursor.fetchone()[0])
            if not Customer.objects.filter(number=number).exists():
                return number


class CustomerQuerySet(models.QuerySet["Customer"]):
    """Lists of customers and leads."""

    def search(self, text: str) -> CustomerQuerySet:
        """Narrow to those whose name, number, phone or address contains every word of `text`."""
        rows = self
        for word in text.split()[:8]:
            rows = rows.filter(
                Q(name__icontains=word)
                | Q(number__icontains=word)
                | Q(phone__icontains=word)
                | Q(pk__in=Address.objects.filter(email__icontains=word.lower()).values("customer"))
            )
        return rows


class Customer(models.Model):
    """A customer, or a lead: a customer to be."""

    class Kind(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        LEAD = "lead", "Lead"

    class Status(models.TextChoices):
        NEW = "new", "New"
        ACTIVE = "active", "Active"
        BLOCKED = "blocked", "Blocked"
        INACTIVE = "inactive", "Inactive"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CUSTOMER)
    number = models.CharField(
        max_length=20, unique=True, help_text="Left empty, the next free number is used."
    )
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    phone = models.CharField(max_length=60, blank=True)
    notes = models.TextField(blank=True, max_length=20_000)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(Lower("name"), name="customer_name_lower")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Give a new row the next free number, from a sequence so that two at once never clash."""
        if not self.number:
            self.number = _next_number()
        super().save(*args, **kwargs)

    def convert(self) -> None:
        """Make a lead a customer; its addresses and mail stay with it."""
        self.kind = self.Kind.CUSTOMER
        if self.status == self.Status.NEW:
            self.status = self.Status.ACTIVE
        self.save(update_fields=["kind", "status"])


class Address(models.Model):
    """One e-mail address of a customer or lead, normalised (lower case, domain in ASCII)."""

    class Kind(models.TextChoices):
        MAIN = "main", "Main"
        BILLING = "billing", "Billing"
        OTHER = "other", "Other"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="addresses")
    email = models.CharField(max_length=320)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.OTHER)
    shared = models.BooleanField(
        default=False, help_text="Used by several people: mail from it is filed by hand, message by message."
    )
    added_by = models.ForeignKey(
        Staff,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Never shown: only decides whether a narrowed grant counts this address.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["customer", "email"], name="address_once_a_customer"),
            models.UniqueConstraint(
                fields=["email"], condition=Q(shared=False), name="address_of_one_customer_unless_shared"
            ),
        ]
        indexes = [models.Index(fields=["email"], name="address_email")]

    def __str__(self) -> str:
        return self.email


class Token(models.Model):
    """A bearer token for the API. Only its SHA-256 is kept; the token is shown once, when it is made."""

    staff = models.ForeignKey(Staff, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80, help_text="What it is for.")
    digest = models.CharField(max_length=64, db_index=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["staff", "digest"], name="token_once")]


class Attempt(models.Model):
    """A failed or costly try (sign-in, connection test) that a limit counts."""

    key = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["key", "at"], name="attempt_key")]


class Consent(models.Model):
    """An administrator's own choice: should they leave, their mail may be handed to a successor. No row: it may not."""

    staff = models.OneToOneField(Staff, on_delete=models.CASCADE, primary_key=True, related_name="+")
    successor = models.ForeignKey(
        Staff,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: whoever a super-administrator names.",
    )
    customers_only = models.BooleanField("Customers’ conversations only", default=True)
    changed_at = models.DateTimeField(auto_now=True)


class Handover(models.Model):
    """One line of the log: who handed whose mail to whom, on what ground, until when. Never changed or deleted.

    Also what was done to an account at the server's shell: then nobody is known who did it (`by`).
    """

    class Ground(models.TextChoices):
        CONSENT = "consent", "The owner had agreed"
        BREAK_GLASS = "break_glass", "Without consent, for the reason given"
        ENDED = "ended", "Ended"
        PASSWORD = "password", "One-time password made at the server’s shell"
        TOKEN = "token", "API token made at the server’s shell"

    owner = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    successor = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, related_name="+")
    by = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, related_name="+")
    ground = models.CharField(max_length=12, choices=Ground)
    reason = models.TextField(blank=True, max_length=2000)
    customers_only = models.BooleanField(default=True)
    ends_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]


class Notice(models.Model):
    """Something a person must be told. Until they say that they read it, no other page opens."""

    staff = models.ForeignKey(Staff, on_delete=models.CASCADE, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    mailed_at = models.DateTimeField(null=True, help_text="Also sent to their sign-in address.")
    message_id = models.CharField(
        max_length=200, default="", db_default="", help_text="Of the e-mail: the same at each attempt."
    )
    mailings = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Attempts that may have arrived, each counted before its first byte.",
    )
    seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]

    @property
    def maybe_twice(self) -> bool:
        """More than one attempt may have arrived (R-003)."""
        return self.mailings > 1
