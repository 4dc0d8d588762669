"""What whoever holds the server's shell may do to somebody's account: never without a line in the log and a word to them.

Runs as the owner of the tables. The role that serves the pages can do none of this, for no super-administrator.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from postern.people.models import Handover, Staff, Token
from postern.people.onetime import ONE_TIME_HOURS
from postern.people.tokens import make_token

_WAS_RESET = (
    "Somebody with access to Postern’s server made a one-time password for you. Your password before it no longer "
    "works, you were signed out everywhere, and your API tokens were deleted. If you did not ask for it, somebody else "
    "may have used it to read your mail: speak with whoever runs Postern now, and look at your API tokens and at who "
    "has access to your mailbox."
)
_WAS_MADE = (
    "Somebody with access to Postern’s server made an API token in your name, “{name}”. Whoever has it can do all that "
    "you can. If you did not ask for it, revoke it under My Profile, and speak with whoever runs Postern."
)


def reset_password(staff: Staff, hours: int = ONE_TIME_HOURS) -> str:
    """Return a one-time password that opens nothing but the page to choose another, for so long; shown this once.

    Everything of the person's that is signed in ends, and their API tokens are deleted; access given and had stays.
    Raises Staff.DoesNotExist for somebody who may not sign in.
    """
    first = secrets.token_urlsafe(12)
    with transaction.atomic():
        row = Staff.objects.select_for_update().get(pk=staff.pk, is_active=True)
        row.set_password(first)
        row.save(update_fields=["password"])  # every sign-in hangs on it
        _must_change(row, hours)
        Token.objects.filter(staff=row).delete()
        _log_and_tell(row, Handover.Ground.PASSWORD, _WAS_RESET)
        _let_open_pages_go(row)
    return first


def engage(*, email: str, name: str, role: str, hours: int = ONE_TIME_HOURS) -> tuple[Staff, str]:
    """Return (new administrator, one-time password), as a super-administrator adds somebody on the page.

    Raises ValueError for a bad address, IntegrityError for one in use.
    """
    first = secrets.token_urlsafe(12)
    with transaction.atomic():
        staff = Staff.objects.create_staff(email=email, name=name, password=first, role=role)
        _must_change(staff, hours)
    return staff, first


def _must_change(staff: Staff, hours: int) -> None:
    until = Now() + timedelta(hours=hours)
    Staff.objects.filter(pk=staff.pk).update(must_change_password=True, one_time_until=until)


def token_for(staff: Staff, name: str) -> str:
    """Return a new API token of somebody, shown this once. Raises Staff.DoesNotExist for who may not sign in."""
    with transaction.atomic():
        row = Staff.objects.select_for_update().get(pk=staff.pk, is_active=True)
        token, secret = make_token(staff=row, name=name)
        _log_and_tell(row, Handover.Ground.TOKEN, _WAS_MADE.format(name=token.name))
    return secret


def _log_and_tell(staff: Staff, ground: Handover.Ground, words: str) -> None:
    Handover.objects.create(owner=staff, by=None, ground=ground)
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.tell(%s, %s)", [staff.pk, words])


def _let_open_pages_go(staff: Staff) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify('postern_events', json_build_object('kind', 'access', 'mailbox', 0, 'id', %s::bigint)::text)",
            [staff.pk],
        )
