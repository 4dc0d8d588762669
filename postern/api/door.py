"""What happens around every operation: a refusal leaves nothing behind, and every refusal is problem+json."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from postern.api.errors import problem

POLICY = "default-src 'none'; frame-ancestors 'none'"
"""No page of ours ever comes through this door."""


def guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a view of the API."""

    @wraps(view)
    def through(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            response = problem(405, "method_not_allowed", f"Use one of: {allowed}.", Allow=allowed)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return through
