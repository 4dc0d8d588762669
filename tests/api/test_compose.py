"""Writing by the API: drafts, replies, files, sending once however often it is asked for. The owner's alone."""

import io

import pytest
from django.db import connection

from postern.outbox.models import Delivery
from tests.api.caller import ok, refused

TO = "Greta <greta@brandt-bakery.example>"


@pytest.fixture
def smtp(scene, acting_as):
    """The owner's mailbox can send, as far as its settings say."""
    from postern.mailboxes.models import Mailbox

    with acting_as("superuser"):
        Mailbox.objects.filter(pk=scene.world.mailbox.pk).update(smtp_host="127.0.0.1", has_smtp_secret=True)


@pytest.fixture
def draft(scene) -> int:
    return ok(scene.owner.post("/deliveries", {"to": TO, "subject": "Hello", "text": "Hi."}), 201)["id"]


def jobs(acting_as) -> int:
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'send'")
        return cursor.fetchone()[0]


def test_a_draft_from_start_to_change(scene, draft):
    told = ok(scene.owner.get(f"/deliveries/{draft}"))
    assert told["to"] == [{"name": "Greta", "address": "greta@brandt-bakery.example"}]
    assert (told["state"], told["editable"], told["text"]) == ("draft", True, "Hi.")
    told = ok(scene.owner.patch(f"/deliveries/{draft}", {"subject": "Hello again"}))
    assert (told["subject"], told["text"], len(told["to"])) == ("Hello again", "Hi.", 1)
    told = ok(scene.owner.patch(f"/deliveries/{draft}", {"html": "<p>Now <b>bold</b><script>x</script></p>"}))
    assert "script" not in told["html"] and told["text"].strip() == "Now bold"
    told = ok(
        scene.owner.patch(
            f"/deliveries/{draft}", {"cc": [{"name": "A", "address": "a@b.example"}, "c@d.example"]}
        )
    )
    assert [p["address"] for p in told["cc"]] == ["a@b.example", "c@d.example"]


def test_a_draft_to_a_customer_goes_to_their_main_address(scene):
    told = ok(scene.owner.post("/deliveries", {"customer": scene.world.customer.pk}), 201)
    assert [p["address"] for p in told["to"]] == ["greta@brandt-bakery.example"]
    pending = ok(scene.owner.get(f"/customers/{scene.world.customer.pk}/communication"))["pending"]
    assert [d["id"] for d in pending] == [told["id"]]
    assert ok(scene.reader.get(f"/customers/{scene.world.customer.pk}/communication"))["pending"] == []


def test_lists_by_state(scene, draft):
    page = ok(scene.owner.get("/deliveries?state=draft&limit=1"))
    assert [d["id"] for d in page["deliveries"]] == [draft] and page["next_cursor"] == ""
    assert ok(scene.owner.get("/deliveries?state=accepted"))["deliveries"] == []
    for caller in (scene.reader, *scene.outsiders.values()):
        assert ok(caller.get("/deliveries"))["deliveries"] == []


def test_reply_and_forward(scene):
    told = ok(scene.owner.post(f"/messages/{scene.known.pk}/reply", {"to_all": True}), 201)
    assert told["subject"] == "Re: Packet loss" and told["answers_message_id"] == scene.known.pk
    told = ok(scene.owner.post(f"/messages/{scene.known.pk}/forward"), 201)
    assert told["forward"] and [f["name"] for f in told["files"]] == ["plan.html"]
    for caller in (scene.reader, *scene.outsiders.values()):
        refused(caller.post(f"/messages/{scene.known.pk}/reply"), 404, "not_found")
        refused(caller.post(f"/messages/{scene.known.pk}/forward"), 404, "not_found")


def test_files(scene, draft):
    file = io.BytesIO(b"<script>")
    file.name = "page.html"
    row = ok(scene.owner.upload(f"/deliveries/{draft}/files", file), 201)
    assert (row["name"], row["size"], row["content_id"]) == ("page.html", 8, "")
    response = scene.owner.get(f"/deliveries/{draft}/files/{row['id']}")
    assert response.content == b"<script>" and response.headers["Content-Type"] == "application/octet-stream"
    file.seek(0)
    refused(scene.owner.upload(f"/deliveries/{draft}/files", file, inline="true"), 422, "invalid")
    refused(scene.colleague.get(f"/deliveries/{draft}/files/{row['id']}"), 404, "not_found")
    ok(scene.owner.delete(f"/deliveries/{draft}/files/{row['id']}"), 204)
    refused(scene.owner.delete(f"/deliveries/{draft}/files/{row['id']}"), 404, "not_found")


@pytest.mark.rule("S-042")
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "subject"])
def test_s042_line_breaks_are_refused_by_field(scene, draft, field):
    value = "a@b.example\r\nBcc: x@y.example"
    body = {field: value if field == "subject" else [value]}
    assert field in refused(scene.owner.patch(f"/deliveries/{draft}", body), 422, "invalid")["fields"]


