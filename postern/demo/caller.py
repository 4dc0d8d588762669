"""One person at the API: JSON in, JSON out, nothing beyond the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class Refused(Exception):
    """The API said no. `code` is its stable word for why, the text its sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status = status
        self.code = code
        super().__init__(detail)


class Caller:
    """Calls /api/v1 with one person's token."""

    def __init__(self, base: str, token: str) -> None:
        self._base = f"{base}/api/v1"
        self._token = token
        # No proxy of the environment: this address is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, **query: Any) -> Any:
        """GET a path. Raises Refused."""
        return self._call("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path, None)

    def post(self, path: str, **body: Any) -> Any:
        """POST a body. Raises Refused."""
        return self._call("POST", path, body)

    def put(self, path: str, **body: Any) -> Any:
        """PUT a body. Raises Refused."""
        return self._call("PUT", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body, default=str).encode()
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=data, headers=head, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        return json.loads(text) if text else None


def _refusal(error: urllib.error.HTTPError) -> Refused:
    text = error.read()
    try:
        said = json.loads(text)
        return Refused(error.code, str(said.get("code", "")), str(said.get("detail", "")))
    except ValueError:
        return Refused(error.code, "", text[:200].decode("utf-8", "replace"))
