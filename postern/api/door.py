"""What happens around every operation: a refusal leaves nothing behind, and every refusal is problem+json."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from postern.api.errors import problem


def all_or_nothing(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a view: whatever it wrote before it refused is taken back."""

    @wraps(view)
    def through(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            return problem(405, "method_not_allowed", f"Use one of: {allowed}.", Allow=allowed)
        return response

    return through


def guard(pattern: URLPattern) -> URLPattern:
    """The same address with its view wrapped."""
    pattern.callback = all_or_nothing(pattern.callback)
    return pattern
