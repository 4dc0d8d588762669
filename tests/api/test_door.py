"""The API's front door: tokens, the shape of refusals, the OpenAPI document, and that a refusal leaves nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from postern.api.urls import api
from postern.mail.access import viewing_as
from postern.people.models import Customer, Staff, Token
from postern.people.tokens import PREFIX, make_token, verify_token
from tests.api.caller import Caller, ok, refused


def operations() -> list[tuple[str, str, dict]]:
    paths = api.get_openapi_schema(path_prefix="/api/v1/")["paths"]
    return [(path, method, told) for path, methods in paths.items() for method, told in methods.items()]


def test_the_openapi_document_is_json_and_names_every_operation(scene):
    document = json.loads(Caller().get("/openapi.json").content)
    assert document["openapi"].startswith("3.")
    told = [op for methods in document["paths"].values() for op in methods.values()]
    assert len(told) == len(operations()) > 60
    names = [op["operationId"] for op in told]
    assert len(names) == len(set(names))
    assert all(op["summary"] and op["tags"] and op["security"] for op in told)


def test_the_openapi_document_says_how_each_operation_refuses(scene):
    document = api.get_openapi_schema(path_prefix="/api/v1/")
    for path, method, told in operations():
        (kind, content), *more = told["responses"]["default"]["content"].items()
        assert (kind, more) == ("application/problem+json", []), (path, method)
        assert content["schema"]["$ref"] == "#/components/schemas/Problem"
    shape = document["components"]["schemas"]["Problem"]
    told = refused(scene.owner.post("/customers", {"nmae": "Hoffmann"}), 422, "invalid")
    assert told.keys() == shape["properties"].keys()
    plain = refused(scene.owner.get("/customers/999999"), 404, "not_found")
    assert set(plain) == set(shape["required"]) == set(told) - {"fields"}


def test_every_body_refuses_unknown_fields():
    schemas = api.get_openapi_schema(path_prefix="")["components"]["schemas"]
    bodies = 0
    for path, method, told in operations():
        content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
        if name := content.get("schema", {}).get("$ref", "").rpartition("/")[2]:
            assert schemas[name]["additionalProperties"] is False, (path, method)
            bodies += 1
    assert bodies > 20


def test_there_is_no_interactive_documentation(scene):
    refused(scene.owner.get("/docs"), 404, "not_found")
    refused(scene.owner.get("/"), 404, "not_found")
    refused(scene.owner.get("/nowhere/at/all"), 404, "not_found")


@pytest.mark.parametrize(("path", "method"), [(p, m) for p, m, _ in operations()])
def test_no_operation_answers_without_a_token(scene, path, method):
    place = path.removeprefix("/api/v1").replace("{key}", "pair")
    for name in ("{pk}", "{index}", "{file}", "{address}", "{staff}"):
        place = place.replace(name, "1")
    response = Caller().call(method.upper(), place, None if method == "get" else {})
    refused(response, 401, "unauthorised")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", "Basic dXNlcjpwYXNz", "Bearer \xff", "a b c"]
)
def test_a_made_up_token_is_refused(scene, header):
    refused(Caller().get("/me", headers={"Authorization": header}), 401, "unauthorised")


def test_a_session_is_not_enough_and_a_token_counts_more_than_a_session(scene):
    scene.colleague.client.force_login(scene.world.owner)
    assert ok(scene.colleague.get("/me"))["email"] == "colleague@isp.example"
    assert ok(scene.colleague.get("/inbox"))["messages"] == []
    refused(scene.colleague.get(f"/messages/{scene.known.pk}"), 404, "not_found")
    scene.colleague.token = ""
    refused(scene.colleague.get("/me"), 401, "unauthorised")


def test_a_disabled_persons_token_stops_working(scene, acting_as):
    ok(scene.owner.get("/me"))
    with acting_as("superuser"):
        Staff.objects.filter(pk=scene.world.owner.pk).update(is_active=False)
    refused(scene.owner.get("/me"), 401, "unauthorised")


def test_a_token_ends_with_its_date(scene, acting_as):
    ok(scene.owner.get("/me"))
    with acting_as("superuser"):
        Token.objects.update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    refused(scene.owner.get("/me"), 401, "unauthorised")


def test_only_the_digest_of_a_token_is_stored(scene):
    with viewing_as(scene.world.owner):
        row, secret = make_token(staff=scene.world.owner, name="x")
        assert secret.startswith(PREFIX) and len(secret) > 45
        assert secret not in json.dumps(list(Token.objects.values()), default=str)
        assert verify_token(secret).pk == row.pk
        assert verify_token(row.digest) is None
        assert verify_token(secret[:-1]) is None


def test_many_wrong_tokens_are_slowed_down_and_a_working_one_still_works(scene):
    for _ in range(30):
        refused(Caller(token="wrong").get("/me"), 401, "unauthorised")
    response = Caller(token="wrong").get("/me")
    refused(response, 429, "too_many")
    assert int(response.headers["Retry-After"]) > 0
    ok(scene.owner.get("/me"))


def test_a_wrong_method_names_the_right_ones(scene):
    response = scene.owner.delete("/inbox")
    refused(response, 405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"\xff", 400), (b"[]", 422), (b"null", 422), (b"1", 422), (b'"x"', 422), (b"", 422)],
)
def test_a_body_that_is_no_object_is_refused(scene, body, status):
    response = scene.owner.client.post(
        "/api/v1/customers",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {scene.owner.token}"},
    )
    refused(response, status, {400: "bad_request", 422: "invalid"}[status])


@pytest.mark.parametrize("mark", ["\x00", "\ud800"])
def test_text_that_cannot_be_stored_is_refused_by_field(scene, mark):
    told = refused(scene.owner.post("/customers", {"name": f"a{mark}b"}), 422, "invalid")
    assert list(told["fields"]) == ["name"]
    told = refused(scene.owner.post("/deliveries", {"html": mark, "to": [mark]}), 422, "invalid")
    assert "html" in told["fields"]


@pytest.mark.rule("S-120")
@pytest.mark.parametrize(
    "query",
    [
        "/inbox?show=everything",
        "/inbox?since=yesterday",
        "/inbox?limit=0",
        "/inbox?limit=201",
        "/inbox?q=%00",
        "/customers?kind=';drop table people_customer;--",
        "/deliveries?state=lost",
        "/customers?cursor=%00",
    ],
)
def test_parameters_are_checked(scene, query):
    refused(scene.owner.get(query), 422, "invalid")


@pytest.mark.rule("S-052")
@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "%", "_", "\\", "a' || pg_sleep(9) || '", "${7*7}", "]]", "\U0001f4a9", "é" * 200]
)
def test_s052_search_words_are_only_words(scene, text):
    from urllib.parse import quote

    for path in ("/inbox?q=", "/customers?q=", "/inbox?cursor=", "/customers?cursor=", "/deliveries?cursor="):
        assert scene.owner.get(path + quote(text)).status_code == 200


def test_a_refusal_takes_back_what_was_written_before_it(scene):
    told = refused(
        scene.owner.post("/customers", {"name": "Half", "email": "no address"}), 422, "bad_address"
    )
    assert "no address" in told["detail"]
    with viewing_as(scene.world.owner):
        assert not Customer.objects.filter(name="Half").exists()


@pytest.mark.rule("S-113")
def test_s113_a_fault_of_ours_says_nothing_but_a_number(scene, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("postern.mail.lists.counts", broken)
    response = scene.owner.get("/counts")
    told = refused(response, 500, "server_error")
    assert "secret detail" not in response.content.decode()
    number = told["detail"].split("Number ")[1].split()[0]
    assert number in caplog.text and "secret detail" in caplog.text
    assert scene.owner.token not in caplog.text
