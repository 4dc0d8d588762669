"""Pages that belong to no room: home, preferences, the palette's answers, the shell's live parts, errors."""

import gzip
import importlib.util
import logging
import secrets
from functools import cache
from pathlib import Path

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST, require_safe

from postern.mail.away import RETRY_SECONDS
from postern.web.base import jump
from postern.web.base.context import THEMES
from postern.web.base.nav import link
from postern.web.base.signin import local

log = logging.getLogger(__name__)

YEAR = 365 * 24 * 3600


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The front page: the Inbox, or My Profile where there is no Inbox yet."""
    target = link("inbox") or link("profile")
    if not target:
        raise Http404
    return redirect(target)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep a theme in a cookie: light, dark, or the system's (anything else)."""
    response = redirect(local(request, request.POST.get("next", "")))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie("theme", chosen, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


@login_required
@require_safe
def jump_to(request: HttpRequest) -> HttpResponse:
    """Search or jump: a fragment for the palette, a page without scripts."""
    query = request.GET.get("q", "")[:200]
    fragment = request.headers.get("HX-Request") == "true"
    found = {"query": query, "groups": jump.find(request.user, query)}
    return render(request, "base/_jump.html" if fragment else "base/jump.html", found)


@login_required
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Counts and health once more, after an event; only parts marked hx-swap-oob."""
    return render(request, "base/_live.html", {"oob": True})


@cache
def _font() -> bytes:
    spec = importlib.util.find_spec("fontpkg_inter")
    if spec is None or spec.origin is None:
        raise Http404
    return gzip.compress((Path(spec.origin).parent / "files" / "Inter[opsz,wght].ttf").read_bytes(), mtime=0)


@require_GET
@cache_control(public=True, max_age=YEAR, immutable=True)
def font(request: HttpRequest) -> HttpResponse:
    """Inter from its wheel, compressed once per process; half the bytes of the plain file."""
    return HttpResponse(_font(), content_type="font/ttf", headers={"Content-Encoding": "gzip"})


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404, and 403 as well: not allowed looks exactly like not there."""
    return render(request, "404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: nothing of the request is repeated on the page."""
    return render(request, "400.html", status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: generic words and a number that finds the line in the log (S-113)."""
    number = secrets.token_hex(4)
    log.error("error page %s: %s %s", number, request.method, request.path)
    return render(request, "500.html", {"number": number}, status=500)


def store_away(request: HttpRequest, *, no_room: bool = False) -> HttpResponse:
    """503 while the database is away, or its disk full: a page asks again by itself, a form has to be sent again."""
    seconds = RETRY_SECONDS if request.method in ("GET", "HEAD") else 0
    answer = render(request, "503.html", {"seconds": seconds, "no_room": no_room}, status=503)
    answer.headers["Retry-After"] = str(RETRY_SECONDS)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing, old or from another site."""
    return render(request, "403_csrf.html", status=403)
