"""Stories about mail, mailboxes and who reads them (see alone.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.test import RequestFactory

from postern.api.letters import line_of
from postern.mail import actions, digest, lists, owed, pairing, readerlog
from postern.mail.access import viewing_as
from postern.mail.models import Errand, Message, MessageRead, Opening
from postern.mail.visibility import watch
from postern.mailboxes import comparing, readers
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Reader
from postern.mailboxes.probe import start_probe
from postern.mailboxes.save import accept_certificate, own_mailbox, save_mailbox, save_system_email
from postern.people.models import Address, Customer
from postern.web.inbox import events
from tests.privacy.alone import refused, the_letter
from tests.privacy.scene import Scene


def events_tell_nobody_else(scene: Scene) -> None:
    """S-106: of a letter, of the state of a mailbox, of a letter on its way out."""
    named = {
        "message": scene.ids["known"],
        "health": 1,
        "delivery": scene.ids["queued"],
        "probe": scene.ids["probe"],
    }
    for kind, pk in named.items():
        event = events.Event(kind=kind, mailbox=scene.ids["mailbox"], id=pk)
        told = {name: events._may_know(_request(scene, name), scene.staff[name].pk, event) for name in _STAFF}
        reads = kind == "message"
        assert told == {
            name: name == "owner" or (reads and name in ("reader", "answerer")) for name in _STAFF
        }, kind


def errands_are_the_owners(scene: Scene) -> None:
    """What the server refused is shown to the owner, and tried again for the owner alone."""
    message = the_letter(scene)
    errand = Errand.objects.create(
        mailbox=message.mailbox,
        message=message,
        kind="trash",
        not_before=Now(),
        error="okapi",
        failed_at=Now(),
    )
    assert owed.undone(scene.staff["owner"], message) == [errand]
    for name in ("reader", "answerer", "colleague", "boss"):
        assert owed.undone(scene.staff[name], message) == []
        owed.look_now(scene.staff[name])
        errand.refresh_from_db()
        assert errand.failed_at is not None, name
    owed.look_now(scene.staff["owner"])
    errand.refresh_from_db()
    assert errand.failed_at is None


def what_was_deleted_comes_back_for_its_owner_alone(scene: Scene) -> None:
    """A note of an action that names another's letter (a forged one, or from before a handover) undoes nothing."""
    message, reader = the_letter(scene), scene.staff["reader"]
    Message.objects.filter(pk=message.pk).update(deleted_at=datetime.now(UTC))
    for key, data in (
        ("delete", {"message": message.pk}),
        ("block", {"entry": None, "hidden": [message.pk]}),
    ):
        actions.ACTIONS[key].undo(reader, data)
        assert Message.objects.get(pk=message.pk).deleted_at is not None, key
    actions.ACTIONS["delete"].undo(scene.staff["owner"], {"message": message.pk})
    assert Message.objects.get(pk=message.pk).deleted_at is None


def a_letter_is_filed_by_its_owner_alone(scene: Scene) -> None:
    data = {"again": "by_hand", "message": scene.ids["known"], "customer": scene.ids["lead"]}
    with pytest.raises(Message.DoesNotExist):
        actions.ACTIONS["unpair"].undo(scene.staff["reader"], data)


def read_marks_are_each_persons_own(scene: Scene) -> None:
    message = the_letter(scene)
    for name in ("owner", "reader"):
        actions.mark_read(staff=scene.staff[name], message=message)
    actions.ACTIONS["unread"].do(scene.staff["reader"], message, {})
    assert set(MessageRead.objects.filter(message=message).values_list("staff", flat=True)) & {
        scene.staff["owner"].pk,
        scene.staff["reader"].pk,
    } == {scene.staff["owner"].pk}
    assert Message.objects.unread_by(scene.staff["reader"]).filter(pk=message.pk).exists()
    assert Message.objects.with_unread(scene.staff["reader"]).get(pk=message.pk).unread
    before = lists.counts(scene.staff["reader"])["unread"]
    MessageRead.objects.filter(staff=scene.staff["owner"]).delete()
    assert lists.counts(scene.staff["reader"])["unread"] == before


def a_reader_marks_nothing_that_they_no_longer_see(scene: Scene) -> None:
    MessageRead.objects.filter(staff=scene.staff["colleague"]).delete()
    actions.ACTIONS["unread"].undo(scene.staff["colleague"], {"message": scene.ids["known"]})
    assert not MessageRead.objects.filter(staff=scene.staff["colleague"]).exists()


def owned_mail_is_the_owners(scene: Scene) -> None:
    assert Message.objects.owned_by(scene.staff["owner"]).filter(pk=scene.ids["known"]).exists()
    assert not Message.objects.owned_by(scene.staff["reader"]).exists()


def the_mailbox_is_its_owners(scene: Scene) -> None:
    """Every story about a mailbox begins by asking whose it is."""
    box, other = scene.world.mailbox, scene.staff["colleague"]
    refused(lambda: own_mailbox(other, box))


