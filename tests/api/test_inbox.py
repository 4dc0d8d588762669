"""Messages by the API: what the owner and a reader see, and that to others it is as if it were not there."""

import pytest

from postern.mail.access import viewing_as
from postern.mail.models import Bcc, Message
from postern.mailboxes.models import DenyEntry, Reader
from tests.api.caller import ok, refused
from tests.world import arrive, letter

MISSING = 999_999


def subjects(told) -> list[str]:
    return [message["subject"] for message in told["messages"]]


def test_owner_and_reader_list_the_inbox_and_nobody_else(scene):
    assert sorted(subjects(ok(scene.owner.get("/inbox")))) == ["New line", "Packet loss"]
    assert sorted(subjects(ok(scene.reader.get("/inbox")))) == ["New line", "Packet loss"]
    assert subjects(ok(scene.owner.get("/sent"))) == ["Our answer"]
    for caller in scene.outsiders.values():
        for path in ("/inbox", "/sent", "/inbox?q=Packet", f"/inbox?show=unknown&cursor={MISSING}"):
            assert ok(caller.get(path)) == {"messages": [], "next_cursor": ""}
        assert ok(caller.get("/counts")) == {"unread": 0, "unknown": 0}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("show=unknown", ["New line"]),
        ("show=customers", ["Packet loss"]),
        ("show=leads", []),
        ("q=packet greta", ["Packet loss"]),
        ("since=2026-11-24", []),
        ("until=2026-11-22", []),
    ],
)
def test_filters(scene, query, expected):
    assert subjects(ok(scene.owner.get(f"/inbox?{query}"))) == expected


def test_pages_follow_one_another_while_mail_arrives(scene, acting_as):
    first = ok(scene.owner.get("/inbox?limit=1"))
    arrive(acting_as, scene.world.inbox, letter(subject="Just now"))
    second = ok(scene.owner.get(f"/inbox?limit=1&cursor={first['next_cursor']}"))
    assert sorted(subjects(first) + subjects(second)) == ["New line", "Packet loss"]
    assert second["next_cursor"] == ""


def test_one_message_whole(scene):
    told = ok(scene.owner.get(f"/messages/{scene.known.pk}"))
    assert told["author"] == {"name": "Greta Brandt", "address": "greta@brandt-bakery.example"}
    assert told["text"].strip() == "See the plan."
    assert told["customers"][0]["name"] == "Brandt Bakery"
    assert [f["name"] for f in told["attachments"]] == ["plan.html"]
    assert told["mailbox"]["own"] and len(told["readers"]) == 2
    assert {a["key"] for a in told["actions"]} >= {"reply", "block", "delete", "unpair"}


def test_a_reader_is_offered_nothing_and_told_no_more_than_the_letter(scene):
    told = ok(scene.reader.get(f"/messages/{scene.known.pk}"))
    assert [a["key"] for a in told["actions"]] == ["view"]
    assert told["bcc"] is None and told["readers"] is None and not told["mailbox"]["own"]


@pytest.mark.rule("S-136")
def test_s136_a_blind_copy_is_the_owners_alone(scene, acting_as):
    with acting_as("superuser"):
        Bcc.objects.update_or_create(
            message=scene.sent,
            mailbox=scene.world.mailbox,
            defaults={"addresses": [["", "hidden@isp.example"]]},
        )
    own, other = (c.get(f"/messages/{scene.sent.pk}/source").content for c in (scene.owner, scene.reader))
    assert b"Bcc: hidden@isp.example\r\n" in own
    assert own.replace(b"Bcc: hidden@isp.example\r\n", b"") == other
    assert b"hidden" not in scene.reader.get(f"/messages/{scene.sent.pk}").content
    assert ok(scene.owner.get(f"/messages/{scene.sent.pk}"))["bcc"] == [
        {"name": "", "address": "hidden@isp.example"}
    ]


def test_reading_marks_nothing_until_it_is_asked_for(scene):
    assert ok(scene.owner.get(f"/messages/{scene.known.pk}"))["unread"]
    assert ok(scene.owner.get(f"/messages/{scene.known.pk}"))["unread"]
    ok(scene.owner.post(f"/messages/{scene.known.pk}/read"), 204)
    assert not ok(scene.owner.get(f"/messages/{scene.known.pk}"))["unread"]
    assert ok(scene.reader.get(f"/messages/{scene.known.pk}"))["unread"]
    ok(scene.owner.post(f"/messages/{scene.known.pk}/actions/unread"))
    assert ok(scene.owner.get(f"/messages/{scene.known.pk}"))["unread"]


def test_a_file_comes_as_a_download_whatever_it_says_it_is(scene):
    [file] = ok(scene.owner.get(f"/messages/{scene.known.pk}"))["attachments"]
    response = scene.owner.get(f"/messages/{scene.known.pk}/attachments/{file['index']}")
    assert response.content.strip() == b"<b>plan</b>"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["Content-Security-Policy"].startswith("sandbox")
    refused(scene.owner.get(f"/messages/{scene.stranger.pk}/attachments/{file['index']}"), 404, "not_found")
    refused(scene.owner.get(f"/messages/{scene.known.pk}/attachments/77"), 404, "not_found")


def test_a_conversation(scene):
    told = ok(scene.owner.get(f"/conversations/{scene.known.conversation_id}"))
    assert told["subject"] == "Packet loss" and len(told["messages"]) == 1
    refused(scene.owner.get(f"/conversations/{MISSING}"), 404, "not_found")


