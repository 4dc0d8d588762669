"""Bytes as an answer: always a download, never a page of our own origin."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from postern.mail.raw import download_name

POLICY = "sandbox; default-src 'none'"


def download(data: bytes, name: str, content_type: str = "application/octet-stream") -> HttpResponse:
    """A download with a safe name (RFC 6266); the true type of a file stands in the JSON that lists it."""
    return HttpResponse(
        data,
        content_type=content_type,
        headers={
            "Content-Disposition": str(content_disposition_header(True, download_name(name))),
            "Content-Security-Policy": POLICY,
        },
    )