def grants_are_the_owners(scene: Scene) -> None:
    box, other = scene.world.mailbox, scene.staff["boss"]
    refused(lambda: readers.grant(staff=other, mailbox=box, reader=scene.staff["colleague"]))


def grants_are_taken_back_by_the_owner(scene: Scene) -> None:
    box = scene.world.mailbox
    refused(lambda: readers.revoke(staff=scene.staff["boss"], mailbox=box, reader=scene.staff["reader"]))


def one_grant_is_taken_back(scene: Scene) -> None:
    box, owner = scene.world.mailbox, scene.staff["owner"]
    readers.revoke(staff=owner, mailbox=box, reader=scene.staff["reader"])
    assert Reader.objects.filter(mailbox=box, staff=scene.staff["answerer"]).exists()


def settings_are_saved_by_the_owner(scene: Scene) -> None:
    refused(lambda: save_mailbox(staff=scene.staff["boss"], mailbox=scene.world.mailbox, data={}))


def a_certificate_is_trusted_by_the_owner(scene: Scene) -> None:
    box = scene.world.mailbox
    refused(lambda: accept_certificate(staff=scene.staff["boss"], mailbox=box, seen_sha256="ab" * 32))


def a_mailbox_is_compared_for_its_owner(scene: Scene) -> None:
    refused(lambda: comparing.compare_now(staff=scene.staff["boss"], mailbox=scene.world.mailbox))


def settings_are_tested_by_the_owner(scene: Scene) -> None:
    data = {"imap_host": "127.0.0.1", "imap_username": "x", "imap_password": "y"}
    refused(
        lambda: start_probe(staff=scene.staff["boss"], mailbox=scene.world.mailbox, kind="imap", data=data)
    )


def two_people_may_have_one_address(scene: Scene) -> None:
    """Whether somebody else has a mailbox of that address is not told."""
    address = {"address": scene.world.mailbox.address}
    try:
        save_mailbox(staff=scene.staff["colleague"], mailbox=None, data=address)
    except SettingsError as error:
        pytest.fail(str(error))


def the_companys_settings_are_super(scene: Scene) -> None:
    refused(lambda: save_system_email(staff=scene.staff["colleague"], data={"sender_name": "x"}))


def the_companys_settings_are_tested_by_super(scene: Scene) -> None:
    data = {"smtp_host": "127.0.0.1", "smtp_username": "x", "smtp_password": "y"}
    refused(lambda: start_probe(staff=scene.staff["colleague"], mailbox=None, kind="system", data=data))


def who_reads_is_told_to_the_owner(scene: Scene) -> None:
    """A reader is told of their own grant and of no other."""
    message = the_letter(scene)
    seen = watch(scene.staff["reader"], [message]).over([message])
    assert not seen.mine and seen.grant is not None and seen.grant.staff == scene.staff["reader"]
    assert watch(scene.staff["owner"], [message]).over([message]).mine
    found = {grant.staff for grant in watch(scene.staff["reader"], [message])._grants}
    assert found == {scene.staff["reader"]}
    readers_own = watch(scene.staff["owner"], [message])
    assert {grant.mailbox.owner for grant in readers_own._grants} == {scene.staff["owner"]}


def the_readers_log_is_the_owners(scene: Scene) -> None:
    owner, reader, message = scene.staff["owner"], scene.staff["reader"], the_letter(scene)
    assert readerlog.lines(owner, readerlog.Wanted()).exists() and readerlog.latest(owner, [message])
    assert not readerlog.lines(reader, readerlog.Wanted()).exists()
    assert readerlog.latest(reader, [message]) == []
    before = Opening.objects.count()
    readerlog.note(staff=owner, messages=[message], what=Opening.What.BODY, door=Opening.Door.PAGE)
    assert Opening.objects.count() == before
    readerlog.note(staff=reader, messages=[message], what=Opening.What.BODY, door=Opening.Door.PAGE)
    assert Opening.objects.count() == before + 1


def the_digest_is_the_owners(scene: Scene) -> None:
    box, boss = scene.world.mailbox, scene.staff["boss"]
    digest.choose(staff=scene.staff["owner"], mailbox=box, wanted=True)
    assert not digest.digest_of(boss, box).wanted
    refused(lambda: digest.choose(staff=boss, mailbox=box, wanted=False))


def a_conversation_shows_under_a_customer_by_what_one_sees(scene: Scene) -> None:
    """Not by a letter in it that one may not read."""
    reader, sent = scene.staff["reader"], Message.objects.get(pk=scene.ids["sent"])
    Reader.objects.filter(staff=reader).update(incoming_only=True)
    Message.objects.filter(pk=scene.ids["unknown"]).update(conversation_id=sent.conversation_id)
    threads = {thread.id for thread in lists.communication(reader, scene.world.customer)}
    assert threads and sent.conversation_id not in threads
    owners = lists.communication(scene.staff["owner"], scene.world.customer)
    assert sent.conversation_id in {thread.id for thread in owners}


