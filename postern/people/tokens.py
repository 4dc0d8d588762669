"""Bearer tokens for the API: make, check, revoke. Only the SHA-256 of a token is ever stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from postern.people.models import Staff, Token

PREFIX = "postern_"
"""Lets secret scanners recognise a token that ended up in a repository or a log."""
_SEEN_EVERY = timedelta(minutes=1)


def make_token(*, staff: Staff, name: str, ends_at: datetime | None = None) -> tuple[Token, str]:
    """Return (row, token): 256 random bits, shown this once. Raises ValueError for an end in the past."""
    if ends_at is not None and ends_at <= timezone.now():
        raise ValueError("The end lies in the past.")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = Token.objects.create(staff=staff, name=name[:80], digest=_digest(secret), ends_at=ends_at)
    return row, secret


def verify_token(secret: str) -> Token | None:
    """Return the row of a token that works now, its `staff` with it; None for any other text.

    A token ends with its date, and with its person's right to sign in.
    """
    now = timezone.now()
    rows = Token.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), staff__is_active=True)
    token = rows.select_related("staff").filter(digest=_digest(secret)).first()
    if token is not None:
        _note_use(token, now)
    return token


def revoke_token(*, staff: Staff, token_id: int) -> None:
    """Delete one of the person's own tokens. Raises Token.DoesNotExist."""
    Token.objects.get(staff=staff, pk=token_id).delete()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _note_use(token: Token, now: datetime) -> None:
    """Keep the time of use to the minute; requests side by side must not wait for one another."""
    if token.used_at is not None and token.used_at > now - _SEEN_EVERY:
        return
    free = Token.objects.select_for_update(skip_locked=True).filter(pk=token.pk).first()
    if free is not None:
        Token.objects.filter(pk=free.pk).update(used_at=now)
