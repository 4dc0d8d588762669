"""`postern create-admin`: a member of staff from the command line."""

import getpass
import sys
from argparse import Namespace

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from postern.people.models import Staff
from postern.people.onetime import ONE_TIME_HOURS
from postern.people.shell import engage


def create_admin(chosen: Namespace) -> int:
    """Make the administrator; refuses a weak password, a bad address and one already in use."""
    if chosen.one_time:
        return _with_one_time(chosen)
    password = _password(from_stdin=chosen.password_stdin)
    try:
        validate_password(password)
        with transaction.atomic():
            staff = Staff.objects.create_staff(
                email=chosen.email, name=chosen.name, password=password, role=chosen.role
            )
    except ValidationError as error:
        return _refuse(" ".join(error.messages))
    except ValueError as error:
        return _refuse(str(error))
    except IntegrityError:
        return _refuse(f"{chosen.email} already has an account")
    print(f"{staff.email} can sign in now ({staff.get_role_display()}).")
    return 0


def _with_one_time(chosen: Namespace) -> int:
    """Print a password that its person must change, this once; for whoever makes an account for somebody else."""
    hours = chosen.hours or ONE_TIME_HOURS
    try:
        staff, first = engage(email=chosen.email, name=chosen.name, role=chosen.role, hours=hours)
    except ValueError as error:
        return _refuse(str(error))
    except IntegrityError:
        return _refuse(f"{chosen.email} already has an account")
    print(first)
    told = f"{staff.email} ({staff.get_role_display()}) chooses a password of their own with it, within {hours} hours."
    print(told, file=sys.stderr)
    return 0


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise SystemExit("postern: the two passwords differ")
    return first


def _refuse(reason: str) -> int:
    print(f"postern: {reason}", file=sys.stderr)
    return 1