def a_conversation_under_a_customer_is_shown_as_far_as_one_sees(scene: Scene) -> None:
    reader, known = scene.staff["reader"], the_letter(scene)
    Reader.objects.filter(staff=reader).update(incoming_only=True)
    Message.objects.filter(pk=scene.ids["sent"]).update(conversation_id=known.conversation_id)
    shown = [m for thread in lists.communication(reader, scene.world.customer) for m in thread.messages]
    assert known in shown and not any(message.outgoing for message in shown)


def pairing_files_ones_own_mail_alone(scene: Scene) -> None:
    """S-135: a colleague's mailbox follows by a job."""
    lead = Customer.objects.get(pk=scene.ids["lead"])
    with viewing_as(scene.staff["colleague"]):
        pairing.add_address(staff=scene.staff["colleague"], customer=lead, email="zebra@stripes.example")
    assert not Message.objects.get(pk=scene.ids["unknown"]).known


def what_a_reader_added_makes_no_mail_a_customers(scene: Scene) -> None:
    """S-132: the letter is filed, and a grant for customers' mail shows it no more than before."""
    lead = Customer.objects.get(pk=scene.ids["lead"])
    pairing.add_address(staff=scene.staff["reader"], customer=lead, email="zebra@stripes.example")
    with viewing_as(scene.staff["owner"]):
        pairing.follow(staff=scene.staff["owner"], customer_ids=[lead.pk])
    letter = Message.objects.get(pk=scene.ids["unknown"])
    assert letter.known and not letter.owner_party


def an_unpairing_of_anothers_letter_is_none(scene: Scene) -> None:
    data = {"message": scene.ids["known"], "customer": scene.world.customer.pk}
    refused(lambda: actions._unpair(scene.staff["reader"], data))


def an_address_goes_by_who_added_it(scene: Scene) -> None:
    pk = scene.ids["address"]
    Address.objects.filter(pk=pk).update(added_by=scene.staff["owner"])
    actions._unpair(scene.staff["reader"], {"address": pk, "customer": scene.world.customer.pk})
    assert Address.objects.filter(pk=pk).exists()


def an_address_that_goes_takes_note_of_ones_own_letters_alone(scene: Scene) -> None:
    """Which letters count, for the day that it is put back."""
    for name, counted in (("owner", True), ("reader", False)):
        address = Address.objects.create(customer=scene.world.customer, email=f"{name}@kudu.example")
        Message.objects.filter(pk=scene.ids["known"]).update(from_address=address.email, owner_party=True)
        taken = pairing.taken_off(staff=scene.staff[name], address=address)
        assert (scene.ids["known"] in taken.counted) is counted, name


def an_address_put_back_lets_ones_own_letters_count_alone(scene: Scene) -> None:
    """A note that names another's letter (a forged one, or from before a handover) changes nothing of it."""
    since, known = datetime.now(UTC).isoformat(), Message.objects.filter(pk=scene.ids["known"])
    for name, counts in (("reader", False), ("owner", True)):
        known.update(owner_party=False)
        taken = pairing.Taken(f"{name}@kudu.example", "other", None, since, [scene.ids["known"]])
        pairing.put_back(staff=scene.staff[name], customer=scene.world.customer, taken=taken)
        assert known.get().owner_party is counts, name


def it_says_whose_mailbox_it_is(scene: Scene) -> None:
    """The list, the letter itself and its conversation, to a reader; to the owner nothing of the kind."""
    box, owner = scene.world.mailbox.address, scene.staff["owner"].name
    known, customer = scene.ids["known"], scene.world.customer.pk
    for actor, others in (("owner", False), ("reader", True)):
        browser = scene.browser(actor)
        assert (f"in {box}" in browser.get("/messages/inbox/").content.decode()) is others
        for page in (f"/messages/inbox/{known}/", f"/messages/{known}/source/"):
            assert (f"{owner} can see in the reader log" in browser.get(page).content.decode()) is others
        shown = browser.get(f"/customers/{customer}/communication/?thread={_thread_of_the_sent(scene)}")
        assert ('class="receipt"' in shown.content.decode()) is not others
        assert line_of(the_letter(scene), scene.staff[actor]).mailbox.own is not others


def _thread_of_the_sent(scene: Scene) -> int:
    return Message.objects.get(pk=scene.ids["sent"]).conversation_id


_STAFF = ("owner", "reader", "answerer", "noimap", "colleague", "boss")


def _request(scene: Scene, name: str) -> Any:
    """A request with that person's session, as the event stream keeps it."""
    request = RequestFactory().get("/events/")
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(scene.browser(name).cookies[settings.SESSION_COOKIE_NAME].value)
    return request
