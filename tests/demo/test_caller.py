"""The tour's voice at the API."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from postern.demo.caller import Caller, Refused


class Echo(BaseHTTPRequestHandler):
    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        said = {
            "path": self.path,
            "token": self.headers["Authorization"],
            "body": self.rfile.read(size).decode(),
        }
        status, text = {
            "/api/v1/gone": (404, b'{"code": "not_found", "detail": "There is nothing here."}'),
            "/api/v1/broken": (502, b"<html>bad gateway</html>"),
            "/api/v1/nothing": (200, b""),
        }.get(self.path, (200, json.dumps(said).encode()))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *words):
        pass


@pytest.fixture
def caller():
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Caller(f"http://127.0.0.1:{server.server_port}", "postern_x")
        server.shutdown()


def test_a_call_carries_token_query_and_body(caller):
    assert caller.get("/inbox", limit=3)["path"] == "/api/v1/inbox?limit=3"
    said = caller.post("/deliveries", subject="Grüße")
    assert said["token"] == "Bearer postern_x"
    assert json.loads(said["body"]) == {"subject": "Grüße"}
    assert caller.put("/nothing") is None


def test_a_proxy_of_the_environment_is_not_asked(caller, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Caller(caller._base.removesuffix("/api/v1"), "t").get("/inbox")


def test_a_refusal_has_status_code_and_sentence(caller):
    with pytest.raises(Refused, match="There is nothing here") as caught:
        caller.get("/gone")
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_a_page_instead_of_json_is_a_refusal_too(caller):
    with pytest.raises(Refused, match="bad gateway") as caught:
        caller.get("/broken")
    assert caught.value.status == 502
