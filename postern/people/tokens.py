"""Bearer tokens for the API: make, check, revoke. Only the SHA-256 of a token is ever stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.utils import timezone

from postern.people.models import Staff, Token

PREFIX = "postern_"
"""Lets secret scanners recognise a token that ended up in a repository or a log."""


def make_token(*, staff: Staff, name: str, ends_at: datetime | None = None) -> tuple[Token, str]:
    """Return (row, token): 256 random bits, shown this once. Raises ValueError for an end in the past."""
    if ends_at is not None and ends_at <= timezone.now():
        raise ValueError("The end lies in the past.")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = Token.objects.create(staff=staff, name=name[:80], digest=_digest(secret), ends_at=ends_at)
    return row, secret


def verify_token(secret: str) -> Token | None:
    """Return the row of a token that works now, None for any other text, and note the use.

    Asked before anybody is known, so by a function of the database's; a token ends with its date, and with its
    person's right to sign in.
    """
    return next(iter(Token.objects.raw("SELECT * FROM app.token(%s)", [_digest(secret)])), None)


def revoke_token(*, staff: Staff, token_id: int) -> None:
    """Delete one of the person's own tokens. Raises Token.DoesNotExist."""
    Token.objects.get(staff=staff, pk=token_id).delete()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
