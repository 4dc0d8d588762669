"""What a page or an answer might tell about others' mail without showing it: by presence, count, order, or error text."""

from __future__ import annotations

import re

import pytest

from postern.mail.access import viewing_as
from postern.mail.actions import perform
from postern.mail.models import Message
from postern.mail.pairing import file_mail
from postern.mailboxes.models import DenyEntry, Mailbox, Reader
from postern.people.models import Staff
from tests.api.caller import Caller, ok
from tests.privacy.scene import content_of
from tests.privacy.watching import digests
from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_folder, make_world, subjects


@pytest.fixture
def world(db, acting_as) -> World:
    return make_world(acting_as)


def browser(staff: Staff) -> Browser:
    client = Browser(raise_request_exception=False)
    client.force_login(staff)
    return client


def page(staff: Staff, path: str) -> bytes:
    response = browser(staff).get(path)
    assert response.status_code == 200, path
    return content_of(response)


def places(world: World) -> list[str]:
    """Every page that counts, lists, sorts or suggests something, as a colleague opens it."""
    customer = world.customer.pk
    return [
        "/live/",
        "/jump/?q=stripe",
        "/jump/?q=brandt",
        "/messages/inbox/",
        "/messages/inbox/?show=unknown",
        "/messages/inbox/?show=customers",
        "/messages/inbox/?q=stripe",
        "/messages/sent/",
        "/customers/",
        "/customers/?q=brandt",
        "/leads/",
        f"/customers/{customer}/",
        f"/customers/{customer}/communication/",
        f"/customers/{customer}/edit/",
    ]


ASKED = [
    "/inbox",
    "/inbox?q=stripe",
    "/inbox?show=customers",
    "/sent",
    "/counts",
    "/customers",
    "/colleagues",
]


@pytest.mark.rule("S-056")
@pytest.mark.rule("S-058")
def test_s056_s058_pages_of_a_colleague_are_the_same_bytes_before_and_after_others_get_mail(world, acting_as):
    """Search, badges, lists, their order, the customer's page: nothing moves, and no number tells how much there is."""
    before = [page(world.colleague, path) for path in places(world)]
    told = [Caller(world.colleague).get(path).content for path in ASKED]
    letters = [letter(subject=f"stripe {n}") for n in range(3)]
    arrive(acting_as, world.inbox, *letters, letter(sender="Stripe <s@stripes.example>", subject="stripe"))
    arrive(acting_as, world.sent, letter(sender="owner@isp.example", to="greta@brandt-bakery.example"))
    with acting_as("send"):
        file_mail([world.customer.pk])
    assert [page(world.colleague, path) for path in places(world)] == before
    assert [Caller(world.colleague).get(path).content for path in ASKED] == told
    shown = b"".join(page(world.owner, path) for path in places(world))
    assert b"stripe 2" in shown, "the owner's pages did change"


@pytest.mark.rule("S-057")
def test_s057_a_file_is_there_while_one_may_read_its_letter_and_for_nobody_without_signing_in(
    world, acting_as
):
    head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    body = '--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nhi\r\n--b--\r\n'
    [message] = arrive(acting_as, world.inbox, letter(headers=head, body=body))
    with viewing_as(world.owner):
        index = message.attachments.get().index
    web, api = f"/messages/{message.pk}/files/{index}/", f"/messages/{message.pk}/attachments/{index}"
    paths = Caller(world.reader).get(f"/messages/{message.pk}").content.decode()
    api = next(iter(re.findall(r"/api/v1(/messages/\d+/[a-z]+/\d+)", paths)), api)
    program, person = Caller(world.reader), browser(world.reader)
    assert person.get(web).status_code == 200
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).delete()
    missing = person.get(web.replace(str(message.pk), "999999"))
    assert (person.get(web).status_code, missing.status_code) == (404, 404)
    assert content_of(person.get(web)) == content_of(missing)
    assert program.get(api).status_code == 404
    gone = browser(world.owner)
    assert gone.get(web).status_code == 200
    gone.post("/sign-out/")
    assert gone.get(web).status_code == 302
    assert Browser().get(f"/media/{message.pk}/a.txt").status_code == 404


