"""The search for secrets finds every shape it promises to find."""

import base64
from urllib.parse import quote

import pytest

from tests.canary import leaks

SECRET = 'canary & "horse" ü'


@pytest.mark.parametrize(
    "text",
    [
        f"LOGIN marta {SECRET}",
        "pass=" + quote(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        "AUTH PLAIN " + base64.b64encode(f"\0marta\0{SECRET}".encode()).decode(),
        base64.b64encode(b"a word before " + SECRET.encode() + b" and after").decode(),
        "E'\\x" + SECRET.encode().hex(),
        repr({"password": SECRET}),
    ],
)
def test_found(text):
    assert leaks(SECRET, text, "marta")


def test_not_found_where_it_is_not():
    assert not leaks(
        SECRET, "canary and horse, " + base64.b64encode(b"something else entirely").decode(), "marta"
    )
