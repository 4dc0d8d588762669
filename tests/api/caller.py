"""A program that calls the API with somebody's token."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse

from postern.mail.access import viewing_as
from postern.people.models import Staff
from postern.people.tokens import make_token
from tests.web.browser import Browser

ROOT = "/api/v1"


class Caller:
    """Sends JSON; `staff=None` sends no token."""

    def __init__(self, staff: Staff | None = None, *, token: str = "") -> None:
        if staff is not None:
            with viewing_as(staff):
                token = make_token(staff=staff, name="tests")[1]
        self.token = token
        self.client = Browser(enforce_csrf_checks=True, raise_request_exception=False)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> HttpResponse:
        """One request; `headers` and, for an upload, `data` go to Django's client as they are."""
        headers = options.pop("headers", {})
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}", **headers}
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        return self.client.generic(method, ROOT + path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> HttpResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        return self.call("POST", path, {} if body is None else body, **options)

    def patch(self, path: str, body: Any) -> HttpResponse:
        return self.call("PATCH", path, body)

    def put(self, path: str, body: Any) -> HttpResponse:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.call("DELETE", path)

    def upload(self, path: str, file: Any, **fields: Any) -> HttpResponse:
        """A multipart POST with one file."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.post(ROOT + path, {"file": file, **fields}, headers=headers)


def refused(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """Check a refusal's shape, and return it."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    told = response.json()
    assert (told["status"], told["code"]) == (status, code), told
    assert set(told) <= {"type", "title", "status", "code", "detail", "fields"}
    return told


def ok(response: HttpResponse, status: int = 200) -> Any:
    """Check for success, and return the JSON (None when empty)."""
    assert response.status_code == status, response.content
    return response.json() if response.content else None
