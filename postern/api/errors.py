"""Refusals as problem+json (RFC 9457), each with a stable `code`. Not allowed looks exactly like not there."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from postern.mail.actions import ActionRefused
from postern.mail.away import AWAY, RETRY_SECONDS, no_room
from postern.mail.pairing import PairingRefused
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.probe import TooMany
from postern.outbox.compose import ComposeError
from postern.people.csvimport import CsvError
from postern.people.staff import StaffRefused

log = logging.getLogger(__name__)

# The state of things stands in the way, not what was sent: 409. Every other code of ours is a 422.
CONFLICTS = frozenset(
    [
        "access_ended",
        "address_taken",
        "already_sent",
        "conflict",
        "last_super",
        "not_disabled",
        "not_a_lead",
        "not_editable",
        "not_offered",
        "not_paired",
        "number_taken",
        "own_password",
        "too_late",
    ]
)
# Ids are asked for in these: whose they are stays untold.
ABSENT = frozenset(["no_such_action", "not_owner", "nothing_to_undo"])


class Refusal(Exception):
    """A refusal of this room's own; `fields` maps a field to what is wrong with it."""

    def __init__(self, code: str, message: str, fields: Mapping[str, list[str]] | None = None) -> None:
        self.code = code
        self.fields = fields
        super().__init__(message)


def problem(
    status: int, code: str, detail: str, fields: Mapping[str, list[str]] | None = None, **headers: str
) -> HttpResponse:
    """Return an answer of type application/problem+json."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if fields:
        body["fields"] = dict(fields)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(
        json.dumps(body, ensure_ascii=False),
        status=status,
        content_type="application/problem+json",
        headers=names,
    )


def not_found(request: HttpRequest, _: Any = None) -> HttpResponse:
    """The one answer for what is not there and for what is not this person's."""
    return problem(404, "not_found", "There is nothing here.")


def refused(code: str, detail: str, fields: Mapping[str, list[str]] | None = None) -> HttpResponse:
    """409 or 422, as the code says."""
    if code in ABSENT:
        return problem(404, "not_found", "There is nothing here.")
    return problem(409 if code in CONFLICTS else 422, code, detail, fields)


def _unauthorised(request: HttpRequest, _: Any) -> HttpResponse:
    detail = "Send a working token: Authorization: Bearer …"
    return problem(401, "unauthorised", detail, WWW_Authenticate="Bearer")


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """Name each field. What was sent is not repeated: it may be a password."""
    fields: dict[str, list[str]] = {}
    for fault in error.errors:
        place = [str(step) for step in fault["loc"]]
        name = ".".join(place[2:] if place[0] == "body" and len(place) > 2 else place[1:]) or "body"
        fields.setdefault(name, []).append(str(fault["msg"]))
    return problem(422, "invalid", "Some fields cannot be taken.", fields)


def _http(request: HttpRequest, error: Any) -> HttpResponse:
    if error.status_code == 404:
        return not_found(request)
    code = {400: "bad_request", 429: "too_many"}.get(error.status_code, "refused")
    if isinstance(error, Throttled):
        return problem(429, code, str(error), Retry_After=str(error.wait))
    return problem(error.status_code, code, str(error))


def _too_many(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(429, error.code, str(error), Retry_After=str(error.retry_after))


def _compose(request: HttpRequest, error: Any) -> HttpResponse:
    return refused(error.code, str(error), {name: [text] for name, text in error.fields.items()})


def _settings(request: HttpRequest, error: Any) -> HttpResponse:
    return refused(error.code, str(error), error.fields)


def _coded(request: HttpRequest, error: Any) -> HttpResponse:
    fields = {error.field: [str(error)]} if isinstance(error, StaffRefused) else None
    return refused(error.code, str(error), getattr(error, "fields", fields))


def _csv(request: HttpRequest, error: Any) -> HttpResponse:
    return refused("csv_unreadable", str(error), {"file": [str(error)]})


def _malformed(request: HttpRequest, error: Any) -> HttpResponse:
    if isinstance(error, RequestDataTooBig):
        return problem(413, "too_large", "The request is too large.")
    return problem(400, "bad_request", "The request cannot be read.")


def store_away(request: HttpRequest, error: Any) -> HttpResponse:
    """503: the database, or the store of raw letters, does not answer, or has no room (R-008, R-009)."""
    log.warning("API 503: %s %s: %s", request.method, request.path, type(error).__name__)
    detail = "Postern cannot reach its database at the moment. It passes by itself; try again."
    if no_room(error):
        detail = "The disk of Postern’s database is full. As soon as somebody makes room, try again."
    return problem(503, "unavailable", detail, Retry_After=str(RETRY_SECONDS))


def fault(request: HttpRequest, error: Any) -> HttpResponse:
    """500: generic words and a number that finds the line in the log (S-113)."""
    number = secrets.token_hex(4)
    log.error("API error %s: %s %s", number, request.method, request.path, exc_info=error)
    return problem(500, "server_error", f"Something went wrong here. Number {number} finds it in the log.")


def answer_refusals(api: NinjaAPI) -> None:
    """Register an answer for everything that an operation may raise."""
    for kinds, handler in (
        ((Http404, ObjectDoesNotExist, PermissionDenied), not_found),
        ((AuthenticationError,), _unauthorised),
        ((ValidationError,), _invalid),
        ((HttpError,), _http),
        ((TooMany,), _too_many),
        ((ComposeError,), _compose),
        ((SettingsError,), _settings),
        ((ActionRefused, PairingRefused, StaffRefused, Refusal), _coded),
        ((CsvError,), _csv),
        ((SuspiciousOperation, MultiPartParserError), _malformed),
        (AWAY, store_away),
        ((Exception,), fault),
    ):
        for kind in kinds:
            api.add_exception_handler(kind, handler)
