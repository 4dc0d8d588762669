"""Customers and leads by the API."""

import io

import pytest

from tests.api.caller import ok, refused


def upload(text: str | bytes) -> io.BytesIO:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    file.name = "customers.csv"
    return file


def test_add_change_and_find(scene):
    made = ok(
        scene.owner.post("/customers", {"name": "Nordlicht", "kind": "lead", "email": "A@Nord.example"}), 201
    )
    assert made["number"] and [a["email"] for a in made["addresses"]] == ["a@nord.example"]
    path = f"/customers/{made['id']}"
    assert ok(scene.owner.patch(path, {"phone": "0555 1"}))["phone"] == "0555 1"
    assert ok(scene.owner.get(path))["name"] == "Nordlicht"
    assert [c["id"] for c in ok(scene.colleague.get("/customers?q=nord&kind=lead"))["customers"]] == [
        made["id"]
    ]
    assert ok(scene.owner.post(f"{path}/convert"))["kind"] == "customer"
    refused(scene.owner.post(f"{path}/convert"), 409, "not_a_lead")


def test_pages_by_name(scene):
    for name in ("Alder", "alder", "Beech", "Alder"):
        ok(scene.owner.post("/customers", {"name": name}), 201)
    found, cursor = [], ""
    while True:
        page = ok(scene.owner.get(f"/customers?limit=2&cursor={cursor}"))
        found += [c["id"] for c in page["customers"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(found) == len(set(found)) == 5
    assert found == [c["id"] for c in ok(scene.owner.get("/customers"))["customers"]]


@pytest.mark.rule("S-107")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "kind": "friend"}, "kind"),
        ({"name": "x", "status": "gone"}, "status"),
        ({"name": "x", "id": 7}, "id"),
        ({"name": "x", "created_at": "2020-01-01"}, "created_at"),
        ({"name": "x", "phone": "1" * 61}, "phone"),
    ],
)
def test_s107_what_a_customer_cannot_be(scene, body, field):
    assert field in refused(scene.owner.post("/customers", body), 422, "invalid")["fields"]


def test_numbers_and_addresses_belong_to_one(scene):
    number = scene.world.customer.number
    refused(scene.owner.post("/customers", {"name": "x", "number": number}), 409, "number_taken")
    body = {"name": "Twice", "email": "greta@brandt-bakery.example"}
    assert "Brandt Bakery" in refused(scene.owner.post("/customers", body), 409, "address_taken")["detail"]
    assert ok(scene.owner.get("/customers?q=Twice"))["customers"] == []


def test_addresses(scene):
    path = f"/customers/{scene.world.customer.pk}/addresses"
    row = ok(scene.owner.post(path, {"email": "d@tiling.example", "kind": "billing"}), 201)
    assert ok(scene.owner.get(f"/messages/{scene.stranger.pk}"))["author_found"]
    assert ok(scene.owner.patch(f"{path}/{row['id']}", {"shared": True}))["shared"]
    ok(scene.owner.delete(f"{path}/{row['id']}"), 204)
    refused(scene.owner.delete(f"{path}/{row['id']}"), 404, "not_found")
    refused(scene.owner.post(path, {"email": "nobody"}), 422, "bad_address")
    refused(scene.owner.post("/customers/999999/addresses", {"email": "a@b.example"}), 404, "not_found")
    refused(scene.owner.post(path, {"email": "a@b.example", "added_by": 1}), 422, "invalid")


def test_an_address_on_two_customers_stays_shared(scene):
    first = ok(scene.owner.post("/customers", {"name": "First"}), 201)["id"]
    second = ok(scene.owner.post("/customers", {"name": "Second"}), 201)["id"]
    body = {"email": "notary@law.example", "shared": True}
    row = ok(scene.owner.post(f"/customers/{first}/addresses", body), 201)
    other = ok(scene.owner.post(f"/customers/{second}/addresses", body), 201)
    ok(scene.owner.patch(f"/customers/{first}/addresses/{row['id']}", {"shared": False}))
    path = f"/customers/{second}/addresses/{other['id']}"
    refused(scene.owner.patch(path, {"shared": False}), 409, "address_taken")


def test_import_names_each_broken_line(scene):
    text = "name,email\nAlder,alder@x.example\n,nobody@x.example\nBeech,not-an-address\n"
    told = ok(scene.owner.upload("/customers/import", upload(text)))
    assert len(told["added"]) == 1 and set(told["broken"]) == {"3", "4"}
    refused(scene.owner.upload("/customers/import", upload(b"\x00\x01")), 422, "csv_unreadable")
    refused(scene.owner.upload("/customers/import", upload("a,b\n1,2\n")), 422, "csv_unreadable")
    assert "file" in refused(scene.owner.post("/customers/import"), 422, "invalid")["fields"]


def test_communication_is_each_ones_own(scene):
    path = f"/customers/{scene.world.customer.pk}/communication"
    told = ok(scene.owner.get(path))
    assert {t["subject"] for t in told["conversations"]} == {"Packet loss", "Our answer"}
    assert len(ok(scene.owner.get(f"{path}?limit=1"))["conversations"]) == 1
    first = ok(scene.owner.get(f"{path}?limit=1"))
    second = ok(scene.owner.get(f"{path}?limit=1&cursor={first['next_cursor']}"))
    assert {t["subject"] for t in first["conversations"] + second["conversations"]} == {
        "Packet loss",
        "Our answer",
    }
    assert second["next_cursor"] == ""
    for name, caller in scene.outsiders.items():
        told = ok(caller.get(path))
        assert told["conversations"] == [] and told["pending"] == [], name
    assert ok(scene.noimap.get(path))["waits_for_own_mailbox"]
    refused(scene.owner.get("/customers/999999/communication"), 404, "not_found")
