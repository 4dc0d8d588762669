"""The last answer to a request that failed: by the door it came through, and whether it passes by itself."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse

from postern.api import errors
from postern.mail.away import AWAY, no_room
from postern.web.base import views


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while what stores is away, else 500; a page, or a problem for programs.

    Django calls this while it handles the exception, also for one that came before any view.
    """
    fault = sys.exc_info()[1]
    away = isinstance(fault, AWAY)
    if request.path.startswith("/api/"):
        return errors.store_away(request, fault) if away else errors.fault(request, fault)
    return views.store_away(request, no_room=no_room(fault)) if away else views.server_error(request)
