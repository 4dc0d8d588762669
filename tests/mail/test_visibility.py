"""Who can see a message: the panel says what the wall does, and one query answers for a whole page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postern.mail.access import viewing_as
from postern.mail.models import ConversationShare, Message
from postern.mail.visibility import Visibility, watch
from postern.mailboxes.models import Reader
from postern.people.models import Staff
from tests.world import World, arrive, letter, make_world

PAST, SOON = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 30))


@pytest.fixture
def world(db, acting_as) -> World:
    world = make_world(acting_as)
    stranger = {"sender": "a@b.example"}
    arrive(acting_as, world.inbox, letter(subject="customer in"), letter(**stranger, subject="stranger in"))
    own = {"sender": "owner@isp.example"}
    arrive(acting_as, world.sent, letter(**own, to="greta@brandt-bakery.example", subject="customer out"))
    arrive(acting_as, world.sent, letter(**own, to="a@b.example", subject="stranger out"))
    return world


def seen(staff: Staff, *subjects: str) -> Visibility:
    with viewing_as(staff):
        rows = Message.objects.visible_to(staff).select_related("mailbox")
        rows = rows.filter(subject__in=subjects) if subjects else rows
        messages = list(rows.order_by("pk"))
        return watch(staff, messages).over(messages)


SCOPES = [
    {},
    {"incoming_only": True},
    {"customers_only": True},
    {"incoming_only": True, "customers_only": True},
    {"ends_at": PAST},
    {"ends_at": SOON},
]


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: "-".join(scope) or "all")
@pytest.mark.parametrize("change", ["", "disabled", "shared"])
def test_the_panel_names_exactly_those_whom_the_wall_lets_in(world, acting_as, scope, change):
    with acting_as("superuser"):
        Reader.objects.filter(mailbox=world.mailbox).update(**scope)
        if change == "disabled":
            Staff.objects.filter(pk=world.reader.pk).update(is_active=False)
        if change == "shared":
            thread = Message.objects.get(subject="stranger out").conversation_id
            ConversationShare.objects.create(
                mailbox=world.mailbox, conversation_id=thread, staff=world.colleague
            )
    for subject in ("customer in", "stranger in", "customer out", "stranger out"):
        really = set()
        for staff in (world.reader, world.reader_without_imap, world.colleague, world.boss):
            with viewing_as(staff):
                if Message.objects.filter(subject=subject).exists():
                    really.add(staff.name)
        assert {seer.name for seer in seen(world.owner, subject).seeing} == really, subject


@pytest.mark.parametrize(
    ("scope", "subject", "reason"),
    [
        ({}, "customer in", ""),
        ({"incoming_only": True}, "customer out", "reads incoming mail only"),
        ({"customers_only": True}, "stranger in", "reads customers’ conversations only"),
        ({"ends_at": PAST}, "customer in", f"access ended on {PAST.astimezone():%-d %B %Y}"),
    ],
)
def test_who_does_not_see_it_is_named_with_the_reason(world, acting_as, scope, subject, reason):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(**scope)
    found = seen(world.owner, subject)
    reasons = {seer.name: seer.reason for seer in (*found.seeing, *found.not_seeing)}
    assert reasons == {"Reader": reason, "Noimap": "waits until a mailbox of their own is set up"}


def test_the_pill_counts_only_who_really_sees_it(world, acting_as):
    assert seen(world.owner).text == "You and Reader"
    assert seen(world.owner).faces == ["Reader"]
    with acting_as("superuser"):
        Reader.objects.update(incoming_only=True)
    assert seen(world.owner, "customer out").text == "Only you can see this"
    assert [(s.sees, s.of) for s in seen(world.owner).seeing] == [(2, 4)]
    with acting_as("superuser"):
        Reader.objects.create(mailbox=world.mailbox, staff=world.colleague)
    assert seen(world.owner, "customer in").text == "You and 2 others"


def test_a_reader_is_told_by_whom_and_until_when_and_of_nobody_else(world, acting_as):
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(ends_at=SOON, incoming_only=True)
        Reader.objects.create(mailbox=world.mailbox, staff=world.colleague)
    found = seen(world.reader)
    day = SOON.astimezone()
    assert found.text == f"Owner’s mailbox, shared with you until {day:%-d %b %Y}"
    assert found.grant is not None
    assert found.grant.through == f"Incoming mail, until {day:%-d %B %Y}"
    assert (found.seeing, found.not_seeing, found.faces) == ([], [], [])


def test_a_conversation_shared_by_name_is_told_as_such(world, acting_as):
    with acting_as("superuser"):
        thread = Message.objects.get(subject="customer in").conversation_id
        ConversationShare.objects.create(mailbox=world.mailbox, conversation_id=thread, staff=world.colleague)
    assert seen(world.colleague).text == "Owner’s conversation, shared with you"
    names = [(s.name, s.grant.through) for s in seen(world.owner, "customer in").seeing]
    assert names == [
        ("Colleague", "This conversation, shared by name"),
        ("Reader", "Incoming and sent mail"),
    ]
    assert [s.name for s in seen(world.owner, "stranger in").seeing] == ["Reader"]


def test_one_query_for_a_page_of_messages(world):
    with viewing_as(world.owner):
        messages = list(Message.objects.visible_to(world.owner).select_related("mailbox"))
        with CaptureQueriesContext(connection) as queries:
            sight = watch(world.owner, messages)
            assert [sight.over([message]).text for message in messages] == ["You and Reader"] * 4
    assert len(queries) == 1
