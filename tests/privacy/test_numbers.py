"""What one person's pages say, numbers included, is the same whatever else lies in the others' mailboxes.

The row policies are off here: what holds is the code alone. The matrix looks for words; a count has none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now

from postern.mail.models import Errand, MessageRead, Opening
from postern.mailboxes.models import DenyEntry, Mailbox, Probe, Reader
from postern.outbox.models import Delivery
from postern.people.models import Handover, Notice, Token
from tests.privacy.matrix import ACTORS
from tests.privacy.scene import Scene, content_of
from tests.privacy.test_matrix import OPERATIONS, asked_of
from tests.world import arrive, letter, make_folder

NOT_READERS = ("noimap", "colleague", "boss")
OTHERS = ("reader", "answerer", *NOT_READERS)
_CHANGING = re.compile(rb'name="key" value="[^"]+"|"used_at": ?"[^"]+"|\bnow\b|\d+ (?:s|min) ago')
"""New in every answer: the key of a new letter, and when one's own token was used."""
OFFICE = {OPERATIONS["list_handovers"][1]}
"""What a super-administrator reads of everybody: a log without mail."""


@pytest.mark.rule("S-056")
@pytest.mark.rule("S-058")
@pytest.mark.parametrize("actor", NOT_READERS)
def test_what_they_are_told_stays_as_it_was_when_the_owner_gets_mail(scene, actor):
    stays(scene, actor, mail_comes)


@pytest.mark.rule("S-056")
@pytest.mark.parametrize("actor", OTHERS)
def test_what_they_are_told_stays_as_it_was_when_the_owner_writes_and_sets_things(scene, actor):
    stays(scene, actor, private_things_come)


@pytest.mark.rule("S-056")
def test_what_the_owner_is_told_stays_as_it_was_when_a_colleague_gets_mail(scene):
    stays(scene, "owner", a_colleague_gets_mail)


@pytest.mark.parametrize("change", ["mail_comes", "private_things_come"])
def test_the_owners_own_pages_do_change(scene, change):
    """The test of these tests."""
    with pytest.raises(AssertionError):
        stays(scene, "owner", globals()[change], "live", "profile")


def stays(scene: Scene, actor: str, change: Any, *names: str) -> None:
    """Ask before and after, with the row policies off; of those pages and operations alone, if any."""
    with scene.acting_as("superuser"), transaction.atomic():
        before = told(scene, actor, names)
        change(scene)
        after = told(scene, actor, names)
        transaction.set_rollback(True)
    assert before
    for name, answer in before.items():
        assert after[name] == answer, name


def told(scene: Scene, actor: str, names: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Every answer that the actor gets to what the matrix asks by GET."""
    found, place = {}, ACTORS.index(actor)
    for number, (template, row) in enumerate(asked_of(*names)):
        if row.method == "GET" and row.outcome[place] in ("sees", "done") and template not in OFFICE:
            with transaction.atomic():
                answer = content_of(scene.ask(actor, template, row))
                found[f"{number} {template}"] = _CHANGING.sub(b"", answer)
                transaction.set_rollback(True)
    return found


def mail_comes(scene: Scene) -> None:
    """Letters to and from the owner: of a customer's, of somebody unknown; some are read already."""
    world = scene.world
    for folder, sender, to in (
        (world.inbox, "greta@brandt-bakery.example", "owner@isp.example"),
        (world.inbox, "new@stripes.example", "owner@isp.example"),
        (world.sent, "owner@isp.example", "greta@brandt-bakery.example"),
    ):
        raw = letter(
            sender=sender, to=to, subject="zebra more", headers="References: <giraffe@b.example>\r\n"
        )
        [new] = arrive(scene.acting_as, folder, raw)
        with scene.acting_as("superuser"):
            MessageRead.objects.get_or_create(staff=world.owner, message_id=new.pk, mailbox=world.mailbox)


def a_colleague_gets_mail(scene: Scene) -> None:
    """From the same senders; and the colleague writes."""
    world = scene.world
    with scene.acting_as("superuser"):
        folder = make_folder(world.colleague_mailbox)
        Delivery.objects.create(
            mailbox=world.colleague_mailbox, author=world.colleague, customer=world.customer
        )
    for sender in ("greta@brandt-bakery.example", "zebra@stripes.example"):
        arrive(scene.acting_as, folder, letter(sender=sender, to="colleague@isp.example"))


def private_things_come(scene: Scene) -> None:
    """What is about the owner, and the owner's alone."""
    world, ids = scene.world, scene.ids
    box, about = world.mailbox, {"mailbox": world.mailbox, "message_id": ids["known"]}
    letter = {"mailbox": box, "author": world.owner, "customer": world.customer, "subject": "okapi more"}
    for state in ("draft", "queued", "failed", "held", "unknown"):
        Delivery.objects.create(**letter, to=[["", "greta@brandt-bakery.example"]], state=state)
    DenyEntry.objects.create(mailbox=box, pattern="more.example")
    Errand.objects.create(**about, kind="trash", not_before=Now(), error="okapi", failed_at=Now())
    Token.objects.create(staff=world.owner, name="more", digest="1" * 64)
    Probe.objects.create(staff=world.owner, mailbox=box, kind="imap")
    Handover.objects.create(owner=world.owner, by=None, ground="token")
    Notice.objects.create(staff=world.owner, text="okapi")
    Mailbox.objects.create(owner=world.owner, address="more@isp.example")
    Reader.objects.create(mailbox=box, staff=scene.confidant)
    seen = {"conversation_id": ids["thread"], "reader_id": scene.confidant.pk, "reader_name": "okapi"}
    at = datetime.now(UTC)
    Opening.objects.create(
        **about,
        **seen,
        at=at,
        what="body",
        door="page",
        subject="okapi",
        outgoing=False,
        received_at=at,
        customers=[],
    )
