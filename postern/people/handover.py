"""Handing a leaver's mail to a successor: the owner's choice beforehand, the super-administrator's act, the log.

The database decides (postern.mail.leaving); what is checked here is said in words first. Nobody hands
anything to themselves, and what is handed over is a grant to read with an end, never a sign-in.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from postern.people.models import Consent, Handover, Notice, Staff
from postern.people.staff import StaffRefused, must_be_super

LEAST_REASON = 20
"""Characters that the reason of a break-glass has at least."""
MOST_DAYS = 366
"""A handover ends after a year at the latest."""


def consent_of(staff: Staff) -> Consent | None:
    """Return what somebody chose for the day they leave, None when their mail is nobody's."""
    return Consent.objects.filter(staff=staff).select_related("successor").first()


def choose(
    *, staff: Staff, agreed: bool, successor: Staff | None = None, customers_only: bool = True
) -> None:
    """Set the person's own choice; without a successor it is whoever a super-administrator names.

    Raises StaffRefused (bad_successor).
    """
    if not agreed:
        Consent.objects.filter(staff=staff).delete()
        return
    if successor is not None and (successor.pk == staff.pk or not successor.is_active):
        raise StaffRefused("bad_successor", "successor", "Choose somebody else who can sign in.")
    Consent.objects.update_or_create(
        staff=staff, defaults={"successor": successor, "customers_only": customers_only}
    )


def covers(consent: Consent | None, successor: Staff) -> bool:
    """True when the owner had agreed to this successor."""
    return consent is not None and consent.successor_id in (None, successor.pk)


def hand_over(*, by: Staff, owner: Staff, successor: Staff, reason: str, ends_at: datetime) -> Handover:
    """Let `successor` read a disabled person's mail until `ends_at` (an aware moment) and tell the owner.

    Without the owner's consent it takes a reason, and shows customers' conversations only. Raises StaffRefused
    (not_disabled, bad_successor, bad_end, reason_needed), PermissionDenied for anybody but a super-administrator.
    """
    must_be_super(by)
    reason = reason.strip()[:2000]
    if owner.is_active:
        raise StaffRefused(
            "not_disabled", "owner", f"{owner.name} can sign in, and gives access under My Profile."
        )
    if successor.pk == by.pk:
        raise StaffRefused("bad_successor", "successor", "Nobody hands mail to themselves.")
    if successor.pk == owner.pk or not successor.is_active:
        raise StaffRefused("bad_successor", "successor", "Choose somebody who can sign in.")
    now = timezone.now()
    if not now < ends_at <= now + timedelta(days=MOST_DAYS):
        raise StaffRefused("bad_end", "ends_at", "Choose an end in the future, within a year.")
    if not covers(consent_of(owner), successor) and len(reason) < LEAST_REASON:
        raise StaffRefused(
            "reason_needed",
            "reason",
            f"{owner.name} did not agree to this: write why it is needed, in {LEAST_REASON} characters or more.",
        )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT app.hand_over(%s, %s, %s, %s)", [owner.pk, successor.pk, reason, ends_at])
        return Handover.objects.get(pk=cursor.fetchone()[0])


def end_handover(*, by: Staff, owner: Staff) -> None:
    """End whatever was handed over of this person's mail; from the next statement on nothing is shown."""
    must_be_super(by)
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.end_handover(%s)", [owner.pk])


def in_force(owner: Staff) -> Handover | None:
    """Return the handover that holds now, as far as the log tells."""
    lines = Handover.objects.filter(owner=owner, successor__isnull=False)  # the others are about the account
    last = lines.select_related("successor", "by").first()
    if last is None or last.ground == Handover.Ground.ENDED or owner.is_active:
        return None
    return last if last.ends_at is not None and last.ends_at > timezone.now() else None


def notices_of(staff: Staff) -> list[Notice]:
    """Return what the person was told and has not said that they read."""
    return list(Notice.objects.filter(staff=staff, seen_at=None))


def read_notices(*, staff: Staff, upto: int) -> None:
    """Note that the person read their notices up to this id; one that came since waits."""
    with transaction.atomic():
        # Locked: a notice that comes at this moment raises the flag after us.
        Staff.objects.select_for_update().get(pk=staff.pk)
        rows = Notice.objects.filter(staff=staff, seen_at=None)
        rows.filter(pk__lte=upto).update(seen_at=timezone.now())
        Staff.objects.filter(pk=staff.pk).update(has_notice=rows.exists())
