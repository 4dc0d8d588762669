"""Stories about what goes out, what is shared by name, and administrators (see alone.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from postern.mail import sharing
from postern.mail.models import Message
from postern.mailboxes.models import Reader
from postern.outbox import begin, behalf, compose, deliver
from postern.outbox.letter import ComposeError
from postern.outbox.models import Delivery
from postern.people import handover, staff, tokens
from postern.people.models import Consent, Handover, Notice, Staff
from postern.web.base import sidebar
from postern.web.inbox import shared
from tests.privacy.alone import refused, the_letter
from tests.privacy.scene import Scene


def administrators_are_managed_by_super(scene: Scene) -> None:
    refused(lambda: staff.must_be_super(scene.staff["colleague"]))


def a_letter_starts_in_ones_own_mailbox(scene: Scene) -> None:
    refused(lambda: begin.new(staff=scene.staff["colleague"], mailbox=scene.world.mailbox))


def a_letter_is_forwarded_by_its_owner(scene: Scene) -> None:
    refused(lambda: begin.forward(staff=scene.staff["reader"], message=the_letter(scene)))


def what_was_deleted_is_not_forwarded(scene: Scene) -> None:
    message = the_letter(scene)
    Message.objects.filter(pk=message.pk).update(deleted_at=datetime.now(UTC))
    refused(lambda: begin.forward(staff=scene.staff["owner"], message=message))


def a_letter_is_answered_by_who_sees_it(scene: Scene) -> None:
    message, owner = the_letter(scene), scene.staff["owner"]
    Message.objects.filter(pk=message.pk).update(deleted_at=datetime.now(UTC))
    refused(lambda: begin.reply(staff=owner, message=message))


def a_letter_is_answered_by_who_may(scene: Scene) -> None:
    refused(lambda: begin.reply(staff=scene.staff["reader"], message=the_letter(scene)))


def a_draft_stays_with_its_owner(scene: Scene) -> None:
    """It moves to no mailbox but another of the same person's."""
    draft = Delivery.objects.get(pk=scene.ids["draft"])
    refused(lambda: compose.save(delivery=draft, to="a@b.example", mailbox=scene.world.colleague_mailbox))


def who_wrote_a_sent_letter_is_told_to_two(scene: Scene) -> None:
    sent = Message.objects.select_related("mailbox").get(pk=scene.ids["sent"])
    Delivery.objects.filter(pk=scene.ids["answer_queued"]).update(sent=sent, state="accepted")
    told = {
        name: bool(behalf.authors_of(scene.staff[name], [sent])) for name in ("owner", "answerer", "reader")
    }
    assert told == {"owner": True, "answerer": True, "reader": False}


def whom_a_letter_did_not_reach_is_told_to_two(scene: Scene) -> None:
    sent = Message.objects.select_related("mailbox").get(pk=scene.ids["sent"])
    waiting = [["later@example.org", 450, "busy"]]
    Delivery.objects.filter(pk=scene.ids["answer_queued"]).update(
        sent=sent, state="queued", accepted=["a@example.org"], deferred=waiting
    )
    told = {
        name: bool(behalf.unreached(scene.staff[name], [sent])) for name in ("owner", "answerer", "reader")
    }
    assert told == {"owner": True, "answerer": True, "reader": False}


def consent_is_each_persons_own(scene: Scene) -> None:
    owner, boss = scene.staff["owner"], scene.staff["boss"]
    handover.choose(staff=owner, agreed=True)
    assert handover.consent_of(boss) is None
    handover.choose(staff=boss, agreed=False)
    assert Consent.objects.filter(staff=owner).exists()


def a_handover_is_one_persons(scene: Scene) -> None:
    end = datetime(2199, 1, 1, tzinfo=UTC)
    Handover.objects.create(
        owner_id=scene.ids["gone"], successor=scene.staff["colleague"], ground="consent", ends_at=end
    )
    other = Staff.objects.create(email="other@isp.example", name="Other", is_active=False)
    assert handover.in_force(Staff.objects.get(pk=scene.ids["gone"])) and handover.in_force(other) is None


def notices_are_each_persons_own(scene: Scene) -> None:
    notice = Notice.objects.create(staff=scene.staff["owner"], text="okapi")
    assert handover.notices_of(scene.staff["colleague"]) == []
    handover.read_notices(staff=scene.staff["colleague"], upto=notice.pk)
    assert handover.notices_of(scene.staff["owner"]) == [notice]


def a_token_is_revoked_by_its_person(scene: Scene) -> None:
    refused(lambda: tokens.revoke_token(staff=scene.staff["boss"], token_id=scene.ids["token"]))


def a_share_is_taken_back_by_the_owner(scene: Scene) -> None:
    place = {"conversation": scene.ids["confided_thread"], "colleague": scene.confidant.pk}
    refused(lambda: sharing.take_back(staff=scene.staff["reader"], **place))


def shares_are_told_to_the_owner(scene: Scene) -> None:
    threads = [scene.ids["confided_thread"]]
    assert sharing.shares_of(scene.staff["owner"], threads)
    assert not sharing.shares_of(scene.staff["reader"], threads)


