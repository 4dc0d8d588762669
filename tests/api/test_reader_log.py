"""The reader log through the API, and who is told who else reads."""

from __future__ import annotations

from typing import Any

import pytest

from postern.mailboxes.models import Reader
from tests.api.caller import ok, refused


def lines(caller: Any, query: str = "") -> list[dict[str, Any]]:
    return ok(caller.get(f"/reader-log{query}"))["openings"]


def test_each_operation_that_gives_a_letter_away_leaves_a_line(scene: Any, acting_as: Any) -> None:
    with acting_as("superuser"):
        Reader.objects.update(may_reply=True)
        index = scene.known.attachments.first().index
    message, thread = scene.known.pk, scene.known.conversation_id
    asked = {
        f"/messages/{message}": "body",
        f"/messages/{message}/source": "source",
        f"/messages/{message}/attachments/{index}": "file",
    }
    for path, what in asked.items():
        for caller in (scene.owner, scene.reader):
            assert caller.get(path).status_code == 200
        assert lines(scene.owner)[0]["what"] == what
    ok(scene.reader.get(f"/conversations/{scene.sent.conversation_id}"))
    assert lines(scene.owner)[0]["what"] == "conversation"
    ok(scene.reader.post(f"/messages/{message}/reply"), 201)
    assert lines(scene.owner)[0]["what"] == "reply"
    ok(scene.reader.get(f"/conversations/{thread}"))  # the body of that message is noted already
    told = lines(scene.owner)
    assert [line["what"] for line in told[::-1]] == ["body", "source", "file", "conversation", "reply"]
    assert {line["door"] for line in told} == {"api"}
    assert {line["reader_id"] for line in told} == {scene.world.reader.pk}
    file = next(line for line in told if line["what"] == "file")
    assert (file["file_index"], bool(file["file_name"]), file["message_id"]) == (index, True, message)
    assert told[0]["through"]["in_words"] == "Incoming and sent mail, may answer"


@pytest.mark.parametrize(
    "path", ["/inbox", "/inbox?q=packet", "/sent", "/counts", "/customers/1/communication"]
)
def test_lists_leave_none(scene: Any, path: str) -> None:
    ok(scene.reader.get(path.replace("/1/", f"/{scene.world.customer.pk}/")))
    assert lines(scene.owner) == []


@pytest.mark.rule("S-137")
def test_a_program_cannot_read_unseen_by_calling_it_a_prefetch(scene: Any) -> None:
    ok(scene.reader.get(f"/messages/{scene.known.pk}", headers={"Sec-Purpose": "prefetch"}))
    assert len(lines(scene.owner)) == 1


def test_only_the_owner_is_told(scene: Any) -> None:
    ok(scene.reader.get(f"/messages/{scene.known.pk}"))
    assert len(lines(scene.owner)) == 1
    for caller in (scene.reader, *scene.outsiders.values()):
        assert lines(caller) == []


def test_a_refused_request_leaves_none(scene: Any) -> None:
    refused(scene.reader.get(f"/messages/{scene.known.pk}/attachments/999"), 404, "not_found")
    for caller in scene.outsiders.values():
        refused(caller.get(f"/messages/{scene.known.pk}"), 404, "not_found")
    assert lines(scene.owner) == []


def test_filters_and_pages(scene: Any) -> None:
    for message in (scene.known, scene.stranger, scene.sent):
        ok(scene.reader.get(f"/messages/{message.pk}"))
    world = scene.world
    for query, number in (
        ("", 3),
        (f"?reader={world.reader.pk}", 3),
        (f"?reader={world.owner.pk}", 0),
        (f"?message={scene.known.pk}", 1),
        (f"?mailbox={world.colleague_mailbox.pk}", 0),
        (f"?customer={world.customer.pk}", 2),
        ("?until=2020-01-01", 0),
        ("?since=2020-01-01", 3),
    ):
        assert len(lines(scene.owner, query)) == number, query
    seen, cursor = [], ""
    for _ in range(3):
        page = ok(scene.owner.get(f"/reader-log?limit=1&cursor={cursor}"))
        seen += [line["message_id"] for line in page["openings"]]
        cursor = page["next_cursor"]
    assert seen == [scene.sent.pk, scene.stranger.pk, scene.known.pk] and cursor == ""
    refused(scene.owner.get("/reader-log?reader=x"), 422, "invalid")


def test_readers_are_told_to_the_owner_and_the_owner_to_a_reader(scene: Any) -> None:
    own = ok(scene.owner.get(f"/messages/{scene.known.pk}"))
    assert [(one["name"], one["sees"]) for one in own["readers"]] == [("Reader", True), ("Noimap", False)]
    assert own["readers"][1]["reason"] == "waits until a mailbox of their own is set up"
    assert own["shared"] is None
    foreign = ok(scene.reader.get(f"/messages/{scene.known.pk}"))
    assert foreign["readers"] is None
    assert foreign["shared"] == {"by": "Owner", "through": "Incoming and sent mail", "ends_at": None}
