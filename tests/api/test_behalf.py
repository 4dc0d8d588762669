"""Answers in another's name, by the API: granted, written, seen under both names, ended."""

from __future__ import annotations

import pytest

from postern.mail.models import Message
from postern.mailboxes.models import Mailbox, Reader
from postern.outbox.models import Delivery
from tests.api.caller import ok, refused


@pytest.fixture
def granted(scene, acting_as):
    """The reader may answer; the owner's mailbox can send, as far as its settings say."""
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=scene.world.mailbox.pk).update(smtp_host="127.0.0.1", has_smtp_secret=True)
    path = f"/mailboxes/{scene.world.mailbox.pk}/readers/{scene.world.reader.pk}"
    told = ok(scene.owner.put(path, {"may_reply": True}))
    assert told["may_reply"] and "May answer it in your name, from your address" in told["in_words"]
    return path


@pytest.fixture
def draft(scene, granted) -> int:
    told = ok(scene.reader.post(f"/messages/{scene.known.pk}/reply"), 201)
    assert (told["on_behalf_of"], told["written_by"], told["access_ended"]) == ("Owner", "", False)
    assert told["mailbox_id"] == scene.world.mailbox.pk and told["editable"]
    html = f"<p>From me.</p>{told['html']}"
    assert ok(scene.reader.patch(f"/deliveries/{told['id']}", {"html": html}))["subject"] == "Re: Packet loss"
    return told["id"]


def test_the_grant_is_off_unless_given_and_is_told_to_the_reader(scene, granted):
    [others] = ok(scene.reader.get("/me"))["shared_with_me"]
    assert others["may_reply"]
    assert {a["key"] for a in ok(scene.reader.get(f"/messages/{scene.known.pk}"))["actions"]} == {
        "view",
        "reply",
    }
    assert not ok(scene.owner.put(granted, {}))["may_reply"]
    assert {a["key"] for a in ok(scene.reader.get(f"/messages/{scene.known.pk}"))["actions"]} == {"view"}
    refused(scene.owner.put(granted, {"may_reply": "perhaps"}), 422, "invalid")
    refused(scene.reader.put(granted, {"may_reply": True}), 404, "not_found")


def test_written_by_one_and_seen_by_both_once_sent_off(scene, draft):
    refused(scene.owner.get(f"/deliveries/{draft}"), 404, "not_found")
    assert ok(scene.owner.get("/deliveries"))["deliveries"] == []
    assert [d["id"] for d in ok(scene.reader.get("/deliveries"))["deliveries"]] == [draft]
    sent = ok(scene.reader.post(f"/deliveries/{draft}/send", {"undo_seconds": 60}))
    assert sent["state"] == "queued" and sent["on_behalf_of"] == "Owner"
    told = ok(scene.owner.get(f"/deliveries/{draft}"))
    assert (told["state"], told["written_by"], told["editable"]) == ("queued", "Reader", False)
    for method, path, body in (
        ("PATCH", "", {"subject": "x"}),
        ("DELETE", "", None),
        ("POST", "/send", {}),
    ):
        refused(scene.owner.call(method, f"/deliveries/{draft}{path}", body), 409, "not_editable")
    pending = f"/customers/{scene.world.customer.pk}/communication"
    for caller in (scene.owner, scene.reader):
        assert [d["id"] for d in ok(caller.get(pending))["pending"]] == [draft]
    for caller in scene.outsiders.values():
        refused(caller.get(f"/deliveries/{draft}"), 404, "not_found")
        assert ok(caller.get(pending))["pending"] == []
    assert ok(scene.owner.post(f"/deliveries/{draft}/undo"))["state"] == "held"
    told = ok(scene.reader.get(f"/deliveries/{draft}"))
    assert told["problem"]["message"].startswith("Owner, in whose name") and told["editable"]