@pytest.mark.rule("S-060")
def test_s060_the_same_letter_in_two_mailboxes_is_two_and_each_ones_own(world, acting_as):
    """B owns a copy and reads A's: what B does to theirs leaves A's alone, and revoking takes only A's from B."""
    raw = letter(to="owner@isp.example, reader@isp.example", subject="both")
    [of_a] = arrive(acting_as, world.inbox, raw)
    with acting_as("superuser"):
        theirs = make_folder(world.reader_mailbox)
        Reader.objects.create(mailbox=world.reader_mailbox, staff=world.colleague, incoming_only=True)
        before = digests("mail_sighting")
    [of_b] = arrive(acting_as, theirs, raw)
    assert of_a.pk != of_b.pk and of_a.conversation_id != of_b.conversation_id
    with viewing_as(world.reader):
        assert Message.objects.visible_to(world.reader).count() == 2
        mine = Message.objects.visible_to(world.reader).get(pk=of_b.pk)
        perform(staff=world.reader, key="delete", message=mine, data={})
        perform(staff=world.reader, key="block", message=mine, data={"what": "address"})
    with viewing_as(world.owner):
        assert Message.objects.visible_to(world.owner).get().pk == of_a.pk
        assert lists_unread(world.owner) == {of_a.pk}
    with acting_as("superuser"):
        assert not DenyEntry.objects.filter(mailbox=world.mailbox).exists()
        assert digests("mail_sighting") != before  # the copy in B's mailbox has its own place
    assert subjects(world.colleague) == set(), (
        "shared is B's copy, and B deleted it; A's was never shared with them"
    )


def lists_unread(staff: Staff) -> set[int]:
    return set(Message.objects.visible_to(staff).unread_by(staff).values_list("pk", flat=True))


@pytest.mark.rule("S-061")
def test_s061_an_answer_to_anothers_private_letter_joins_nothing_and_hints_at_nothing(world, acting_as):
    """A forged In-Reply-To names a letter in A's mailbox: B's letter looks as one that names a letter of nobody."""
    arrive(acting_as, world.inbox, letter(subject="private", mid="secret@a.example"))
    with acting_as("superuser"):
        theirs = make_folder(world.colleague_mailbox)
    told = []
    for named in ("secret@a.example", "nothing@a.example"):
        headers = f"In-Reply-To: <{named}>\r\nReferences: <{named}>\r\n"
        sender = "Mole <a@b.example>"
        [message] = arrive(acting_as, theirs, letter(sender=sender, subject="Re: private", headers=headers))
        answer = ok(Caller(world.colleague).get(f"/messages/{message.pk}"))
        thread = ok(Caller(world.colleague).get(f"/conversations/{message.conversation_id}"))
        assert len(thread["messages"]) == 1
        told.append(set(answer))
        with viewing_as(world.owner):
            assert Message.objects.get(subject="private").conversation_id != message.conversation_id
    assert told[0] == told[1]


FOREIGN = [
    "owner",
    "owner_id",
    "staff",
    "staff_id",
    "mailbox_id",
    "id",
    "wall_key",
    "author_id",
    "role",
    "is_active",
]


@pytest.mark.rule("S-065")
@pytest.mark.parametrize("name", FOREIGN)
def test_s065_whose_a_thing_is_cannot_be_said_in_a_body(world, acting_as, name):
    """422 and nothing written, for one's own mailbox, one's own profile and a customer."""
    caller, value = Caller(world.colleague), world.owner.pk
    with acting_as("superuser"):
        before = digests("mailboxes_mailbox", "people_staff", "people_customer", "mailboxes_reader")
    for method, path in (
        ("PATCH", f"/mailboxes/{world.colleague_mailbox.pk}"),
        ("PATCH", "/me"),
        ("PATCH", f"/customers/{world.customer.pk}"),
        ("PUT", f"/mailboxes/{world.colleague_mailbox.pk}/readers/{world.boss.pk}"),
        ("POST", "/deliveries"),
    ):
        answer = caller.call(method, path, {name: value})
        assert answer.status_code == 422, (method, path, answer.status_code, answer.content)
    with acting_as("superuser"):
        assert digests(*before) == before


