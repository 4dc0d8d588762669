"""Static files: small, read at once and handed over whole; a stream from a file would hold up the event loop."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, without its streaming responses."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Return the file, or the part of it that was asked for."""
        found = static_file.get_response(request.method, request.META)
        data = b""
        if found.file is not None:
            with found.file as opened:
                data = opened.read()
        response = HttpResponse(data, status=int(found.status))
        del response["content-type"]
        for name, value in found.headers:
            response[name] = value
        return response
