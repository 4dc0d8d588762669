"""Headers of every answer, signed in or not, page or file or error (S-104, S-105)."""

import asyncio
import re

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from postern.web.base.middleware import SecurityHeaders, policy


def answer(make: HttpResponse, **request: object) -> HttpResponse:
    got = SecurityHeaders(lambda _: make)(RequestFactory().get("/", **request))
    assert isinstance(got, HttpResponse)
    return got


def test_every_answer_is_closed_by_default() -> None:
    headers = answer(HttpResponse()).headers
    rules = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert (
        rules["default-src"]
        == rules["object-src"]
        == rules["base-uri"]
        == rules["frame-ancestors"]
        == "'none'"
    )
    assert re.fullmatch(r"'self' 'nonce-[\w-]{20,}'", rules["script-src"])
    assert rules["style-src"] == rules["form-action"] == rules["frame-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


def test_a_secure_answer_says_so() -> None:
    assert (
        answer(HttpResponse(), secure=True)
        .headers["Strict-Transport-Security"]
        .startswith("max-age=31536000")
    )


def test_two_answers_have_two_nonces() -> None:
    nonces = {answer(HttpResponse()).headers["Content-Security-Policy"] for _ in range(5)}
    assert len(nonces) == 5


def test_a_view_may_have_its_own_policy_and_lifetime() -> None:
    own = HttpResponse(
        headers={"Content-Security-Policy": policy(frame_ancestors="'self'"), "Cache-Control": "private"}
    )
    headers = answer(own).headers
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "private"


@pytest.mark.parametrize(
    ("asked_by", "location", "sent"),
    [
        ({"HX-Request": "true"}, "/sign-in/?next=/messages/", True),
        ({"HX-Request": "true"}, "/customers/", False),
        ({}, "/sign-in/?next=/messages/", False),
    ],
)
def test_an_ended_session_leaves_the_fragment(asked_by: dict[str, str], location: str, sent: bool) -> None:
    got = answer(HttpResponse(status=302, headers={"Location": location}), headers=asked_by)
    assert ("HX-Redirect" in got.headers) is sent
    assert got.status_code == (200 if sent else 302)


def test_it_serves_an_asynchronous_chain() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("here")

    middleware = SecurityHeaders(view)
    assert iscoroutinefunction(middleware)

    async def ask() -> HttpResponse:
        return await middleware(RequestFactory().get("/"))  # type: ignore[misc]

    assert "nonce-" in asyncio.run(ask()).headers["Content-Security-Policy"]