@pytest.mark.rule("S-065")
def test_s065_nor_in_a_form(world, acting_as):
    with acting_as("superuser"):
        before = Mailbox.objects.get(pk=world.mailbox.pk).owner_id
    form = {"owner": world.colleague.pk, "owner_id": world.colleague.pk, "mailbox": world.mailbox.pk}
    browser(world.colleague).post(
        "/profile/email/", form | {"id": world.mailbox.pk, "address": "x@isp.example"}
    )
    browser(world.colleague).post("/profile/", {"name": "New", "role": "super", "is_active": ""})
    with acting_as("superuser"):
        assert Mailbox.objects.get(pk=world.mailbox.pk).owner_id == before
        assert Mailbox.objects.get(pk=world.mailbox.pk).address == "owner@isp.example"
        assert Staff.objects.get(pk=world.colleague.pk).role == "admin"


@pytest.mark.rule("S-133")
def test_s133_forged_references_pull_no_private_thread_into_a_readers_sight(world, acting_as):
    """A customers-only reader: a customer's letter that names a private one shows itself, and not what it names."""
    with acting_as("superuser"):
        Reader.objects.filter(staff=world.reader).update(customers_only=True)
    arrive(acting_as, world.inbox, letter(sender="a@b.example", subject="private", mid="p@b.example"))
    headers = "References: <p@b.example>\r\nIn-Reply-To: <p@b.example>\r\n"
    [forged] = arrive(acting_as, world.inbox, letter(subject="Re: private", headers=headers))
    assert subjects(world.reader) == {"Re: private"}
    thread = ok(Caller(world.reader).get(f"/conversations/{forged.conversation_id}"))
    assert [one["subject"] for one in thread["messages"]] == ["Re: private"]
    shown = browser(world.reader).get(f"/customers/{world.customer.pk}/communication/").content.decode()
    assert "a@b.example" not in shown


@pytest.mark.rule("S-137")
@pytest.mark.parametrize(
    "header", [{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}]
)
def test_s137_a_preload_leaves_no_trace(world, acting_as, header):
    [message] = arrive(acting_as, world.inbox, letter())
    paths = [f"/messages/inbox/{message.pk}/", f"/customers/{world.customer.pk}/communication/"]
    watched = ("mail_messageread", "mail_opening", "mail_message", "mail_errand")
    with acting_as("superuser"):
        before = digests(*watched)
    for path in paths:
        assert browser(world.owner).get(path, headers=header).status_code == 200
        assert browser(world.reader).get(path, headers=header).status_code in (200, 404)
    with acting_as("superuser"):
        assert digests(*watched) == before
    assert browser(world.reader).get(paths[0]).status_code == 200
    with acting_as("superuser"):
        assert digests(*watched) != before


@pytest.mark.rule("S-105")
def test_s105_nothing_of_anybodys_may_be_kept_by_a_cache_or_shown_by_back(world, acting_as):
    """no-store on every page and answer, for signed-in and not, found and not; two people never share a body."""
    [message] = arrive(acting_as, world.inbox, letter(subject="secret stripe"))
    paths = [*places(world), f"/messages/inbox/{message.pk}/", f"/messages/{message.pk}/body/", "/no/such/"]
    for staff in (world.owner, world.colleague):
        client = browser(staff)
        for path in paths:
            assert client.get(path).headers["Cache-Control"] == "no-store", path
        for path in ASKED:
            assert Caller(staff).get(path).headers["Cache-Control"] == "no-store", path
    assert Browser().get("/messages/inbox/").headers["Cache-Control"] == "no-store"
    client = browser(world.owner)
    client.post("/sign-out/")
    assert client.get(f"/messages/{message.pk}/body/").status_code == 302
    assert "secret stripe" not in client.get("/messages/inbox/", follow=True).content.decode()
