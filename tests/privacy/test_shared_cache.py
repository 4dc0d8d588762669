"""Two people behind one caching proxy: nobody is given another's page, file, image or event stream (S-105)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from tests.privacy import matrix
from tests.privacy.proxy import Answer, SharedCache
from tests.privacy.scene import OKAPI, ZEBRA, Scene, whole_text
from tests.privacy.test_matrix import OPERATIONS, PAGES

ACTORS = ("owner", "colleague", "reader", "boss", "stranger", "owner")
EVERYBODYS = ("/static/postern/postern.css", "/static/postern/js/live.js", "/fonts/inter.ttf")
"""What a cache may keep: it is in every copy of the program."""


def told(response: HttpResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.items()}
    # An event stream is not waited for: a cache would keep what came so far.
    return Answer(response.status_code, headers, b"" if response.streaming else response.content)


def asked(scene: Scene, actor: str, *, api: bool) -> dict[str, str]:
    """The headers by which the server knows who asks."""
    token = scene._tokens[actor]
    if api:
        return {"authorization": f"Bearer {token}"} if token else {}
    cookies = scene._cookies[actor]
    return {"cookie": "; ".join(f"{name}={one.value}" for name, one in cookies.items())} if cookies else {}


def targets(scene: Scene) -> Iterator[tuple[str, matrix.Row]]:
    """Every page and operation that is read: template and row."""
    for name, rows in matrix.WEB.items():
        yield from ((PAGES[name], row) for row in rows if row.method == "GET")
    for name, rows in matrix.API.items():
        yield from ((OPERATIONS[name][1], row) for row in rows if row.method == "GET")


def through(cache: SharedCache, scene: Scene, actor: str, template: str, row: matrix.Row) -> Answer:
    path = scene.path(template, row, missing=False) + scene._filled(row.query)

    def origin(headers: dict[str, str]) -> Answer:
        with transaction.atomic():
            answer = told(scene.ask(actor, template, row))
            transaction.set_rollback(True)
        return answer

    return cache.get(path, asked(scene, actor, api=template.startswith("/api/")), origin)


@pytest.fixture
def scene(db: None, acting_as: Any) -> Scene:
    return Scene(acting_as)


@pytest.mark.rule("S-105")
def test_s105_a_shared_cache_keeps_nothing_that_is_somebodys(scene):
    cache, given = SharedCache(), 0
    for template, row in targets(scene):
        for actor in ACTORS:
            answer = through(cache, scene, actor, template, row)
            given += answer.status == 200
    assert cache.kept | set(cache.hits) <= set(EVERYBODYS)
    assert given > 200  # pages were asked for, not the way to sign in


@pytest.mark.rule("S-105")
@pytest.mark.rule("S-106")
def test_s105_files_images_and_streams_are_among_them(scene):
    """The table above names them; were one left out there, nothing would be asked."""
    names = {
        name
        for name, rows in (*matrix.WEB.items(), *matrix.API.items())
        if any(r.method == "GET" for r in rows)
    }
    assert names >= {
        "inbox", "message", "message-body", "attachment", "message-download", "message-source", "communication", "events",
        "live",
    }  # fmt: skip
    stream = through(SharedCache(), scene, "owner", PAGES["events"], matrix.WEB["events"][0])
    assert (
        stream.headers["content-type"] == "text/event-stream"
        and stream.headers["cache-control"] == "no-store"
    )


@pytest.mark.rule("S-105")
def test_s105_the_same_cache_would_give_the_mail_away_if_a_page_let_it(scene):
    """That the test above can fail: with the header of a page that forgot, the colleague reads the owner's inbox."""
    row = next(row for row in matrix.WEB["message-body"] if row.method == "GET")
    template = PAGES["message-body"]

    def forgetful(actor: str, headers: dict[str, str], _: dict[str, str]) -> Answer:
        answer = told(scene.ask(actor, template, row))
        kept = {
            name: value for name, value in answer.headers.items() if name not in ("cache-control", "vary")
        }
        return Answer(answer.status, kept | headers, answer.body)

    for headers, given_away in (
        ({}, True),
        ({"cache-control": "max-age=60"}, True),
        ({"cache-control": "max-age=60", "vary": "Cookie"}, False),
        ({"cache-control": "private, max-age=60"}, False),
        ({"cache-control": "no-store"}, False),
    ):
        cache = SharedCache()
        for actor in ("owner", "colleague"):
            answer = cache.get("/", asked(scene, actor, api=False), partial(forgetful, actor, headers))
        assert (ZEBRA.encode() in answer.body) == given_away, headers


@pytest.mark.rule("S-105")
def test_s105_what_is_everybodys_is_kept_and_holds_nothing_of_anybodys(scene):
    cache = SharedCache()
    for path in EVERYBODYS:
        for actor in ("owner", "colleague"):
            client: Client = scene.browser(actor)

            def origin(headers: dict[str, str], client: Client = client, path: str = path) -> Answer:
                response = client.get(path)
                assert not any(word in whole_text(response) for word in (ZEBRA, OKAPI))
                assert (
                    "set-cookie" not in {name.lower() for name, _ in response.items()}
                    and not response.cookies
                )
                return told(response)

            assert cache.get(path, asked(scene, actor, api=False), origin).status == 200
    assert cache.kept == set(EVERYBODYS)
    assert cache.hits == list(
        EVERYBODYS[:2]
    )  # the font varies by cookie, for no reason but that the session was looked at


@pytest.mark.parametrize(
    ("headers", "second", "hit"),
    [
        ({}, {}, True),
        ({"cache-control": "max-age=0"}, {}, False),
        ({"cache-control": "no-cache", "etag": '"a"'}, {}, True),
        ({"cache-control": "no-cache"}, {}, False),
        ({"cache-control": "max-age=9"}, {"authorization": "Bearer x"}, False),
        ({"cache-control": "public, max-age=9"}, {"authorization": "Bearer x"}, True),
        ({"cache-control": "private"}, {}, False),
        ({"cache-control": "no-store, max-age=9"}, {}, False),
        ({"vary": "*"}, {}, False),
        ({"vary": "Accept"}, {"accept": "b"}, False),
        ({"vary": "Accept"}, {"accept": "a", "cookie": "c"}, True),
    ],
)
def test_the_cache_obeys_the_rfc(headers, second, hit):
    first = {"accept": "a"} | {name: "Bearer first" for name in second if name == "authorization"}
    cache = SharedCache()

    def origin(given: dict[str, str]) -> Answer:
        return Answer(304 if "if-none-match" in given else 200, headers, b"body")

    cache.get("/", first, origin)
    assert cache.get("/", second, origin).body == b"body" or not hit
    assert bool(cache.hits) == hit
