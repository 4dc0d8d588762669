"""With whom one conversation is shared by name: that one by every door that reads, and through no door anything else."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from tests.privacy import matrix
from tests.privacy.matrix import Row, get, post, send
from tests.privacy.scene import GIRAFFE, OKAPI, QUAGGA, SERVAL, ZEBRA, content_of, whole_text
from tests.privacy.test_matrix import OPERATIONS, PAGES

COLLEAGUE = matrix.ACTORS.index("colleague")
# What the colleague column of the matrix says holds for everything else; this is what is shared.
READS: dict[str, list[Row]] = {
    "inbox": [get(()), get((), query="?q=giraffe")],
    "message": [get((), "confided")],
    "message-body": [get((), "confided")],
    "message-source": [get((), "confided")],
    "message-download": [get((), "confided")],
    "attachment": [get((), "confided", "file")],
    "communication": [get((), "customer")],
    "list_inbox": [get((), query="?q=giraffe")],
    "get_message": [get((), "confided")],
    "get_message_source": [get((), "confided")],
    "get_attachment": [get((), "confided", "file")],
    "get_conversation": [get((), "confided_thread")],
    "get_communication": [get((), "customer")],
}
ABSENT: dict[str, list[Row]] = {
    "share": [post((), "confided", colleague="{colleague}")],
    "share-remove": [post((), "confided", "confidant")],
    "share-add": [post((), "aside")],
    "act": [get((), "confided", "=pair"), post((), "confided", "=delete"), post((), "confided", "=unpair")],
    "compose-reply": [post((), "confided")],
    "compose-forward": [post((), "confided")],
    "list_shares": [get((), "confided_thread")],
    "share_conversation": [send("PUT", (), "confided_thread", "colleague")],
    "take_back_share": [send("DELETE", (), "confided_thread", "confidant")],
    "add_to_conversation": [post((), "aside")],
    "reply": [post((), "confided")],
    "forward": [post((), "confided")],
    "suggest_customers": [get((), "confided")],
    "get_mailbox": [get((), "mailbox")],
    "list_readers": [get((), "mailbox")],
    "get_ledger": [get((), "mailbox")],
}


def _template(name: str) -> str:
    return PAGES[name] if name in PAGES else OPERATIONS[name][1]


def _rows(table: dict[str, list[Row]]) -> list[Any]:
    return [
        pytest.param(name, row, id=f"{name}-{n}")
        for name, rows in table.items()
        for n, row in enumerate(rows)
    ]


@pytest.mark.rule("S-060")
@pytest.mark.parametrize(("name", "row"), _rows(READS))
def test_they_read_that_conversation(scene, name, row):
    owners = scene.owners_rows("")
    with transaction.atomic():
        response = scene.ask("confidant", _template(name), row)
        assert response.status_code == 200
        assert GIRAFFE in whole_text(response)
        check_words(response, name)
        assert scene.owners_rows("") == owners
        transaction.set_rollback(True)
    for other in ("colleague", "noimap", "boss"):
        with transaction.atomic():
            response = scene.ask(other, _template(name), row)
            told = whole_text(response).replace("q=giraffe", "").replace('value="giraffe"', "")
            assert GIRAFFE not in told.replace("“giraffe”", ""), other
            transaction.set_rollback(True)


@pytest.mark.rule("S-062")
@pytest.mark.parametrize(("name", "row"), _rows(ABSENT))
def test_they_do_nothing_with_it_and_the_answer_is_the_one_for_what_is_not_there(scene, name, row):
    before = scene.tables()
    with transaction.atomic():
        response = scene.ask("confidant", _template(name), row)
        missing = scene.ask("confidant", _template(name), row, missing=True)
        assert response.status_code == missing.status_code == 404
        assert content_of(response) == content_of(missing)
        assert scene.tables() == before
        transaction.set_rollback(True)


@pytest.mark.rule("S-062")
def test_to_everything_else_they_are_a_colleague(scene):
    """Every reading row of the matrix that does not name the shared conversation, as this person."""
    asked = 0
    for name, rows in (*matrix.WEB.items(), *matrix.API.items()):
        for row in rows:
            theirs = {"confided", "confided_thread"} & set(row.ids)
            if row.method != "GET" or theirs or (name in READS and not row.ids):
                continue
            with transaction.atomic():
                response = scene.ask("confidant", _template(name), row)
                where = f"{row.method} {name}: {response.status_code}"
                check_words(response, where)
                outcome = row.outcome[COLLEAGUE]
                if outcome == "absent":
                    assert response.status_code == 404, where
                elif outcome in ("sees", "done"):
                    assert response.status_code < 400, where
                asked += 1
                transaction.set_rollback(True)
    assert asked > 60


def check_words(response: Any, where: str) -> None:
    text = whole_text(response)
    for word in (ZEBRA, OKAPI, QUAGGA, SERVAL):
        assert word not in text, (word, where)
