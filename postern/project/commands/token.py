"""`postern token`: a bearer token for the API from the command line."""

import sys
from argparse import Namespace

from postern.mime.addresses import normalise
from postern.people.models import Staff
from postern.people.shell import token_for


def token(chosen: Namespace) -> int:
    """Make a token and print it, this once; only its SHA-256 stays. Its person is told."""
    staff = Staff.objects.filter(email=normalise(chosen.email), is_active=True).first()
    if staff is None:
        print(f"postern: nobody with the address {chosen.email} may sign in", file=sys.stderr)
        return 1
    print(token_for(staff, chosen.name))
    print(f"{staff.name} is told that this token was made.", file=sys.stderr)
    return 0