@pytest.mark.rule("S-136")
def test_s136_a_draft_in_the_owners_name_is_not_there_for_other_readers(scene, draft, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=scene.world.reader).update(may_reply=True)
        Reader.objects.create(mailbox=scene.world.mailbox, staff=scene.world.colleague, may_reply=True)
    for caller in (scene.owner, scene.colleague, scene.noimap, scene.boss):
        there, missing = (caller.get(f"/deliveries/{pk}") for pk in (draft, 999_999))
        assert there.content == missing.content and there.status_code == 404


@pytest.mark.rule("S-064")
def test_s064_nothing_but_an_answer_goes_out_in_the_owners_name(scene, draft):
    refused(scene.reader.post("/deliveries", {"mailbox": scene.world.mailbox.pk}), 404, "not_found")
    refused(scene.reader.post(f"/messages/{scene.known.pk}/forward"), 404, "not_found")
    body = {"mailbox": scene.world.reader_mailbox.pk}
    refused(scene.reader.patch(f"/deliveries/{draft}", body), 422, "invalid")
    ok(scene.reader.patch(f"/deliveries/{draft}", {"to": "anybody@else.example"}))
    assert "to" in refused(scene.reader.post(f"/deliveries/{draft}/send"), 422, "invalid")["fields"]
    own = ok(scene.reader.post("/deliveries", {"to": "a@b.example"}), 201)
    moved = {"mailbox": scene.world.mailbox.pk}
    ok(scene.reader.patch(f"/deliveries/{draft}", moved))  # it lies there already
    refused(scene.reader.patch(f"/deliveries/{own['id']}", moved), 404, "not_found")


@pytest.mark.rule("S-062")
def test_s062_after_the_end_only_own_words_are_left(scene, granted, draft, acting_as):
    ok(scene.reader.post(f"/deliveries/{draft}/send", {"undo_seconds": 60}))
    ok(scene.owner.delete(granted), 204)
    refused(scene.reader.post(f"/deliveries/{draft}/undo"), 409, "access_ended")
    refused(scene.reader.get(f"/messages/{scene.known.pk}"), 404, "not_found")
    with acting_as("superuser"):
        Delivery.objects.filter(pk=draft).update(state="held")
    told = ok(scene.reader.get(f"/deliveries/{draft}"))
    assert told["access_ended"] and not told["editable"] and told["on_behalf_of"] == ""
    assert told["text"] == "From me." and told["problem"]["code"] == "access_ended"
    words = scene.reader.get(f"/deliveries/{draft}").content.decode()
    for secret in ("Packet loss", "greta", "Greta", "it started again", "owner@isp.example"):
        assert secret not in words
    for path in ("", "/send"):
        method = "POST" if path else "PATCH"
        refused(scene.reader.call(method, f"/deliveries/{draft}{path}", {}), 409, "access_ended")
    customer = scene.world.customer.pk
    assert ok(scene.reader.get(f"/customers/{customer}/communication"))["pending"] == []
    assert ok(scene.reader.get(f"/deliveries?customer={customer}"))["deliveries"] == []
    ok(scene.reader.delete(f"/deliveries/{draft}"), 204)


def test_a_sent_message_says_who_wrote_it_to_the_two_alone(scene, draft, acting_as):
    with acting_as("superuser"):
        Delivery.objects.filter(pk=draft).update(state="accepted", sent=scene.sent)
        Reader.objects.create(mailbox=scene.world.mailbox, staff=scene.world.colleague)
    path = f"/messages/{scene.sent.pk}"
    told = [ok(c.get(path))["sent_by"] for c in (scene.owner, scene.reader, scene.colleague)]
    assert told == ["Reader", "you", None]
    with acting_as("superuser"):
        Reader.objects.filter(staff=scene.world.reader).update(incoming_only=True)
        assert Message.objects.filter(pk=scene.sent.pk).exists()
    told = ok(scene.reader.get(f"/deliveries/{draft}"))
    assert told["state"] == "accepted" and told["sent_message_id"] is None