ASKED = [
    ("GET", "/messages/{}"),
    ("POST", "/messages/{}/read"),
    ("GET", "/messages/{}/source"),
    ("GET", "/messages/{}/attachments/0"),
    ("GET", "/messages/{}/suggestions"),
    ("POST", "/messages/{}/actions/delete"),
    ("POST", "/messages/{}/actions/unread"),
    ("POST", "/messages/{}/reply"),
    ("POST", "/messages/{}/forward"),
]


@pytest.mark.rule("S-054")
@pytest.mark.parametrize(("method", "path"), ASKED)
def test_s054_for_others_it_is_as_if_it_were_not_there(scene, method, path):
    for name, caller in scene.outsiders.items():
        there = caller.call(method, path.format(scene.known.pk), None if method == "GET" else {})
        missing = caller.call(method, path.format(MISSING), None if method == "GET" else {})
        assert (there.status_code, there.content) == (missing.status_code, missing.content), name
        assert dict(there.headers) == dict(missing.headers)
        refused(there, 404, "not_found")


@pytest.mark.parametrize("what", ["pair", "add", "block", "delete", "unpair", "nothing", "reply"])
def test_a_reader_can_do_nothing_but_mark_as_unread(scene, what):
    refused(scene.reader.post(f"/messages/{scene.stranger.pk}/actions/{what}"), 404, "not_found")
    ok(scene.reader.post(f"/messages/{scene.stranger.pk}/actions/unread"))


def test_pair_and_undo(scene):
    told = ok(
        scene.owner.post(f"/messages/{scene.stranger.pk}/actions/pair", {"customer": scene.world.customer.pk})
    )
    assert told["label"] == "Paired to Brandt Bakery" and not told["undone"]
    assert ok(scene.owner.get(f"/messages/{scene.stranger.pk}"))["author_found"]
    refused(scene.reader.post(f"/actions/{told['id']}/undo"), 404, "not_found")
    assert ok(scene.owner.post(f"/actions/{told['id']}/undo"))["undone"]
    assert not ok(scene.owner.get(f"/messages/{scene.stranger.pk}"))["author_found"]
    refused(scene.owner.post(f"/actions/{told['id']}/undo"), 404, "not_found")


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        ("pair", {"customer": MISSING}, 422, "no_such_customer"),
        ("pair", {}, 422, "no_such_customer"),
        ("pair", {"customer": "x"}, 422, "invalid"),
        ("pair", {"mailbox": 1}, 422, "invalid"),
        ("block", {"what": "world"}, 422, "invalid"),
        ("unpair", {}, 409, "not_offered"),
        ("reply", {}, 404, "not_found"),
        ("nothing", {}, 404, "not_found"),
    ],
)
def test_what_an_action_refuses(scene, key, body, status, code):
    refused(scene.owner.post(f"/messages/{scene.stranger.pk}/actions/{key}", body), status, code)


def test_add_block_delete(scene):
    path = f"/messages/{scene.stranger.pk}/actions/"
    assert ok(scene.owner.post(path + "add", {"kind": "lead", "name": "Dan"}))["label"] == "Lead Dan added"
    ok(scene.owner.post(path + "block", {"what": "domain"}))
    [entry] = ok(scene.owner.get("/blocked"))
    assert entry["pattern"] == "tiling.example"
    ok(scene.owner.post(path + "delete", {"trash": True}))
    refused(scene.owner.get(f"/messages/{scene.stranger.pk}"), 404, "not_found")
    refused(scene.reader.get(f"/messages/{scene.stranger.pk}"), 404, "not_found")


def test_unblocking_is_the_owners(scene, acting_as):
    with acting_as("superuser"):
        entry = DenyEntry.objects.create(mailbox=scene.world.mailbox, pattern="spam.example")
    assert ok(scene.reader.get("/blocked")) == []
    for caller in (scene.reader, scene.colleague, scene.boss):
        refused(caller.delete(f"/blocked/{entry.pk}"), 404, "not_found")
    ok(scene.owner.delete(f"/blocked/{entry.pk}"), 204)
    refused(scene.owner.delete(f"/blocked/{entry.pk}"), 404, "not_found")


def test_suggestions_are_for_the_owner(scene):
    assert ok(scene.owner.get(f"/messages/{scene.stranger.pk}/suggestions")) == []
    refused(scene.reader.get(f"/messages/{scene.stranger.pk}/suggestions"), 404, "not_found")


def test_looking_for_mail_now(scene):
    ok(scene.owner.post("/inbox/check"), 202)


def test_revoking_takes_hold_at_the_next_request(scene, acting_as):
    ok(scene.reader.get(f"/messages/{scene.known.pk}"))
    with acting_as("superuser"):
        Reader.objects.filter(staff=scene.world.reader).delete()
    refused(scene.reader.get(f"/messages/{scene.known.pk}"), 404, "not_found")


def test_a_narrowed_grant_narrows_the_api(scene, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=scene.world.reader).update(customers_only=True, incoming_only=True)
    assert subjects(ok(scene.reader.get("/inbox"))) == ["Packet loss"]
    refused(scene.reader.get(f"/messages/{scene.sent.pk}"), 404, "not_found")
    with viewing_as(scene.world.owner):
        assert Message.objects.visible_to(scene.world.owner).count() == 3
