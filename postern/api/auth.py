"""Who is asking: the person of a bearer token, and nobody by any other means (no session cookie, so no CSRF)."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from ninja.errors import Throttled
from ninja.security import HttpBearer

from postern.mail.access import set_viewer
from postern.people.models import Staff, Token
from postern.people.tokens import verify_token

MOST_WRONG = 30
WRONG_SECONDS = 15 * 60


class Bearer(HttpBearer):
    """Finds the person and tells the row policies; whoever a session named before is forgotten."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        """Return the token's row, None for a token that does not work. Raises Throttled after many of those."""
        set_viewer(None)
        row = verify_token(token.strip())
        if row is None:
            _count_wrong(request.META.get("REMOTE_ADDR", ""))
            return None
        set_viewer(row.staff_id)
        return row


def _count_wrong(ip: str) -> None:
    """Raise Throttled after many. A working token always works: others may share its address behind a proxy."""
    key = f"api-wrong:{ip}"
    cache.add(key, 0, WRONG_SECONDS)
    if cache.incr(key) > MOST_WRONG:
        raise Throttled(wait=WRONG_SECONDS)


def token_of(request: HttpRequest) -> Token:
    """The token that this request came with."""
    token = getattr(request, "auth", None)
    assert isinstance(token, Token)
    return token


def who(request: HttpRequest) -> Staff:
    """The person of the token."""
    return token_of(request).staff
