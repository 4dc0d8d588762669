"""Whatever is offered may be done: no link, no button and no action of the API ends at a refusal, whoever looks."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse

from tests.privacy import matrix
from tests.privacy.matrix import ACTORS, Row
from tests.privacy.offers import Offer, offers_of
from tests.privacy.scene import Scene
from tests.privacy.test_matrix import OPERATIONS, PAGES
from tests.reliability.scale import turn

REFUSALS = (401, 403, 404, 405)
READS = [actor for actor in ACTORS if actor != "stranger"]


def _shows(row: Row, actor: str) -> bool:
    whole = row.method == "GET" and not row.headers
    return whole and row.outcome[ACTORS.index(actor)] in ("sees", "done")


LOOKED_AT = [
    (actor, name)
    for name, rows in matrix.WEB.items()
    for actor in READS
    if any(_shows(row, actor) for row in rows)
]


@pytest.mark.parametrize(("actor", "name"), [one for number, one in enumerate(LOOKED_AT) if turn(number)])
def test_what_a_page_offers_may_be_done(scene, actor, name):
    """A twelfth of the pages, in `.ci/run` another each time; all in `./dev soak`."""
    keeps_its_word(scene, actor, name)


@pytest.mark.parametrize("name", ["known", "unknown", "sent", "confided", "aside"])
def test_what_the_api_offers_may_be_done(scene, name):
    for actor in READS:
        api_keeps_its_word(scene, actor, name)


def api_keeps_its_word(scene: Scene, actor: str, name: str) -> None:
    """A message names the actions on it; do each, as the person to whom it named them."""
    cache.clear()
    message = _ask(scene, actor, OPERATIONS["get_message"][1], Row(ANY, ids=(name,)))
    for key in [one["key"] for one in message.json()["actions"]] if message.status_code == 200 else ():
        template, row = _operation(key, name)
        assert _ask(scene, actor, template, row).status_code < 300, (actor, key)


ANY = matrix.EVERYBODY
BODIES = {row.ids[1]: row.body for row in matrix.API["act_on_message"]}
OPENS = {"view": "get_message", "reply": "reply", "forward": "forward"}


def _operation(key: str, name: str) -> tuple[str, Row]:
    """The address and the request by which a program does what is offered on a message of the scene."""
    if key in OPENS:
        method, template = OPERATIONS[OPENS[key]]
        return template, Row(ANY, method, (name,))
    return OPERATIONS["act_on_message"][1], Row(ANY, "POST", (name, f"={key}"), BODIES.get(f"={key}", {}))


def _ask(scene: Scene, actor: str, template: str, row: Row) -> HttpResponse:
    with transaction.atomic():
        response = scene.ask(actor, template, row)
        transaction.set_rollback(True)
    return response


def keeps_its_word(scene: Scene, actor: str, name: str) -> None:
    """Try each thing that a page offers somebody, as the browser would."""
    tried: set[Offer] = set()
    cache.clear()
    for row in (row for row in matrix.WEB[name] if _shows(row, actor)):
        address = scene.path(PAGES[name], row, missing=False) + scene._filled(row.query)
        for offer in offers_of(_page(scene, actor, address), address) - tried:
            tried.add(offer)
            status = _take(scene, actor, offer)
            assert status < 500 and status not in REFUSALS, f"{actor} at {address}: {offer}: {status}"


def _page(scene: Scene, actor: str, address: str) -> str:
    with transaction.atomic():
        response = scene.browser(actor).get(address)
        transaction.set_rollback(True)
    is_page = not response.streaming and response.headers.get("Content-Type", "").startswith("text/html")
    return response.content.decode() if is_page else ""


def _take(scene: Scene, actor: str, offer: Offer) -> int:
    with transaction.atomic():
        browser = scene.browser(actor)
        if offer.method == "GET":
            status = browser.get(offer.address, dict(offer.fields)).status_code
        else:
            status = browser.post(offer.address, dict(offer.fields)).status_code
        transaction.set_rollback(True)
    return status
