"""The bytes of a message: its body in a sandboxed frame, its source, its files. All through the wall."""

from __future__ import annotations

import base64

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from postern.mail.models import Message
from postern.mail.raw import download_name, file_of, letter_for
from postern.mime.read import part_bytes, read
from postern.mime.sanitize import SANITIZER_VERSION, sanitize
from postern.web.inbox.opening import What, opened
from postern.web.inbox.views import person

BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
FILE_POLICY = "sandbox; default-src 'none'"
INLINE_IMAGES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
MAX_INLINE = 6 * 1024 * 1024
SHOWN_SOURCE = 512 * 1024


def visible(request: HttpRequest, pk: int) -> Message:
    """The message, if this person may read it; else it is not there."""
    message = Message.objects.visible_to(person(request)).select_related("mailbox").filter(pk=pk).first()
    if message is None:
        raise Http404
    return message


@login_required
@require_safe
def body(request: HttpRequest, pk: int) -> HttpResponse:
    """The cleaned HTML for the sandboxed frame, inline images inside it. Never part of a page of ours."""
    message = visible(request, pk)
    if request.headers.get("Sec-Fetch-Dest", "iframe") not in ("iframe", "document"):
        raise Http404
    opened(request, [message], What.BODY)
    shown = message.body
    html = shown.html if shown.sanitizer_version == SANITIZER_VERSION else ""
    if "cid:" in html:
        html = sanitize(html, cid_url=_Images(message).url).html
    response = render(request, "inbox/body.html", {"html": html, "text": shown.text})
    response.headers["Content-Security-Policy"] = BODY_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


class _Images:
    """Inline images as data: addresses, so that a frame without cookies needs no address of ours."""

    def __init__(self, message: Message) -> None:
        raw = message.raw.letter()
        self._raw = raw
        self._parts = {p.content_id: p for p in read(raw).parts if p.content_id}
        self._left = MAX_INLINE

    def url(self, content_id: str) -> str | None:
        """The image of a content id, checked by its first bytes; None leaves it out."""
        part = self._parts.get(content_id)
        if part is None or part.size > self._left:
            return None
        data = part_bytes(self._raw, part)
        kind = next((k for k, marks in INLINE_IMAGES.items() if data.startswith(marks)), None)
        if kind is None:
            return None
        self._left -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@login_required
@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    """View source: the raw letter as text, its first half megabyte."""
    message = visible(request, pk)
    opened(request, [message], What.SOURCE)
    raw = letter_for(staff=person(request), message=message)
    context = {
        "message": message,
        "mine": message.mailbox.owner_id == person(request).pk,
        "source": raw[:SHOWN_SOURCE].decode("utf-8", "replace").replace("\x00", "\ufffd"),
        "more": max(0, len(raw) - SHOWN_SOURCE),
        "nav": "sent" if message.outgoing else "inbox",
        "page_title": "Source",
    }
    return render(request, "inbox/source.html", context)


@login_required
@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponse:
    """Download .eml: the raw letter."""
    message = visible(request, pk)
    opened(request, [message], What.SOURCE)
    return as_file(
        letter_for(staff=person(request), message=message),
        f"{message.subject[:80] or 'letter'}.eml",
        "message/rfc822",
    )


@login_required
@require_safe
def attachment(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """One part of a letter, always as a download, never shown in our own origin."""
    message = visible(request, pk)
    found = file_of(message, index)
    if found is None:
        raise Http404
    part, data = found
    opened(request, [message], What.FILE, index, part.filename)
    return as_file(data, part.filename or f"part-{index}", part.content_type)


def as_file(data: bytes, name: str, content_type: str) -> HttpResponse:
    """A download: harmless content type, a safe name, no sniffing, a sandbox of its own."""
    kind = content_type if content_type in INLINE_IMAGES else "application/octet-stream"
    response = HttpResponse(data, content_type=kind)
    response.headers["Content-Disposition"] = str(content_disposition_header(True, download_name(name)))
    response.headers["Content-Security-Policy"] = FILE_POLICY
    return response
