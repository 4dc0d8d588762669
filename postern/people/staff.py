"""Who may sign in, as a super-administrator manages it: never anybody's address or password, so never their mail."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from postern.people.models import ENDED, Staff, sign_in_address

CHANGEABLE = ("name", "title", "role", "is_active")


class StaffRefused(ValueError):
    """A change of staff cannot be made; `code` is stable, `field` names what is wrong."""

    def __init__(self, code: str, field: str, message: str) -> None:
        self.code = code
        self.field = field
        super().__init__(message)


def add_staff(*, by: Staff, name: str, email: str, role: str = Staff.Role.ADMIN) -> tuple[Staff, str]:
    """Return (new administrator, first password), the password shown this once and changed at the first sign-in.

    Raises StaffRefused (bad_address, address_taken), PermissionDenied for anybody but a super-administrator.
    """
    must_be_super(by)
    first = secrets.token_urlsafe(12)
    try:
        address = sign_in_address(email)
        # Whoever made the account knows this password: before it is another, nothing can be set up (S-134).
        pk = _asked("add_staff", address, name[:120].strip() or address, role, make_password(first))
    except IntegrityError as error:
        raise StaffRefused("address_taken", "email", "Somebody with this address is here already.") from error
    except ValueError as error:
        raise StaffRefused("bad_address", "email", str(error)) from error
    return Staff.objects.get(pk=pk), first


def renew_first(*, by: Staff, staff: Staff) -> str:
    """Return another first password for somebody who never chose one of their own; the one before it ends.

    Raises StaffRefused (own_password), PermissionDenied for anybody but a super-administrator.
    """
    must_be_super(by)
    first = secrets.token_urlsafe(12)
    if not _asked("renew_first", staff.pk, make_password(first)):
        raise StaffRefused(
            "own_password",
            "password",
            f"{staff.name} had a password of their own. Only postern password, at the server’s shell, makes another.",
        )
    return first


def one_time_ended(staff: Staff) -> bool:
    """True when the password that somebody else made for them has ended before they chose their own."""
    return Staff.objects.filter(ENDED, pk=staff.pk).exists()


def nobody_yet() -> bool:
    """True while there is no administrator at all."""
    return bool(_asked("is_empty"))


def first_of_all(*, name: str, email: str, password: str) -> Staff:
    """Return the first super-administrator, who chose the password. Raises ValueError for a bad address.

    Refused by the database (DatabaseError) as soon as somebody is here.
    """
    address = sign_in_address(email)
    pk = _asked("first_staff", address, name[:120].strip() or address, make_password(password))
    return Staff.objects.get(pk=pk)


def _asked(function: str, *values: str | int) -> Any:
    """Web's role writes no row of people_staff itself (postern.mail.staffwall)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT app.{function}({', '.join(['%s'] * len(values))})", values)
        return cursor.fetchone()[0]


def change_staff(*, by: Staff, staff: Staff, changes: Mapping[str, Any]) -> Staff:
    """Change name, title, role or whether somebody may sign in; returns the saved row.

    Who may no longer sign in is signed out everywhere, for good; their mailboxes stop, passwords are deleted,
    grants end, letters that wait are held. Who may again finds their mailbox asking for its password.
    Raises StaffRefused (last_super) when nobody would be left to manage Postern; PermissionDenied.
    """
    must_be_super(by)
    values = [changes.get(field) for field in CHANGEABLE]
    with transaction.atomic(), connection.cursor() as cursor:
        # Web reaches nobody else's row: the database does it (postern.mail.staffwall).
        cursor.execute("SELECT app.manage_staff(%s, %s, %s, %s, %s)", [staff.pk, *values])
        (problem,) = cursor.fetchone()
    if problem:
        raise StaffRefused("last_super", "role", "Somebody else has to be super-administrator first.")
    return Staff.objects.get(pk=staff.pk)


def must_be_super(by: Staff) -> None:
    """Raise PermissionDenied for anybody but a super-administrator."""
    if not by.is_super:
        raise PermissionDenied("Only a super-administrator manages administrators.")
