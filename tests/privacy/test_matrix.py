"""S-054 and S-055: every page and operation against its row of the matrix, for every actor."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.urls import URLPattern, URLResolver, include, path
from ninja import NinjaAPI

from postern.api import inbox
from postern.api.urls import api
from postern.mail.models import Message
from postern.people.models import Customer
from postern.project.urls import urlpatterns as root
from postern.web.urls import urlpatterns
from tests.privacy import matrix
from tests.privacy.matrix import ACTORS, Row
from tests.privacy.scene import MISSING, OKAPI, QUAGGA, SERVAL, ZEBRA, Scene, content_of, whole_text
from tests.privacy.statements import asked
from tests.privacy.twins import TWINS
from tests.reliability.scale import turn

WORDS = (ZEBRA, OKAPI, QUAGGA, SERVAL)
SEERS, SEEN = (
    ("owner", "reader", "answerer"),
    ("known", "unknown", "sent", "thread", "confided", "added", "aside"),
)
"""Who reads this mail learns nothing from how long they are refused what is the owner's alone; all others might."""


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


def asked_of(*names: str) -> list[tuple[str, Row]]:
    """Every row of these pages and operations, with the address that it asks; of all, if none is named."""
    found = [(name, PAGES[name], row) for name, row in WEB_CASES]
    found += [(name, OPERATIONS[name][1], row) for name, row in API_CASES]
    return [(template, row) for name, template, row in found if not names or name in names]


def _label(value: Any) -> str | None:
    if not isinstance(value, Row):
        return None
    return "-".join((value.method, *value.ids, *(f"{k}:{v}" for k, v in value.headers))) + value.query


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


@pytest.mark.rule("S-054")
@pytest.mark.parametrize(
    ("name", "row"), [one for n, one in enumerate(WEB_CASES + API_CASES) if turn(n)], ids=_label
)
def test_the_query_layer_alone_holds(scene, acting_as, name, row):
    """The same outcomes where row security lets everything pass; test_policies.py has the other lock alone.

    A twelfth of them, in `.ci/run` another each time; all in `./dev soak`.
    """
    with acting_as("superuser"):
        hold(scene, PAGES[name] if row in matrix.WEB.get(name, ()) else OPERATIONS[name][1], row)


def test_an_answer_that_asks_more_about_what_is_there_would_be_found(scene, acting_as, monkeypatch):
    """The test of these tests: the same 404, but one question later."""
    whole = inbox.visible

    def slower(staff, pk):
        if Message.objects.filter(pk=pk).exists():
            Message.objects.count()
        return whole(staff, pk)

    monkeypatch.setattr(inbox, "visible", slower)
    [row] = matrix.API["mark_message_read"]
    with acting_as("superuser"), pytest.raises(AssertionError, match="other statements"):
        hold(scene, OPERATIONS["mark_message_read"][1], row)


@pytest.mark.parametrize("ending", ["kept", "taken back"])
def test_a_row_that_a_request_wrote_is_counted_even_where_that_was_taken_back(scene, acting_as, ending):
    """The test of these tests: whoever only looked, also for what is not there, has written none."""
    with transaction.atomic():
        written = scene.written()
        scene.ask("owner", PAGES["inbox"], matrix.WEB["inbox"][0])
        scene.ask("colleague", PAGES["inbox"], matrix.WEB["inbox"][0])
        assert scene.written() == written
        with transaction.atomic(), acting_as("superuser"):
            Message.objects.filter(pk=scene.ids["known"]).update(subject="other")
            transaction.set_rollback(ending == "taken back")
        more = scene.written()
        assert more.pop("mail_message") > written.pop("mail_message", 0)
        assert more == written
        transaction.set_rollback(True)


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_refused_request_writes_would_be_found(scene, monkeypatch, beside):
    """The test of these tests: a row of its own transaction, and one that another session leaves meanwhile."""
    whole, wrote = scene.ask, []

    def leave_a_row() -> None:
        with scene.acting_as("superuser", everywhere=False):
            wrote.append(Customer.objects.create(name="left behind").pk)
        if beside:
            connection.close()

    def leaving(actor, *asked, **more):
        response = whole(actor, *asked, **more)
        if actor == "colleague" and beside and not wrote:
            thread = threading.Thread(target=leave_a_row)
            thread.start()
            thread.join()
        elif actor == "colleague" and not wrote:
            leave_a_row()
        return response

    monkeypatch.setattr(scene, "ask", leaving)
    [row] = matrix.API["mark_message_read"]
    try:
        with pytest.raises(AssertionError, match="beside its own" if beside else "people_customer"):
            hold(scene, OPERATIONS["mark_message_read"][1], row)
    finally:
        with scene.acting_as("superuser"):
            Customer.objects.filter(pk__in=wrote).delete()


def hold(scene: Scene, template: str, row: Row) -> None:
    """Ask as every actor, each time from the same state, and compare with the outcome of the row.

    What is forbidden and what is not there also ask the database the same, so that the time tells nothing. Not where a
    row names no thing: that a page is there, everybody may read in the program's text.
    """
    outcomes = dict(zip(ACTORS, row.outcome, strict=True))
    outcomes |= {twin: outcomes[actor] for twin, actor in TWINS.items()}
    cache.clear()  # calls with tokens that do not work are counted there, and the door shuts after thirty
    before, owners = scene.tables(), scene.owners_rows("")
    for actor, outcome in outcomes.items():
        with transaction.atomic():
            others = scene.owners_rows(actor) if actor == "answerer" else owners
            written = scene.written()
            with asked() as here:
                response = scene.ask(actor, template, row)
            where = f"{actor} {row.method} {template}: {response.status_code}, not {outcome}"
            check(outcome, response, where)
            check_words(actor, response, where)
            if scene.written() == written:
                pass  # so all is as it was
            elif outcome not in ("sees", "done"):
                assert _changed(before, scene.tables()) == [], where
            elif actor != "owner":
                assert _changed(others, scene.owners_rows(actor)) == [], where
            if outcome in ("absent", "same"):
                with asked() as nowhere:
                    missing = scene.ask(actor, template, row, missing=True)
                assert missing.status_code == response.status_code, where
                assert _as_asked(scene, row, content_of(missing)) == content_of(response), where
                assert _ways(missing) == _ways(response), where
                if row.ids and not (actor in SEERS and row.ids[0] in SEEN):
                    assert nowhere == here, f"{where}, and other statements than for what is not there"
            transaction.set_rollback(True)
    assert _changed(before, scene.tables()) == [], f"{row.method} {template} wrote beside its own transaction"


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
        from_htmx = response.headers.get("HX-Redirect") == "/sign-in/" and not response.content
        assert signing_in or from_htmx or status == 401, where
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


def _as_asked(scene: Scene, row: Row, answer: bytes) -> bytes:
    """An answer about what never was, had it been asked for by the row's id: some repeat the address."""
    named = [scene.ids[name] for name in row.ids[:1] if name in scene.ids]
    return answer.replace(b"%d" % MISSING, b"%d" % named[0]) if named else answer


def _ways(response: Any) -> dict[str, str]:
    """Where an answer leads, and what it makes htmx do."""
    return {name: told for name, told in response.items() if name == "Location" or name.startswith("HX-")}


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [table for table, digest in before.items() if after[table] != digest]