def test_sending_twice_with_one_key_queues_one_letter(scene, draft, smtp, acting_as):
    headers = {"Idempotency-Key": "k-1"}
    first = ok(scene.owner.post(f"/deliveries/{draft}/send", headers=headers))
    assert first["state"] == "queued" and first["message_id"]
    again = ok(scene.owner.post(f"/deliveries/{draft}/send", headers=headers))
    assert again["message_id"] == first["message_id"] and jobs(acting_as) == 1
    twin = ok(scene.owner.post("/deliveries", {"to": TO, "subject": "Hello", "text": "Hi."}), 201)["id"]
    assert ok(scene.owner.post(f"/deliveries/{twin}/send", headers=headers))["id"] == draft
    other = ok(scene.owner.post("/deliveries", {"to": TO, "subject": "Other", "text": "Hi."}), 201)["id"]
    refused(scene.owner.post(f"/deliveries/{other}/send", headers=headers), 409, "conflict")
    assert jobs(acting_as) == 1


def test_sending_without_a_key_sends_once_too(scene, draft, smtp, acting_as):
    ok(scene.owner.post(f"/deliveries/{draft}/send"))
    refused(scene.owner.post(f"/deliveries/{draft}/send"), 409, "already_sent")
    refused(scene.owner.patch(f"/deliveries/{draft}", {"subject": "Too late"}), 409, "already_sent")
    refused(scene.owner.delete(f"/deliveries/{draft}"), 409, "already_sent")
    assert jobs(acting_as) == 1


def test_undo_send(scene, draft, smtp):
    ok(scene.owner.post(f"/deliveries/{draft}/send", {"undo_seconds": 60}))
    assert ok(scene.owner.post(f"/deliveries/{draft}/undo"))["state"] == "draft"
    refused(scene.owner.post(f"/deliveries/{draft}/undo"), 409, "too_late")


@pytest.mark.parametrize("seconds", [-1, 121, "soon", 1.5])
def test_the_undo_window_has_bounds(scene, draft, seconds):
    refused(scene.owner.post(f"/deliveries/{draft}/send", {"undo_seconds": seconds}), 422, "invalid")


def test_a_key_is_no_novel(scene, draft):
    headers = {"Idempotency-Key": "k" * 81}
    refused(scene.owner.post(f"/deliveries/{draft}/send", headers=headers), 422, "invalid")


def test_what_stops_a_letter_is_named(scene, draft, acting_as):
    refused(scene.owner.post(f"/deliveries/{draft}/send"), 422, "no_smtp")
    with acting_as("superuser"):
        type(scene.world.mailbox).objects.filter(pk=scene.world.mailbox.pk).update(
            smtp_host="127.0.0.1", has_smtp_secret=True
        )
    ok(scene.owner.patch(f"/deliveries/{draft}", {"to": "nobody"}))
    told = refused(scene.owner.post(f"/deliveries/{draft}/send"), 422, "invalid")
    assert "to" in told["fields"] and jobs(acting_as) == 0
    refused(scene.boss.post("/deliveries", {}), 422, "no_mailbox")


def test_settling_an_unknown_fate(scene, draft, acting_as):
    refused(scene.owner.post(f"/deliveries/{draft}/settle", {"arrived": False}), 409, "not_editable")
    with acting_as("superuser"):
        Delivery.objects.filter(pk=draft).update(state="unknown")
    assert ok(scene.owner.post(f"/deliveries/{draft}/settle", {"arrived": False}))["state"] == "draft"
    refused(scene.owner.post(f"/deliveries/{draft}/settle", {}), 422, "invalid")


def test_sending_from_a_colleagues_mailbox_is_not_possible(scene, draft):
    body = {"mailbox": scene.world.mailbox.pk}
    for caller in (scene.reader, scene.colleague):
        refused(caller.post("/deliveries", body), 404, "not_found")
    refused(
        scene.owner.patch(f"/deliveries/{draft}", {"mailbox": scene.world.reader_mailbox.pk}),
        404,
        "not_found",
    )


ASKED = [
    ("GET", "/deliveries/{}", None),
    ("PATCH", "/deliveries/{}", {"subject": "x"}),
    ("DELETE", "/deliveries/{}", {}),
    ("POST", "/deliveries/{}/send", {}),
    ("POST", "/deliveries/{}/undo", {}),
    ("POST", "/deliveries/{}/settle", {"arrived": True}),
]


@pytest.mark.rule("S-136")
@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_s136_drafts_are_not_there_for_anybody_else(scene, draft, method, path, body):
    for caller in (scene.reader, *scene.outsiders.values()):
        there, missing = (caller.call(method, path.format(pk), body) for pk in (draft, 999_999))
        assert (there.content, dict(there.headers)) == (missing.content, dict(missing.headers))
        refused(there, 404, "not_found")
    assert ok(scene.owner.get(f"/deliveries/{draft}"))["state"] == "draft"
