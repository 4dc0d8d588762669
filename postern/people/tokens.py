"""Bearer tokens for the API: made once, kept only as a digest, checked in constant time by the database."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from django.db.models import Q

from postern.people.models import Staff, Token

PREFIX = "postern_"


def make_token(*, staff: Staff, name: str, ends_at: datetime | None = None) -> tuple[Token, str]:
    """Make a token for a person; returns the row and the secret, which is shown this once."""
    secret = PREFIX + secrets.token_urlsafe(32)
    row = Token.objects.create(staff=staff, name=name[:80], digest=_digest(secret), ends_at=ends_at)
    return row, secret


def staff_of(secret: str) -> Staff | None:
    """Return whose token it is; None for an unknown or ended one, or a person who may not sign in."""
    now = datetime.now(UTC)
    rows = Token.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=now), digest=_digest(secret), staff__is_active=True
    )
    row = rows.select_related("staff").first()
    if row is None:
        return None
    Token.objects.filter(pk=row.pk).update(used_at=now)
    return row.staff


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
