"""My Profile, Config and tokens by the API: settings saved whole, secrets never told, grants by the owner alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from postern.api.mailboxes import MailboxSettings
from postern.mail.access import viewing_as
from postern.mailboxes.models import Mailbox, MailboxHealth, Probe, Reader, Secret
from postern.mailboxes.sections import FIELDS, SYSTEM_FIELDS
from postern.people.models import Staff
from tests.api.caller import Caller, ok, refused

CANARY = "canary-7f3a-password"
NEW = {
    "address": "second@isp.example",
    "imap_username": "second",
    "imap_password": CANARY,
    "imap_host": "127.0.0.1",
    "imap_port": 993,
    "smtp_host": "127.0.0.1",
}


@pytest.fixture
def made(scene) -> int:
    return ok(scene.owner.post("/mailboxes", NEW), 201)["id"]


def test_every_setting_of_the_page_is_in_the_schema():
    assert set(MailboxSettings.model_fields) == set(FIELDS)


def test_set_up_and_change(scene, made):
    told = ok(scene.owner.get(f"/mailboxes/{made}"))
    assert told["has_imap_secret"] and told["has_smtp_secret"]
    assert set(told["settings"]) == set(FIELDS) - {"imap_password", "smtp_password", "deny_list"}
    path = f"/mailboxes/{made}"
    told = ok(
        scene.owner.patch(path, {"process": "unread", "deny_list": "spam.example # junk\n*@Bad.example"})
    )
    assert told["settings"]["process"] == "unread"
    assert told["deny_list"] == "spam.example # junk\nbad.example"
    assert told["settings"]["imap_host"] == "127.0.0.1"
    assert len(ok(scene.owner.get("/mailboxes"))) == 2


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"imap_host": "localhost"}, "password_needed", "imap_password"),
        ({"imap_port": 0}, "invalid", "imap_port"),
        ({"imap_host": "10.0.0.1"}, "invalid", "imap_host"),
        ({"imap_host": "imap.example.com", "imap_port": 22}, "invalid", "imap_port"),
        ({"deny_list": "ok.example\nnot a pattern"}, "invalid", "deny_list"),
        ({"reply_to": "nobody"}, "invalid", "reply_to"),
        ({"imap_security": "tls"}, "invalid", "imap_security"),
        ({"sent_folder": "INBOX"}, "invalid", "sent_folder"),
        ({"owner": 1}, "invalid", "owner"),
        ({"owner_id": 1}, "invalid", "owner_id"),
        ({"has_imap_secret": True}, "invalid", "has_imap_secret"),
        ({"tracking": "perhaps"}, "invalid", "tracking"),
    ],
)
def test_what_settings_refuse_and_then_nothing_is_saved(scene, made, body, code, field):
    before = ok(scene.owner.get(f"/mailboxes/{made}"))
    told = refused(scene.owner.patch(f"/mailboxes/{made}", {"mark_as_read": True, **body}), 422, code)
    assert field in told["fields"]
    assert ok(scene.owner.get(f"/mailboxes/{made}")) == before


@pytest.mark.rule("S-092")
def test_s092_a_secret_is_in_no_answer(scene, made, acting_as):
    texts = [
        scene.owner.post("/mailboxes", {**NEW, "imap_port": 70000}).content,
        scene.owner.post("/mailboxes", {**NEW, "imap_password": [CANARY]}).content,
        scene.owner.post(
            "/mailboxes", {**NEW, CANARY + "x": 1, "imap_password": CANARY + "\n"}
        ).content.replace((CANARY + "x").encode(), b""),
        scene.owner.patch(f"/mailboxes/{made}", {"imap_password": CANARY}).content,
        scene.owner.get("/mailboxes").content,
        scene.owner.get(f"/mailboxes/{made}").content,
        scene.owner.post("/probes", {"kind": "imap", "settings": NEW}).content,
        scene.owner.post(f"/mailboxes/{made}/probes", {"kind": "smtp", "settings": {}}).content,
        scene.boss.patch("/config/email", {"smtp_host": "127.0.0.1", "smtp_password": CANARY}).content,
        scene.boss.get("/config/email").content,
        scene.owner.get("/system-smtp").content,
        scene.owner.get("/openapi.json").content,
    ]
    assert all(CANARY.encode() not in text and b"ciphertext" not in text for text in texts)
    with acting_as("superuser"):
        for row in Secret.objects.all():
            assert CANARY.encode() not in bytes(row.ciphertext)
        assert CANARY not in json.dumps(list(Probe.objects.values("settings", "steps", "result")))
        assert Secret.objects.filter(mailbox=made).count() == 2


def test_readers_are_given_and_taken_by_the_owner(scene, acting_as):
    path = f"/mailboxes/{scene.world.mailbox.pk}/readers"
    told = ok(scene.owner.put(f"{path}/{scene.world.colleague.pk}", {"incoming_only": True}))
    assert told["incoming_only"] and told["in_words"].startswith("Incoming mail only")
    assert [r["name"] for r in ok(scene.owner.get(path))] == ["Colleague", "Noimap", "Reader"]
    assert {m["subject"] for m in ok(scene.colleague.get("/inbox"))["messages"]} == {
        "Packet loss",
        "New line",
    }
    ok(scene.owner.delete(f"{path}/{scene.world.colleague.pk}"), 204)
    assert ok(scene.colleague.get("/inbox"))["messages"] == []
    refused(scene.owner.delete(f"{path}/{scene.world.colleague.pk}"), 404, "not_found")
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    refused(scene.owner.put(f"{path}/{scene.world.colleague.pk}", {"ends_at": past}), 422, "invalid")
    refused(scene.owner.put(f"{path}/{scene.world.owner.pk}", {}), 422, "invalid")
    refused(scene.owner.put(f"{path}/999999", {}), 404, "not_found")


@pytest.mark.rule("S-062")
def test_s062_nobody_else_grants(scene, acting_as):
    path = f"/mailboxes/{scene.world.mailbox.pk}/readers"
    for name, caller in {"reader": scene.reader, **scene.outsiders}.items():
        for staff in (scene.world.colleague, scene.world.boss, scene.world.reader):
            refused(caller.put(f"{path}/{staff.pk}", {}), 404, "not_found")
            refused(caller.delete(f"{path}/{staff.pk}"), 404, "not_found")
        refused(caller.get(path), 404, "not_found")
        assert name
    with acting_as("superuser"):
        assert Reader.objects.count() == 2


ASKED = [
    ("GET", "/mailboxes/{}", None),
    ("PATCH", "/mailboxes/{}", {"tracking": False}),
    ("GET", "/mailboxes/{}/health", None),
    ("POST", "/mailboxes/{}/resume", {}),
    ("POST", "/mailboxes/{}/compare", {}),
    ("POST", "/mailboxes/{}/certificate", {"sha256": "00"}),
    ("GET", "/mailboxes/{}/ledger", None),
    ("GET", "/mailboxes/{}/readers", None),
    ("POST", "/mailboxes/{}/probes", {"kind": "imap"}),
]


@pytest.mark.rule("S-028")
@pytest.mark.parametrize(("method", "path", "body"), ASKED)
def test_s028_a_mailbox_is_its_owners(scene, method, path, body):
    for caller in (scene.reader, *scene.outsiders.values()):
        there, missing = (
            caller.call(method, path.format(pk), body) for pk in (scene.world.mailbox.pk, 999_999)
        )
        assert (there.content, dict(there.headers)) == (missing.content, dict(missing.headers))
        refused(there, 404, "not_found")
    with viewing_as(scene.world.owner):
        assert Mailbox.objects.get(pk=scene.world.mailbox.pk).tracking


def test_health_ledger_and_certificate(scene, acting_as):
    path = f"/mailboxes/{scene.world.mailbox.pk}"
    refused(scene.owner.get(f"{path}/health"), 404, "not_found")
    with acting_as("superuser"):
        MailboxHealth.objects.create(
            mailbox=scene.world.mailbox, state="certificate_changed", seen_sha256="ab" * 32
        )
    assert ok(scene.owner.get(f"{path}/health"))["fix"]
    assert {line["outcome"] for line in ok(scene.owner.get(f"{path}/ledger"))["lines"]} == {"imported"}
    page = ok(scene.owner.get(f"{path}/ledger?limit=2"))
    assert len(page["lines"]) == 2
    assert len(ok(scene.owner.get(f"{path}/ledger?limit=2&cursor={page['next_cursor']}"))["lines"]) == 1
    assert ok(scene.owner.get(f"{path}/ledger?outcome=denied"))["lines"] == []
    refused(scene.owner.post(f"{path}/certificate", {"sha256": "cd" * 32}), 422, "invalid")
    assert (
        ok(scene.owner.post(f"{path}/certificate", {"sha256": "ab" * 32}))["imap_pinned_sha256"] == "ab" * 32
    )


@pytest.mark.rule("S-039")
def test_an_unchecked_certificate_only_where_it_is_allowed_and_each_step_in_the_log(scene):
    path = f"/mailboxes/{scene.world.mailbox.pk}"
    skip, log = {"imap_skip_validation": True}, f"{path}/certificate-log"
    told = refused(scene.owner.patch(path, skip), 422, "invalid")
    assert list(told["fields"]) == ["imap_skip_validation"]
    assert ok(scene.owner.get(path))["unchecked"] == [] and ok(scene.owner.get(log))["lines"] == []
    assert ok(scene.owner.get("/system-smtp"))["unchecked_certificates"] is False
    policy = {"unchecked_certificates": True}
    refused(scene.owner.patch("/config/email", policy), 404, "not_found")
    assert ok(scene.boss.patch("/config/email", policy))["settings"]["unchecked_certificates"]
    assert ok(scene.owner.get("/system-smtp"))["unchecked_certificates"] is True
    assert ok(scene.owner.patch(path, skip))["unchecked"] == ["imap"]
    [line] = ok(scene.owner.get(log))["lines"]
    assert (line["what"], line["by_id"]) == ("unchecked", scene.world.owner.pk)
    for other in (scene.reader, *scene.outsiders.values()):
        refused(other.get(log), 404, "not_found")
    refused(scene.owner.get("/config/certificate-log"), 404, "not_found")
    page = ok(scene.boss.get("/config/certificate-log?limit=1"))
    [older] = ok(scene.boss.get(f"/config/certificate-log?cursor={page['next_cursor']}"))["lines"]
    assert (page["lines"], older["what"], older["mailbox_id"]) == ([line], "allowed", None)
    assert ok(scene.boss.patch("/config/email", {"unchecked_certificates": False}))
    refused(scene.owner.post(f"{path}/resume"), 422, "invalid")


def test_a_deny_list_is_tried_before_it_is_saved(scene):
    path = f"/mailboxes/{scene.world.mailbox.pk}/deny-list/preview"
    assert ok(scene.owner.post(path, {"deny_list": "tiling.example # spam"})) == {"hidden": 1}
    told = refused(scene.owner.post(path, {"deny_list": "a.example\n\nno pattern"}), 422, "invalid")
    assert told["fields"]["deny_list"][0].startswith("Line 3:")
    assert ok(scene.owner.get("/blocked")) == []
    refused(scene.reader.post(path, {"deny_list": ""}), 404, "not_found")


def test_probes(scene, made):
    told = ok(scene.owner.post(f"/mailboxes/{made}/probes", {"kind": "imap"}), 202)
    assert told["state"] == "waiting"
    assert ok(scene.owner.get(f"/probes/{told['id']}"))["kind"] == "imap"
    refused(scene.boss.get(f"/probes/{told['id']}"), 404, "not_found")
    body = {"kind": "imap", "settings": {"imap_host": "localhost"}}
    refused(scene.owner.post(f"/mailboxes/{made}/probes", body), 422, "password_needed")
    refused(scene.owner.post("/probes", {"kind": "system"}), 422, "invalid")
    refused(scene.owner.post("/probes", {"kind": "imap", "settings": {"owner": 1}}), 422, "invalid")
    for _ in range(9):
        ok(scene.owner.post(f"/mailboxes/{made}/probes", {"kind": "load"}), 202)
    response = scene.owner.post(f"/mailboxes/{made}/probes", {"kind": "load"})
    refused(response, 429, "too_many")
    assert int(response.headers["Retry-After"]) > 0


def test_oneself(scene):
    told = ok(scene.reader.get("/me"))
    assert [m["address"] for m in told["shared_with_me"]] == ["owner@isp.example"]
    told = ok(scene.noimap.get("/me"))
    assert told["shared_with_me"] == [] and told["waits_for_own_mailbox"]
    assert ok(scene.owner.patch("/me", {"title": "Customer care"}))["title"] == "Customer care"
    for field in ("email", "role", "password", "is_active"):
        refused(scene.owner.patch("/me", {field: "x"}), 422, "invalid")
    assert "Owner" not in {c["name"] for c in ok(scene.owner.get("/colleagues"))}


def test_provider_hint(scene):
    assert ok(scene.owner.get("/provider-hint?address=x@gmail.com"))["imap_host"] == "imap.gmail.com"
    refused(scene.owner.get("/provider-hint?address=x@isp.example"), 404, "not_found")


def test_config_is_not_there_for_administrators(scene):
    for caller in (scene.owner, scene.reader, scene.colleague):
        for method, path, body in (
            ("GET", "/config/email", None),
            ("PATCH", "/config/email", {"sending": False}),
            ("POST", "/config/email/probes", {}),
            ("GET", "/config/administrators", None),
            ("POST", "/config/administrators", {"name": "x", "email": "x@isp.example"}),
            ("PATCH", f"/config/administrators/{scene.world.owner.pk}", {"role": "super"}),
        ):
            refused(caller.call(method, path, body), 404, "not_found")


def test_the_companys_account(scene):
    body = {"sender_email": "office@isp.example", "smtp_host": "127.0.0.1", "smtp_username": "office"}
    refused(scene.boss.patch("/config/email", body), 422, "password_needed")
    told = ok(scene.boss.patch("/config/email", {**body, "smtp_password": CANARY, "sending": True}))
    assert told["has_smtp_secret"] and set(told["settings"]) == set(SYSTEM_FIELDS) - {"smtp_password"}
    refused(scene.boss.patch("/config/email", {"sender_email": "office"}), 422, "invalid")
    assert ok(scene.owner.get("/system-smtp"))["sender_email"] == "office@isp.example"
    assert ok(scene.boss.post("/config/email/probes", {}), 202)["kind"] == "system"


def test_administrators(scene):
    body = {"name": "New", "email": "new@isp.example"}
    told = ok(scene.boss.post("/config/administrators", body), 201)
    assert len(told["first_password"]) > 10
    refused(
        scene.boss.post("/config/administrators", {**body, "email": "New@isp.example"}), 409, "address_taken"
    )
    refused(scene.boss.post("/config/administrators", {**body, "email": "x"}), 422, "bad_address")
    path = f"/config/administrators/{told['administrator']['id']}"
    assert ok(scene.boss.patch(path, {"role": "super"}))["role"] == "super"
    assert told["administrator"]["must_change_password"] and told["administrator"]["one_time_until"]
    again = ok(scene.boss.post(f"{path}/first-password", {}), 201)
    assert again["first_password"] != told["first_password"]
    owners = f"/config/administrators/{scene.world.owner.pk}/first-password"
    refused(scene.boss.post(owners, {}), 409, "own_password")
    ok(scene.boss.patch(path, {"is_active": False}))
    mine = f"/config/administrators/{scene.world.boss.pk}"
    refused(scene.boss.patch(mine, {"role": "admin"}), 409, "last_super")
    refused(scene.boss.patch(mine, {"is_active": False}), 409, "last_super")
    refused(scene.boss.patch("/config/administrators/999999", {"name": "x"}), 404, "not_found")
    assert len(ok(scene.boss.get("/config/administrators"))) == 6


@pytest.mark.rule("S-134")
def test_s134_a_super_administrator_changes_nobodys_address_or_password(scene):
    path = f"/config/administrators/{scene.world.owner.pk}"
    for field in ("email", "password", "token"):
        refused(scene.boss.patch(path, {field: "x@isp.example"}), 422, "invalid")
    with viewing_as(scene.world.boss):
        assert Staff.objects.get(pk=scene.world.owner.pk).email == "owner@isp.example"


def test_tokens(scene):
    told = ok(scene.owner.post("/tokens", {"name": "script"}), 201)
    script = Caller(token=told["token"])
    assert ok(script.get("/me"))["email"] == "owner@isp.example"
    listed = ok(scene.owner.get("/tokens"))
    assert [t["name"] for t in listed] == ["tests", "script"] and "token" not in listed[1]
    refused(scene.boss.delete(f"/tokens/{told['id']}"), 404, "not_found")
    ok(scene.owner.delete(f"/tokens/{told['id']}"), 204)
    refused(script.get("/me"), 401, "unauthorised")
    refused(scene.owner.post("/tokens", {"name": ""}), 422, "invalid")
    refused(scene.owner.post("/tokens", {"name": "x", "staff": 1}), 422, "invalid")
    refused(scene.owner.post("/tokens", {"name": "x", "ends_at": "2020-01-01T00:00:00Z"}), 422, "invalid")


def test_a_token_that_ends_makes_none_that_lasts_longer(scene):
    soon, later = (datetime.now(UTC) + timedelta(hours=h) for h in (1, 2))
    told = ok(scene.owner.post("/tokens", {"name": "short", "ends_at": soon.isoformat()}), 201)
    short = Caller(token=told["token"])
    refused(short.post("/tokens", {"name": "for ever"}), 422, "invalid")
    refused(short.post("/tokens", {"name": "longer", "ends_at": later.isoformat()}), 422, "invalid")
    ok(short.post("/tokens", {"name": "as long", "ends_at": soon.isoformat()}), 201)
