"""A server that speaks as much S3 as the letter store asks for, in a thread on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Objects(dict[str, bytes]):
    """What lies in the bucket; `refuse` makes every request fail with that status."""

    refuse = 0
    url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def objects(self) -> Objects:
        return self.server.objects  # type: ignore[attr-defined, no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"))
        self.end_headers()
        self.wfile.write(body)

    def _key(self) -> str:
        """The object's key; answers by itself, with '', when nothing may be had."""
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        if self.objects.refuse:
            self._answer(self.objects.refuse, b"<Error><Code>InsufficientStorage</Code></Error>")
            return ""
        if "AWS4-HMAC-SHA256 Credential=the-key/" not in self.headers.get("Authorization", ""):
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return ""
        return unquote(urlsplit(self.path).path).removeprefix("/letters").removeprefix("/") or "/"

    def do_PUT(self) -> None:
        if key := self._key():
            self.objects[key] = self.body
            self._answer(200)

    def do_GET(self) -> None:
        key = self._key()
        if key == "/":
            self._list(parse_qs(urlsplit(self.path).query).get("prefix", [""])[0])
        elif key in self.objects:
            self._answer(200, self.objects[key])
        elif key:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_DELETE(self) -> None:
        if key := self._key():
            self.objects.pop(key, None)
            self._answer(204)

    def do_POST(self) -> None:
        """DeleteObjects, as one request for several keys."""
        if self._key():
            keys = [piece.split("</Key>")[0] for piece in self.body.decode().split("<Key>")[1:]]
            for key in keys:
                self.objects.pop(key, None)
            done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-23T00:00:00.000Z</LastModified>"
            f'<ETag>"1"</ETag><Size>{len(data)}</Size></Contents>'
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        self._answer(
            200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()
        )


@contextmanager
def bucket() -> Iterator[Objects]:
    """Run it; the bucket is called `letters`, its key `the-key`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.objects = Objects()  # type: ignore[attr-defined]
    server.objects.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.objects  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
