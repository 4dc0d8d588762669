"""Signing in: who gets in, who does not, and that a refusal tells a stranger nothing (S-097, S-098, S-103)."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.http import HttpResponse

from postern.people.models import Staff
from postern.people.shell import reset_password
from postern.web.base import throttle
from postern.web.base.signin import ENDED, TOO_MANY, WRONG
from tests.roles import hire
from tests.web.browser import Browser

PASSWORD = "a long pass phrase"  # conftest.py
EMAIL = "marta@northlink.example"


def attempt(client: Browser, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> HttpResponse:
    """Send the form as a browser does, with the token of the page."""
    token = client.token("/sign-in/")
    ip = more.pop("ip", "203.0.113.7")
    data = {"email": email, "password": password, "csrfmiddlewaretoken": token, **more}
    return client.post("/sign-in/", data, REMOTE_ADDR=ip)


def signed_in(client: Browser) -> bool:
    return "_auth_user_id" in client.session


def test_the_right_pair_opens(client: Browser, marta: Staff) -> None:
    answer = attempt(client, next="/customers/?q=1")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/customers/?q=1")
    assert signed_in(client)


def test_the_address_may_be_typed_in_any_case(client: Browser, marta: Staff) -> None:
    attempt(client, email=" Marta@Northlink.EXAMPLE ")
    assert signed_in(client)


def test_the_session_number_changes(client: Browser, marta: Staff) -> None:
    client.cookies["postern"] = "a" * 32
    attempt(client)
    assert client.cookies["postern"].value != "a" * 32


def test_every_refusal_is_the_same(client: Browser, marta: Staff) -> None:
    hire(email="gone@northlink.example", name="Gone", password=PASSWORD, is_active=False)
    bodies = set()
    for email, password in (
        (EMAIL, "wrong"),
        ("nobody@northlink.example", "wrong"),
        ("gone@northlink.example", PASSWORD),
    ):
        answer = attempt(client, email, password)
        assert answer.status_code == 422
        text = answer.content.decode()
        assert WRONG in text and PASSWORD not in text
        bodies.add(re.sub(r'value="\w{64}"', "", text.replace(email, "")))
        assert not signed_in(client)
    assert len(bodies) == 1


@pytest.fixture
def one_time(client: Browser, marta: Staff, acting_as: Any) -> str:
    """Marta's one-time password, of which the three days are over."""
    with acting_as("owner"):
        first = reset_password(marta)
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(one_time_until=Now() - timedelta(seconds=1))
    return first


@pytest.mark.rule("S-097")
def test_s097_only_who_knows_it_is_told_that_a_one_time_password_has_ended(
    client: Browser, marta: Staff, one_time: str
) -> None:
    told = attempt(client, password=one_time)
    assert told.status_code == 422 and ENDED in told.content.decode() and not signed_in(client)
    bodies = set()
    for email, password in ((EMAIL, "wrong"), (EMAIL, PASSWORD), ("nobody@northlink.example", one_time)):
        answer = attempt(client, email, password)
        text = answer.content.decode()
        assert answer.status_code == 422 and WRONG in text and "one-time" not in text.lower()
        bodies.add(re.sub(r'value="\w{64}"', "", text.replace(email, "")))
        assert not signed_in(client)
    assert len(bodies) == 1


@pytest.mark.rule("S-097")
def test_s097_one_that_has_ended_counts_among_the_guesses(client: Browser, one_time: str) -> None:
    statuses = [attempt(client, password=one_time).status_code for _ in range(throttle.BY_BOTH.failures + 1)]
    assert statuses == [422] * throttle.BY_BOTH.failures + [429]


def test_until_then_it_opens_the_page_to_choose_another(
    client: Browser, marta: Staff, one_time: str, acting_as: Any
) -> None:
    def ends_in(seconds: int) -> None:
        with acting_as("superuser"):
            Staff.objects.filter(pk=marta.pk).update(one_time_until=Now() + timedelta(seconds=seconds))

    ends_in(60)
    assert attempt(client, password=one_time).status_code == 302 and signed_in(client)
    assert client.get("/first-password/").status_code == 200
    ends_in(-1)  # the page stayed open
    assert client.get("/messages/inbox/").headers["Location"] == "/first-password/"
    assert client.get("/first-password/").headers["Location"] == "/sign-in/" and not signed_in(client)
    assert Staff.objects.get(pk=marta.pk).check_password(one_time)


@pytest.mark.parametrize("email", [EMAIL, "nobody@northlink.example"])
def test_guessing_is_stopped_for_known_and_unknown_alike(client: Browser, marta: Staff, email: str) -> None:
    statuses = [
        attempt(client, email, f"guess {n}").status_code for n in range(throttle.BY_BOTH.failures + 1)
    ]
    assert statuses == [422] * throttle.BY_BOTH.failures + [429]
    refused = attempt(client, email, PASSWORD)
    assert refused.status_code == 429 and TOO_MANY in refused.content.decode()
    assert not signed_in(client)


def test_a_stranger_elsewhere_does_not_lock_marta_out(client: Browser, marta: Staff) -> None:
    for n in range(throttle.BY_BOTH.failures + 2):
        attempt(client, password=f"guess {n}", ip="198.51.100.9")
    attempt(client, ip="203.0.113.7")
    assert signed_in(client)


def test_one_address_cannot_try_many_accounts(client: Browser, marta: Staff) -> None:
    for n in range(throttle.BY_ADDRESS.failures):
        throttle.failed("198.51.100.9", f"person{n}@northlink.example")
    assert attempt(client, ip="198.51.100.9").status_code == 429
    assert attempt(client, ip="203.0.113.7").status_code == 302


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "javascript:x",
        "evil",
        " //evil",
    ],
)
def test_next_never_leaves_the_house(client: Browser, marta: Staff, target: str) -> None:
    assert attempt(client, next=target).headers["Location"] == "/"


def test_a_form_without_token_is_refused(client: Browser, marta: Staff) -> None:
    answer = client.post("/sign-in/", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 403 and "This form is too old" in answer.content.decode()
    assert not signed_in(client)


def test_signing_out_ends_the_session_on_the_server(inside: Browser) -> None:
    before = inside.cookies["postern"].value
    assert inside.get("/sign-out/").status_code == 405
    assert signed_in(inside)
    answer = inside.post("/sign-out/")
    assert answer.headers["Location"] == "/sign-in/"
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    thief = Browser()
    thief.cookies["postern"] = before
    assert thief.get("/live/").headers["Location"].startswith("/sign-in/")


def test_whoever_is_in_is_not_asked_again(inside: Browser) -> None:
    assert inside.get("/sign-in/").headers["Location"] == "/"


def test_a_password_kept_by_an_older_version_is_hashed_anew(
    client: Browser, marta: Staff, acting_as: Any
) -> None:
    from django.contrib.auth.hashers import make_password

    def kept() -> str:
        return Staff.objects.values_list("password", flat=True).get(pk=marta.pk)

    before = kept()
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(password=old)
    attempt(client, EMAIL, "wrong")
    assert kept() == old
    attempt(client)
    assert signed_in(client) and kept().startswith("argon2") and kept() != before
    again = Browser()
    attempt(again)
    assert signed_in(again) and signed_in(client)


def test_a_disabled_person_is_out_at_the_next_request(inside: Browser, marta: Staff, acting_as: Any) -> None:
    assert inside.get("/live/").status_code == 200
    with acting_as("superuser"):
        Staff.objects.filter(pk=marta.pk).update(is_active=False)
    assert inside.get("/live/").status_code == 302
