"""The event stream (S-106), and all of it through a pooler that hands each transaction another's connection (S-070)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mail.sharing import share, take_back
from postern.mailboxes.models import Folder, Reader
from postern.mailboxes.readers import grant, revoke
from postern.people.models import Staff
from postern.people.staff import change_staff
from tests.privacy.pooled import PROGRAM
from tests.privacy.served import Served, Stream, served
from tests.world import World, arrive, letter, make_folder, make_world

FORGED = [
    "", "x", "null", "[]", "5", '"message"', "{}", "[" * 4000, '{"kind": "message"}',
    '{"kind": "message", "mailbox": null, "id": null}', '{"kind": ["message"], "mailbox": 1, "id": 1}',
    '{"kind": "everything", "mailbox": 1, "id": 1}', '{"kind": "message", "mailbox": 1, "id": 9223372036854775808}',
    '{"kind": "access", "mailbox": 0, "id": true}', '{"kind": "message\\nevent: x", "mailbox": 1, "id": 1}',
]  # fmt: skip


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[Served]:
    with served() as one:
        yield one


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    return make_world(acting_as)


@pytest.fixture
def place(world: World, acting_as: Any) -> Folder:
    """The colleague's own inbox."""
    with acting_as("superuser"):
        return make_folder(world.colleague_mailbox)


@pytest.fixture
def streams(server: Served) -> Iterator[Any]:
    """Open a stream as somebody; all are closed at the end."""
    opened: list[Stream] = []

    def open_one(staff: Staff | None, path: str = "/events/", **headers: str) -> Stream:
        opened.append(server.stream(server.browser(staff) if staff else None, path, **headers))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def announce(payload: str, channel: str = "postern_events") -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


@pytest.mark.rule("S-106")
def test_s106_a_stream_tells_of_its_own_persons_mail_whatever_it_asks_for(
    server, world, place, streams, acting_as
):
    """What comes after on the same stream shows that what came before was not held back, but kept from it."""
    owner, reader = streams(world.owner), streams(world.reader)
    asked = [
        streams(world.colleague),
        streams(world.colleague, f"/events/?staff={world.owner.pk}&channel=*&mailbox={world.mailbox.pk}"),
        streams(world.colleague, "/events/", **{"Last-Event-ID": "0", "X-Staff-Id": str(world.owner.pk)}),
    ]
    assert {one.status for one in (owner, reader, *asked)} == {200}
    assert all(one.text == "" or "hello" in one.text for one in asked)
    [theirs] = arrive(acting_as, world.inbox, letter(subject="secret"))
    assert owner.heard(theirs.pk) and reader.heard(theirs.pk)
    [own] = arrive(acting_as, place, letter(to="colleague@isp.example"))
    for one in asked:
        assert one.heard(own.pk)
        assert not one.names(theirs.pk) and f'"mailbox": {world.mailbox.pk}' not in one.text
    assert not owner.names(own.pk)
    assert "secret" not in owner.text + reader.text, "ids only"


@pytest.mark.rule("S-106")
def test_s106_nobody_has_no_stream_and_there_is_one_address_of_it(server, world, streams):
    for path in (f"/events/{world.owner.pk}/", "/events/*/", "/events/postern_events/"):
        assert streams(world.colleague, path).status == 404
    assert streams(None).status == 401
    made_up = streams(None, Cookie="postern=" + "a" * 32)
    assert made_up.status == 401 and made_up.ended() and made_up.text == ""


@pytest.mark.rule("S-106")
def test_s106_forged_announcements_stop_nothing_and_tell_nothing(server, world, place, streams, acting_as):
    """Any role of the database may announce: a made-up word is none, and one that names another's letter stays here."""
    owner, colleague = streams(world.owner), streams(world.colleague)
    [theirs] = arrive(acting_as, world.inbox, letter())
    assert owner.heard(theirs.pk)
    before = owner.text
    for payload in FORGED:
        announce(payload)
    for kind in ("message", "health", "delivery", "probe"):
        named = {"kind": kind, "mailbox": world.mailbox.pk, "id": theirs.pk}
        announce(json.dumps(named | {"to": world.colleague.pk, "staff": world.colleague.pk}))
        for channel in ("*", "postern_events_*", f"postern_events_{world.colleague.pk}"):
            announce(json.dumps(named), channel)
    [own] = arrive(acting_as, place, letter(to="colleague@isp.example"))
    assert colleague.heard(own.pk) and not colleague.names(theirs.pk)
    assert not colleague.closed and not owner.closed
    until = time.monotonic() + 20  # each stream is told at its own time
    while owner.text.replace(before, "").count("data:") < 4 and time.monotonic() < until:
        time.sleep(0.05)
    assert owner.text.replace(before, "").count("data:") == 4, "the four that were well made, and no other"


