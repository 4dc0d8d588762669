"""The API, mounted at /api/v1/: one router a resource. OpenAPI at /api/v1/openapi.json."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from postern.api import (
    access,
    communication,
    compose,
    config,
    inbox,
    leaving,
    mailboxes,
    people,
    probes,
    profile,
    readerlog,
    sharing,
    tokens,
    trust,
)
from postern.api.auth import Bearer
from postern.api.door import guard
from postern.api.errors import answer_refusals, not_found
from postern.api.openapi import DescribedAPI

DESCRIPTION = """\
Everything that the pages can do, through the same privacy wall. Send `Authorization: Bearer …` with a token made
in My Profile or by `postern token`. Every refusal is application/problem+json (RFC 9457) with a stable `code`.
What is not yours answers exactly like what is not there. Lists are paged by `cursor`: pass `next_cursor` on.
"""

api = DescribedAPI(title="Postern", version="1", description=DESCRIPTION, docs_url=None, auth=Bearer())
answer_refusals(api)

for _prefix, _router in (
    ("", inbox.router),
    ("", sharing.router),
    ("", compose.router),
    ("/customers", people.router),
    ("/customers", communication.router),
    ("", profile.router),
    ("", mailboxes.router),
    ("", access.router),
    ("", readerlog.router),
    ("", trust.mine),
    ("", probes.router),
    ("", leaving.mine),
    ("/config", config.router),
    ("/config", leaving.config),
    ("/config", trust.config),
    ("/tokens", tokens.router),
):
    api.add_router(_prefix, _router)


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """No address of ours: the same answer as for what is not there."""
    return not_found(request)


_patterns, _app, _namespace = api.urls
for _pattern in _patterns:
    assert isinstance(_pattern, URLPattern)
    # Ninja finds its own root by this name; there is nothing to see at it.
    _pattern.callback = nowhere if _pattern.name == "api-root" else guard(_pattern.callback)

urlpatterns = [path("", (_patterns, _app, _namespace)), re_path(r"", nowhere)]
