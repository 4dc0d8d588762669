"""One conversation shared with one colleague by name, by the API: given, listed, changed, taken back, added to."""

from __future__ import annotations

import pytest

from tests.api.caller import ok, refused
from tests.world import arrive, letter


@pytest.mark.rule("S-062")
def test_given_read_and_taken_back(scene):
    thread, message = scene.known.conversation_id, scene.known.pk
    place = f"/conversations/{thread}/shares"
    refused(scene.colleague.get(f"/messages/{message}"), 404, "not_found")
    given = ok(scene.owner.put(f"{place}/{scene.world.colleague.pk}", {"ends_at": "2199-12-31T23:59:59Z"}))
    assert (given["staff_id"], given["name"]) == (scene.world.colleague.pk, "Colleague")
    assert ok(scene.owner.get(place)) == [given]
    told = ok(scene.colleague.get(f"/messages/{message}"))
    assert (told["mailbox"]["own"], told["bcc"], told["readers"], told["answers_shared"]) == (
        False,
        None,
        None,
        None,
    )
    assert told["shared"]["by"] == "Owner" and told["shared"]["through"].startswith("This conversation")
    assert [action["key"] for action in told["actions"]] == ["view"]
    assert [one["id"] for one in ok(scene.colleague.get("/inbox"))["messages"]] == [message]
    assert ok(scene.colleague.get("/sent"))["messages"] == []
    assert len(ok(scene.colleague.get(f"/conversations/{thread}"))["messages"]) == 1
    refused(scene.colleague.get(f"/messages/{scene.sent.pk}"), 404, "not_found")
    [seer] = [
        one for one in ok(scene.owner.get(f"/messages/{message}"))["readers"] if one["name"] == "Colleague"
    ]
    assert seer["sees"] and seer["through"].startswith(
        "This conversation, shared by name, until 31 December 2199"
    )
    changed = ok(scene.owner.put(f"{place}/{scene.world.colleague.pk}", {}))
    assert changed["ends_at"] is None and len(ok(scene.owner.get(place))) == 1
    ok(scene.owner.delete(f"{place}/{scene.world.colleague.pk}"), 204)
    refused(scene.colleague.get(f"/messages/{message}"), 404, "not_found")
    assert ok(scene.owner.get(place)) == ok(scene.colleague.get("/inbox"))["messages"] == []
    refused(scene.owner.delete(f"{place}/{scene.world.colleague.pk}"), 404, "not_found")


@pytest.mark.rule("S-062")
def test_nobody_else_shares_and_mistakes_name_their_field(scene):
    place = f"/conversations/{scene.known.conversation_id}/shares"
    ok(scene.owner.put(f"{place}/{scene.world.colleague.pk}", {}))
    for caller in (scene.reader, *scene.outsiders.values()):
        refused(caller.get(place), 404, "not_found")
        for whom in (scene.world.boss, scene.world.reader, scene.world.colleague):
            refused(caller.put(f"{place}/{whom.pk}", {}), 404, "not_found")
            refused(caller.delete(f"{place}/{whom.pk}"), 404, "not_found")
    own = refused(scene.owner.put(f"{place}/{scene.world.owner.pk}", {}), 422, "invalid")
    assert own["fields"] == {"colleague": ["The conversation is yours; you read it already."]}
    past = refused(
        scene.owner.put(f"{place}/{scene.world.boss.pk}", {"ends_at": "2020-01-01T00:00:00Z"}), 422, "invalid"
    )
    assert past["fields"] == {"ends_at": ["The end lies in the past: choose a later day."]}
    refused(
        scene.owner.put(f"{place}/{scene.world.boss.pk}", {"ends_at": "2199-01-01T00:00:00"}), 422, "invalid"
    )
    refused(scene.owner.put(f"{place}/{scene.world.boss.pk}", {"mailbox_id": 1}), 422, "invalid")
    refused(scene.owner.put(f"{place}/999999", {}), 404, "not_found")
    assert [one["name"] for one in ok(scene.owner.get(place))] == ["Colleague"]


@pytest.mark.rule("S-133")
def test_a_message_that_stands_apart_is_added_by_the_owner(scene, acting_as):
    world, thread = scene.world, scene.known.conversation_id
    ok(scene.owner.put(f"/conversations/{thread}/shares/{world.colleague.pk}", {}))
    line = f"References: <{scene.known.message_id}>\r\n"
    [aside] = arrive(
        acting_as, world.inbox, letter(sender="Paul <paul@else.example>", subject="By the way", headers=line)
    )
    told = ok(scene.owner.get(f"/messages/{aside.pk}"))
    assert told["answers_shared"] == {"conversation_id": thread, "names": ["Colleague"], "added": False}
    assert ok(scene.reader.get(f"/messages/{aside.pk}"))["answers_shared"] is None
    add = f"/messages/{aside.pk}/add-to-conversation"
    for caller in (scene.reader, *scene.outsiders.values()):
        refused(caller.post(add), 404, "not_found")
    refused(scene.colleague.get(f"/messages/{aside.pk}"), 404, "not_found")
    assert ok(scene.owner.post(add)) == {"conversation_id": thread}
    assert ok(scene.owner.get(f"/messages/{aside.pk}"))["answers_shared"]["added"] is True
    assert ok(scene.colleague.get(f"/messages/{aside.pk}"))["conversation_id"] == thread
    assert ok(scene.colleague.get(f"/messages/{aside.pk}"))["answers_shared"] is None
    refused(scene.owner.post(add), 404, "not_found")
    take = f"/messages/{aside.pk}/take-out-of-conversation"
    for caller in (scene.reader, *scene.outsiders.values()):
        refused(caller.post(take), 404, "not_found")
    assert ok(scene.owner.post(take))["conversation_id"] == aside.conversation_id != thread
    refused(scene.colleague.get(f"/messages/{aside.pk}"), 404, "not_found")
    refused(scene.owner.post(take), 404, "not_found")


@pytest.mark.rule("S-133")
def test_what_came_since_one_looked_is_not_shared_unseen(scene, acting_as):
    thread = scene.known.conversation_id
    place = f"/conversations/{thread}/shares/{scene.world.colleague.pk}"
    seen = len(ok(scene.owner.get(f"/conversations/{thread}"))["messages"])
    answer = letter(headers=f"References: <{scene.known.message_id}>\r\n")
    arrive(acting_as, scene.world.inbox, answer)
    told = refused(scene.owner.put(place, {"messages": seen}), 422, "invalid")
    assert list(told["fields"]) == ["messages"]
    ok(scene.owner.put(place, {"messages": seen + 1}))
    refused(scene.owner.put(place, {"messages": 0}), 422, "invalid")