def sign_out(server: Served, world: World) -> Stream:
    browser = server.browser(world.reader)
    stream = server.stream(browser)
    assert browser.ask("GET", "/messages/inbox/")[0] == 200
    assert browser.ask("POST", "/sign-out/")[0] == 302
    assert server.stream(browser).status == 401
    return stream


def disable(server: Served, world: World) -> Stream:
    browser = server.browser(world.reader)
    stream = server.stream(browser)
    with viewing_as(world.boss):
        change_staff(by=world.boss, staff=world.reader, changes={"is_active": False})
    assert server.stream(browser).status == 401
    return stream


def revoke_grant(server: Served, world: World) -> Stream:
    stream = server.stream(server.browser(world.reader))
    with viewing_as(world.owner):
        revoke(staff=world.owner, mailbox=world.mailbox, reader=world.reader)
    return stream


def narrow_grant(server: Served, world: World) -> Stream:
    """Its pages ask anew, and show what is still theirs."""
    stream = server.stream(server.browser(world.reader))
    with viewing_as(world.owner):
        grant(staff=world.owner, mailbox=world.mailbox, reader=world.reader, customers_only=True)
    return stream


def take_share_back(server: Served, world: World) -> Stream:
    with viewing_as(world.owner):
        message = Message.objects.get(subject="secret")
        share(staff=world.owner, conversation=message.conversation_id, colleague=world.colleague)
    stream = server.stream(server.browser(world.colleague))
    with viewing_as(world.owner):
        take_back(staff=world.owner, conversation=message.conversation_id, colleague=world.colleague.pk)
    return stream


@pytest.mark.rule("S-106")
@pytest.mark.parametrize("end", [sign_out, disable, revoke_grant, narrow_grant, take_share_back])
def test_s106_an_open_stream_ends_when_the_right_does(server, world, acting_as, end):
    arrive(acting_as, world.inbox, letter(subject="secret"))
    stream = end(server, world)
    assert stream.ended()
    stream.close()


@pytest.mark.rule("S-106")
def test_s106_a_grant_that_is_over_by_its_day_tells_nothing_more(server, world, streams, acting_as):
    owner, reader = streams(world.owner), streams(world.reader)
    [before] = arrive(acting_as, world.inbox, letter())
    assert reader.heard(before.pk)
    with acting_as("superuser"), connection.cursor() as cursor:
        Reader.objects.filter(staff=world.reader).update(ends_at=before.received_at)
        theirs = make_folder(world.reader_mailbox)
        cursor.execute("SELECT 1 FROM mailboxes_reader WHERE ends_at < now()")
        if cursor.fetchone() is None:  # the letters of these tests are of a day that may not have come yet
            Reader.objects.filter(staff=world.reader).update(ends_at="2020-01-01T00:00:00Z")
    [after] = arrive(acting_as, world.inbox, letter())
    [own] = arrive(acting_as, theirs, letter(to="reader@isp.example"))
    assert owner.heard(after.pk) and reader.heard(own.pk)
    assert not reader.names(after.pk)


@pytest.mark.rule("S-070")
@pytest.mark.skipif(
    not PROGRAM, reason="PGBOUNCER IS NOT INSTALLED (apt-get install pgbouncer): pooling is untested"
)
def test_s070_through_a_pooler_in_transaction_mode_streams_and_pages_are_each_ones_own(
    server, world, place, streams, acting_as
):
    """Three connections serve everybody: while streams are open, three people ask at once and in turn."""
    assert server.pooled
    with acting_as("superuser"):
        Staff.objects.filter(pk=world.boss.pk).update(name="Boss")
    first, second = streams(world.owner), streams(world.colleague)
    [theirs] = arrive(acting_as, world.inbox, letter(subject="zebra"))
    [own] = arrive(acting_as, place, letter(to="colleague@isp.example", subject="okapi"))
    assert first.heard(theirs.pk) and second.heard(own.pk)
    told: dict[str, set[tuple[int, bool, bool]]] = {}

    def look(name: str, staff: Staff) -> None:
        browser, pages = server.browser(staff), set()
        for turn in range(6):
            path = ("/messages/inbox/", f"/messages/inbox/{theirs.pk}/", "/jump/?q=zebr")[turn % 3]
            status, body = browser.ask("GET", path)
            pages.add((status, "zebra" in body, "okapi" in body))
        told[name] = pages

    people = {"owner": world.owner, "colleague": world.colleague, "boss": world.boss}
    threads = [threading.Thread(target=look, args=one) for one in people.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told["owner"] == {(200, True, False)}
    assert {(status, zebra) for status, zebra, _ in told["colleague"]} == {(200, False), (404, False)}
    assert told["boss"] == {(200, False, False), (404, False, False)}
    [more] = arrive(acting_as, world.inbox, letter())
    assert first.heard(more.pk)
    assert not second.names(theirs.pk) and not second.names(more.pk) and not first.names(own.pk)
