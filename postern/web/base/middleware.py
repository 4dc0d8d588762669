"""Security headers for every answer (SECURITY.md S-104, S-105).

A view that needs another policy sets the header itself with `policy(...)`; what is already set is kept.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}

HSTS_SECONDS = 31536000


def policy(nonce: str = "", **directives: str) -> str:
    """The Content-Security-Policy of a page; frame_ancestors="'self'" and the like replace one directive."""
    rules = dict(POLICY)
    if nonce:
        rules["script-src"] += f" 'nonce-{nonce}'"
    rules.update({name.replace("_", "-"): value for name, value in directives.items()})
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def nonce(request: HttpRequest) -> str:
    """The nonce of this answer; the same value for every script tag of one page."""
    return getattr(request, "csp_nonce", "")


class SecurityHeaders:
    """Middleware; the first of the list, so that static files and error pages pass through it too."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.waits: bool = iscoroutinefunction(get_response)
        if self.waits:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        cast(Any, request).csp_nonce = secrets.token_urlsafe(16)
        if self.waits:
            return self._wait(request)
        return secure(request, self.get_response(request))

    async def _wait(self, request: HttpRequest) -> HttpResponse:
        return secure(request, await self.get_response(request))


def secure(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add what is missing to an answer."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", policy(nonce(request)))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    # Static files carry their own lifetime; everything else may hold somebody's mail.
    headers.setdefault("Cache-Control", "no-store")
    if request.is_secure():
        headers.setdefault("Strict-Transport-Security", f"max-age={HSTS_SECONDS}")
    return _leave_fragment(request, response)


def _leave_fragment(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """A session that ended must not put the sign-in page inside a list: htmx goes there whole."""
    sign_in = str(settings.LOGIN_URL)
    from_htmx = request.headers.get("HX-Request") == "true"
    if from_htmx and response.headers.get("Location", "").split("?")[0] == sign_in:
        response.status_code = 200
        del response.headers["Location"]
        response.headers["HX-Redirect"] = sign_in
    return response
