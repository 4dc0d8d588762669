"""A person at the pages, without JavaScript: gets, posts forms with the session's token, reads rows."""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import re
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any

_TAGS = re.compile(r"<(script|style|template)\b.*?</\1>|<[^>]*>", re.S)


def plain(markup: str) -> str:
    """The words of some HTML, spaces made one."""
    return " ".join(html.unescape(_TAGS.sub(" ", markup)).split())


@dataclass(frozen=True)
class Row:
    """One row of a list of messages, as it is drawn."""

    pk: int
    who: str
    subject: str
    preview: str
    unread: bool
    words: str
    actions: tuple[str, ...]

    @property
    def unknown(self) -> bool:
        """Marked as Author not found."""
        return "Author not found" in self.words


@dataclass(frozen=True)
class Page:
    """An answer. `url` is where redirects ended."""

    status: int
    url: str
    text: str
    raw: bytes

    @property
    def words(self) -> str:
        """The visible words."""
        return plain(self.text)

    @property
    def main(self) -> str:
        """The words of the page itself, without sidebar and toast."""
        found = re.search(r'<main class="panel".*?</main>', self.text, re.S)
        return plain(found[0]) if found else self.words

    @property
    def toast(self) -> str:
        """The line about what just happened, '' when there is none."""
        found = re.search(r'<div class="toast[^"]*" data-toast><span>(.*?)</span>', self.text, re.S)
        return plain(found[1]) if found else ""

    @property
    def undo(self) -> str:
        """The address behind the toast's Undo."""
        found = re.search(r'data-toast>.*?<form method="post" action="([^"]+)"', self.text, re.S)
        assert found, f"no Undo on {self.url}: {self.toast}"
        return found[1]

    @property
    def rows(self) -> list[Row]:
        """The rows of a list of messages."""
        return [_row(part) for part in re.findall(r'<li class="row".*?</li>', self.text, re.S)]

    def number(self, pattern: str) -> int:
        """The number that a pattern's first group finds in the address or the source."""
        found = re.search(pattern, self.url) or re.search(pattern, self.text)
        assert found, f"{pattern} is not on {self.url}"
        return int(found[1])

    def json(self) -> Any:
        """The answer of the API."""
        return json.loads(self.raw)


def _row(part: str) -> Row:
    def one(pattern: str) -> str:
        found = re.search(pattern, part, re.S)
        return plain(found[1]) if found else ""

    return Row(
        pk=int(one(r'class="open who" href="/messages/\w+/(\d+)/')),
        who=one(r'class="open who"[^>]*>(?:<span class="sr">[^<]*</span>)?(.*?)</a>'),
        subject=one(r'<div class="subj"><span>(.*?)</span>'),
        preview=one(r'<div class="snip">(.*?)</div>'),
        unread=" data-unread" in part,
        words=plain(part),
        actions=tuple(re.findall(r'data-action="(\w+)" title=', part)),
    )


class Browser:
    """A session at the product's pages."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def sign_in(self, email: str, password: str) -> Page:
        """Sign in; the page that follows, also when refused."""
        self.get("/sign-in/")
        return self.post("/sign-in/", {"email": email, "password": password})

    def get(self, path: str) -> Page:
        """GET a path of the product; follows redirects."""
        return self._open(urllib.request.Request(self.base + path))

    def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, str, bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """POST a form as a page would; `files` maps a field to (name, type, bytes)."""
        fields = {name: str(value) for name, value in (data or {}).items() if value is not None}
        token = {"X-CSRFToken": self.cookie("postern-csrf"), **(headers or {})}
        if files is None:
            body, kind = urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = _multipart(fields, files)
        request = urllib.request.Request(
            self.base + path, data=body, headers={**token, "Content-Type": kind}, method="POST"
        )
        return self._open(request)

    def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        token: str = "",
        files: Mapping[str, tuple[str, str, bytes]] | None = None,
    ) -> Page:
        """Call the API with a bearer token and JSON (or files), without any cookie."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None if data is None else json.dumps(data).encode()
        if files is not None:
            body, headers["Content-Type"] = _multipart({}, files)
        elif body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, data=body, headers=headers, method=method)
        return self._open(request, urllib.request.build_opener())

    def cookie(self, name: str) -> str:
        """A cookie's value, '' when there is none."""
        return next((c.value or "" for c in self.jar if c.name == name), "")

    @contextlib.contextmanager
    def listens(self) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """Keep an event stream open, as a page does; yields the list into which (kind, data) are put.

        A last entry ("end", {}) says that the product closed the stream.
        """
        heard: list[tuple[str, dict[str, Any]]] = []
        request = urllib.request.Request(self.base + "/events/")
        stream = self._opener.open(request, timeout=60)
        assert stream.readline().startswith(b"retry:")
        thread = threading.Thread(target=_hear, args=(stream, heard), daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            with contextlib.suppress(OSError, AttributeError):  # no `fp`: the product has ended the stream
                stream.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread; close() would wait for it
            thread.join(10)
            stream.close()

    def _open(
        self, request: urllib.request.Request, opener: urllib.request.OpenerDirector | None = None
    ) -> Page:
        try:
            answer = (opener or self._opener).open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            raw = answer.read()
            page = Page(answer.status or 0, answer.url, raw.decode("utf-8", "replace"), raw)
        assert page.status < 500, (
            f"{request.get_method()} {request.full_url}: {page.status} {page.words[:300]}"
        )
        return page


def _hear(stream: Any, heard: list[tuple[str, dict[str, Any]]]) -> None:
    kind = ""
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        for line in stream:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                heard.append((kind, json.loads(line[6:])))
    heard.append(("end", {}))


def _multipart(fields: Mapping[str, str], files: Mapping[str, tuple[str, str, bytes]]) -> tuple[bytes, str]:
    edge = uuid.uuid4().hex
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, (filename, kind, data) in files.items():
        head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        parts.append(f"{head}Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