def what_stands_aside_is_told_to_the_owner(scene: Scene) -> None:
    aside = list(Message.objects.filter(pk=scene.ids["aside"]))
    assert sharing.stand_aside(scene.staff["owner"], aside)
    assert not sharing.stand_aside(scene.staff["reader"], aside)


def a_deleted_conversation_is_not_shared(scene: Scene) -> None:
    thread = scene.ids["confided_thread"]
    Message.objects.filter(conversation_id=thread).update(deleted_at=datetime.now(UTC))
    refused(lambda: sharing.own_conversation(scene.staff["owner"], thread))


def a_conversation_is_shared_by_its_owner(scene: Scene) -> None:
    place = {"conversation": scene.ids["thread"], "colleague": scene.staff["colleague"]}
    refused(lambda: sharing.share(staff=scene.staff["reader"], **place))


def a_share_of_one_is_taken_back_from_one(scene: Scene) -> None:
    place = {"conversation": scene.ids["confided_thread"], "colleague": scene.staff["colleague"].pk}
    refused(lambda: sharing.take_back(staff=scene.staff["owner"], **place))


def whose_letter_it_is_stands_with_it(scene: Scene) -> None:
    """S-064: an answer in the owner's name, seen by its author and by the owner."""
    rows = list(Delivery.objects.filter(pk__in=[scene.ids["answer_queued"]]))
    [author], [owner] = behalf.seen_by(scene.answerer, rows), behalf.seen_by(scene.staff["owner"], rows)
    assert (author.standing, author.on_behalf_of) == (behalf.Standing.ANSWERING, "Owner")
    assert (owner.standing, owner.written_by) == (behalf.Standing.OWNER, "Answerer")
    assert behalf.is_answer_for_another(rows[0])


def the_right_to_answer_ends(scene: Scene) -> None:
    """With the grant: for what is written, for what waits, and for what is about to go."""
    answer = Delivery.objects.get(pk=scene.ids["answer"])
    assert behalf.still_granted(answer)
    Reader.objects.filter(staff=scene.answerer).delete()
    assert not behalf.still_granted(answer)
    [seen] = behalf.seen_by(scene.answerer, [answer])
    assert seen.ended and seen.row.subject == ""


def an_answer_is_not_written_on_after_the_end(scene: Scene) -> None:
    _after_the_end(scene, lambda answer: compose.save(delivery=answer, to="a@b.example"))


def an_answer_is_not_sent_after_the_end(scene: Scene) -> None:
    _after_the_end(scene, lambda answer: compose.send(delivery=answer))


def an_answer_that_waits_does_not_go_after_the_end(scene: Scene) -> None:
    Reader.objects.filter(staff=scene.answerer).delete()
    row = Delivery.objects.get(pk=scene.ids["answer_queued"])
    assert not deliver._is_due(row)
    row.refresh_from_db()
    assert row.code == "access_ended"


def a_key_is_its_authors(scene: Scene) -> None:
    """Whether somebody else used it is not told."""
    Delivery.objects.filter(pk=scene.ids["queued"]).update(key="k", key_digest="other")
    try:
        assert compose._asked_before(Delivery.objects.get(pk=scene.ids["answer"]), "k", "told") is None
    except ComposeError as error:
        pytest.fail(str(error))


def what_the_owner_took_back_is_held(scene: Scene) -> None:
    row = compose.undo_send(
        delivery=Delivery.objects.get(pk=scene.ids["answer_queued"]), staff=scene.staff["owner"]
    )
    assert row.state == Delivery.State.HELD


def anothers_answers_are_not_ones_own(scene: Scene) -> None:
    """Two readers who may answer the same mail."""
    Reader.objects.filter(staff=scene.staff["reader"]).update(may_reply=True)
    assert not Delivery.objects.current(scene.staff["reader"]).exists()
    assert Delivery.objects.current(scene.answerer).exists()


def the_sidebar_tells_of_ones_own_mailbox(scene: Scene) -> None:
    assert sidebar.health(scene.staff["boss"]).title == "No mailbox yet"
    assert scene.world.mailbox.address not in sidebar.health(scene.staff["colleague"]).detail


def with_whom_it_is_shared_is_shown_to_the_owner(scene: Scene) -> None:
    confided = list(Message.objects.select_related("mailbox").filter(pk=scene.ids["confided"]))
    assert shared.sharing_of(scene.staff["reader"], confided) == {}
    assert shared.sharing_of(scene.staff["owner"], confided)["shares"]


def a_deleted_letter_is_not_counted_with_what_is_shared(scene: Scene) -> None:
    confided = list(Message.objects.select_related("mailbox").filter(pk=scene.ids["confided"]))
    before = shared.sharing_of(scene.staff["owner"], confided)["number"]
    Message.objects.filter(pk=scene.ids["added"]).update(deleted_at=datetime.now(UTC))
    assert shared.sharing_of(scene.staff["owner"], confided)["number"] == before - 1


def _after_the_end(scene: Scene, attempt: Callable[[Delivery], Any]) -> None:
    Reader.objects.filter(staff=scene.answerer).delete()
    with pytest.raises(ComposeError) as refusal:
        attempt(Delivery.objects.get(pk=scene.ids["answer"]))
    assert refusal.value.code == "access_ended"
