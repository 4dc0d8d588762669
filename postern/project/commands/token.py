"""`postern token`: a bearer token for the API from the command line."""

import hashlib
import secrets
import sys
from argparse import Namespace

from postern.mime.addresses import normalise
from postern.people.models import Staff, Token


def token(chosen: Namespace) -> int:
    """Make a token and print it, once; only its SHA-256 stays."""
    staff = Staff.objects.filter(email=normalise(chosen.email), is_active=True).first()
    if staff is None:
        print(f"postern: nobody with the address {chosen.email} may sign in", file=sys.stderr)
        return 1
    secret = "postern_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    Token.objects.create(staff=staff, name=chosen.name[:80], digest=digest)
    print(secret)
    return 0
