"""S-054 and S-055: every page and operation against its row of the matrix, for every actor."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.urls import URLPattern, URLResolver, include, path
from ninja import NinjaAPI

from postern.api.urls import api
from postern.project.urls import urlpatterns as root
from postern.web.urls import urlpatterns
from tests.privacy import matrix
from tests.privacy.matrix import ACTORS, Row
from tests.privacy.scene import OKAPI, QUAGGA, SERVAL, ZEBRA, Scene, content_of, whole_text
from tests.privacy.twins import TWINS, add_twins
from tests.reliability.scale import SOAK

WORDS = (ZEBRA, OKAPI, QUAGGA, SERVAL)


def _pages(patterns: list[Any], before: str = "/") -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in patterns:
        place = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= _pages(pattern.url_patterns, place)
        elif isinstance(pattern, URLPattern):
            assert pattern.name and pattern.name not in found, f"{place} needs a name of its own"
            found[pattern.name] = place
    return found


def _operations(api: NinjaAPI = api) -> dict[str, tuple[str, str]]:
    paths = api.get_openapi_schema(path_prefix="/api/v1/")["paths"]
    return {
        told["operationId"]: (method.upper(), path)
        for path, methods in paths.items()
        for method, told in methods.items()
    }


PAGES, OPERATIONS = _pages(urlpatterns), _operations()
WEB_CASES = [(name, row) for name, rows in matrix.WEB.items() for row in rows]
API_CASES = [(name, row) for name, rows in matrix.API.items() for row in rows]


def _label(value: Any) -> str | None:
    return "-".join((value.method, *value.ids)) + value.query if isinstance(value, Row) else None


_kept: list[Scene] = []


@pytest.fixture
def scene(request, database, acting_as) -> Scene:
    """One scene for all rows, since every request is rolled back; a new one where another test emptied the tables."""
    if not _kept or not _kept[0].still_there():
        request.getfixturevalue("db")
        _kept[:] = [Scene(acting_as)]
        add_twins(_kept[0])
    return _kept[0]


def test_every_page_has_its_row():
    assert set(PAGES) == set(matrix.WEB)


def test_a_new_page_or_operation_without_its_row_would_be_found():
    """The test of these tests: what reads the program's routes reads a new one, nested or not, and not by name alone."""
    new = path("new/", include([path("<int:pk>/", lambda request, pk: None, name="new-page")]))
    assert _pages([*urlpatterns, new]).keys() - set(matrix.WEB) == {"new-page"}
    with pytest.raises(AssertionError, match="needs a name"):
        _pages([*urlpatterns, path("nameless/", lambda request: None)])
    other = NinjaAPI(urls_namespace="other")
    other.get("/thing/{int:pk}", operation_id="new_operation")(lambda request, pk: None)
    assert _operations(other).keys() - set(matrix.API) == {"new_operation"}


def test_the_program_has_no_door_but_pages_and_api():
    """Whatever the root serves is in one of the two lists; a third include would have no rows at all."""
    assert [str(one.pattern) for one in root] == ["api/v1/", ""]


def test_every_operation_has_its_row():
    assert set(OPERATIONS) == set(matrix.API)
    assert all(row.method == OPERATIONS[name][0] for name, row in API_CASES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_method_without_its_row_is_refused(scene, name):
    rows = matrix.WEB[name]
    actor = "boss" if rows[0].outcome == matrix.SUPER else "owner"
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {row.method for row in rows}:
        path = scene.path(PAGES[name], rows[0], missing=False)
        with transaction.atomic():
            response = scene.browser(actor).generic(method, path)
            transaction.set_rollback(True)
        assert response.status_code == 405, (method, path)


@pytest.mark.rule("S-054")
@pytest.mark.parametrize(("name", "row"), WEB_CASES, ids=_label)
def test_s054_pages(scene, name, row):
    hold(scene, PAGES[name], row)


@pytest.mark.rule("S-055")
@pytest.mark.parametrize(("name", "row"), API_CASES, ids=_label)
def test_s055_operations(scene, name, row):
    hold(scene, OPERATIONS[name][1], row)


# Elsewhere one line among what was skipped stands for all.
_BOTH = [*WEB_CASES, *API_CASES] if SOAK else WEB_CASES[:1]


@pytest.mark.soak
@pytest.mark.rule("S-054")
@pytest.mark.parametrize(("name", "row"), _BOTH, ids=_label)
def test_the_query_layer_alone_holds(scene, acting_as, name, row):
    """The same outcomes where row security lets everything pass; test_policies.py has the other lock alone."""
    with acting_as("superuser"):
        hold(scene, PAGES[name] if row in matrix.WEB.get(name, ()) else OPERATIONS[name][1], row)


def hold(scene: Scene, template: str, row: Row) -> None:
    """Ask as every actor, each time from the same state, and compare with the outcome of the row."""
    outcomes = dict(zip(ACTORS, row.outcome, strict=True))
    outcomes |= {twin: outcomes[actor] for twin, actor in TWINS.items()}
    cache.clear()  # calls with tokens that do not work are counted there, and the door shuts after thirty
    before, owners = scene.tables(), scene.owners_rows("")
    for actor, outcome in outcomes.items():
        with transaction.atomic():
            others = scene.owners_rows(actor) if actor == "answerer" else owners
            response = scene.ask(actor, template, row)
            where = f"{actor} {row.method} {template}: {response.status_code}, not {outcome}"
            check(outcome, response, where)
            check_words(actor, response, where)
            if outcome not in ("sees", "done"):
                assert _changed(before, scene.tables()) == [], where
            elif actor != "owner":
                assert _changed(others, scene.owners_rows(actor)) == [], where
            if outcome in ("absent", "same"):
                missing = scene.ask(actor, template, row, missing=True)
                assert missing.status_code == response.status_code, where
                assert content_of(missing) == content_of(response), where
                assert missing.headers.get("Location") == response.headers.get("Location"), where
            transaction.set_rollback(True)


def check(outcome: str, response: Any, where: str) -> None:
    status = response.status_code
    if outcome in ("sees", "done"):
        assert status < 400, where
        assert outcome == "done" or any(word in whole_text(response) for word in WORDS), where
    elif outcome == "absent":
        assert status == 404, where
    elif outcome == "refused":
        assert 400 <= status < 500 and status != 404, where
    elif outcome == "door":
        signing_in = status == 302 and response.headers["Location"].startswith("/sign-in/")
        assert signing_in or status == 401, where
    else:
        assert outcome == "same" and status < 500, where


def check_words(actor: str, response: Any, where: str) -> None:
    """The owner's mail is the owner's and their readers'; what is one person's alone reaches nobody else."""
    text = whole_text(response)
    if actor != "owner":
        assert OKAPI not in text, where
    if actor != "answerer":
        assert QUAGGA not in text, where
    if actor not in ("owner", "answerer"):
        assert SERVAL not in text, where
    if actor not in ("owner", "reader", "answerer"):
        assert ZEBRA not in text, where


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [table for table, digest in before.items() if after[table] != digest]
