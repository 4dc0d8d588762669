"""Drafts: written, refused, sent once, taken back."""

import json

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.mailboxes.save import save_mailbox, save_system_email
from postern.mime.read import read
from postern.outbox import compose
from postern.outbox.compose import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from tests.roles import hire


def jobs(acting_as) -> list[tuple]:
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SELECT task_name, args::text, scheduled_at, lock FROM procrastinate_jobs ORDER BY id")
        return [(task, json.loads(args), at, lock) for task, args, at, lock in cursor.fetchall()]


def written(marta, mailbox, **changes):
    """A draft ready to go."""
    with viewing_as(marta):
        draft = compose.new(staff=marta, mailbox=mailbox)
        content = {"to": "daniel@hoffmann.example", "subject": "Hello", "html": "<p>How are you?</p>"}
        return compose.save(delivery=draft, **(content | changes))


def sent(marta, delivery, **options):
    with viewing_as(marta):
        return compose.send(delivery=delivery, **options)


def refusal(marta, delivery, **options) -> ComposeError:
    """The error of sending; proves that the draft is as it was and that no job was made."""
    with viewing_as(marta):
        before = Delivery.objects.filter(pk=delivery.pk).values().get()
    with viewing_as(marta), pytest.raises(ComposeError) as caught:
        compose.send(delivery=delivery, **options)
    with viewing_as(marta):
        assert Delivery.objects.filter(pk=delivery.pk).values().get() == before
    return caught.value


def test_a_new_letter_goes_to_the_customers_main_address(marta, mailbox, customer):
    with viewing_as(marta):
        draft = compose.new(staff=marta, customer=customer)
    assert draft.to == [["Hoffmann Tiling", "daniel@hoffmann.example"]]
    assert draft.state == "draft" and draft.mailbox == mailbox


def test_without_a_mailbox_there_is_no_letter(marta):
    with viewing_as(marta), pytest.raises(ComposeError) as caught:
        compose.new(staff=marta)
    assert caught.value.code == "no_mailbox"


def test_a_draft_keeps_what_is_not_an_address_yet(marta, mailbox):
    draft = written(
        marta, mailbox, to='"Ann, A." <ann@a.example>; bob\ncarl@c.example', cc=[["Dan", "dan@d.example"]]
    )
    assert draft.to == [["Ann, A.", "ann@a.example"], ["", "bob"], ["", "carl@c.example"]]
    assert draft.cc == [["Dan", "dan@d.example"]]
    assert "“bob” is not an e-mail address" in refusal(marta, draft).fields["to"]


@pytest.mark.rule("S-042")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "a\r\nBcc: x@y.example"),
        ("subject", "a\nb"),
        ("subject", "a\0b"),
        ("subject", "a\x85b"),
        ("subject", "x" * 901),
        ("to", ["a@b.example\r\nBcc: x@y.example"]),
        ("to", [["Ann\r\nBcc: x@y.example", "a@b.example"]]),
        ("to", "a@b.example\0"),
        ("cc", [["A", "a@b.example", "c"]]),
        ("bcc", [7]),
    ],
)
def test_what_would_make_a_header_is_refused_when_saved(marta, mailbox, field, value):
    draft = written(marta, mailbox)
    with viewing_as(marta), pytest.raises(ComposeError) as caught:
        compose.save(delivery=draft, **({"to": "a@b.example"} | {field: value}))
    assert set(caught.value.fields) == {field}
    with viewing_as(marta):
        assert Delivery.objects.get(pk=draft.pk).subject == "Hello"


@pytest.mark.rule("S-046")
@pytest.mark.parametrize(
    "to",
    [
        "",
        "nobody",
        '"a@evil.example x"@good.example',
        '"Bob <b@x.example>" <e@evil.example>',
        "group: a@b.example, c@d.example;",
        "a@b.example (c@d.example)",
        "a@b.example\r\nBcc: x@y.example",
        [["b@x.example", "e@evil.example"]],
        ["a@b.example> SIZE=1 <x@y.example"],
        [f"a{n}@b.example" for n in range(101)],
    ],
)
def test_recipients_that_do_not_say_what_they_mean_are_refused(marta, mailbox, to, acting_as):
    error = refusal(marta, written(marta, mailbox, to=to))
    assert set(error.fields) == {"to"}
    assert jobs(acting_as) == []


def test_an_empty_letter_is_refused(marta, mailbox):
    assert "empty" in refusal(marta, written(marta, mailbox, subject="", html="")).fields["text"]


def test_html_is_cleaned_and_gives_the_text(marta, mailbox):
    draft = written(marta, mailbox, html='<p>Hi <b>you</b></p><script>x</script><p onclick="y()">there</p>')
    assert "script" not in draft.html and "onclick" not in draft.html
    assert "Hi you" in draft.text and "there" in draft.text


def test_what_cannot_be_cleaned_is_refused(marta, mailbox):
    draft = written(marta, mailbox)
    with viewing_as(marta), pytest.raises(ComposeError) as caught:
        compose.save(delivery=draft, to="a@b.example", html="<div>" * 50_000)
    assert "html" in caught.value.fields


def test_sending_fixes_the_bytes_and_makes_one_job(marta, mailbox, acting_as):
    row = sent(marta, written(marta, mailbox, bcc="secret@s.example", html="", text="Hello\n.\nthere"))
    letter = read(bytes(row.raw))
    assert row.state == "queued" and letter.message_id == row.message_id
    assert row.message_id.endswith("@northlink.example") and len(row.message_id.split("@")[0]) == 32
    assert [(a.name, a.address) for a in letter.from_] == [("Marta Lindqvist", "marta@northlink.example")]
    assert letter.reply_to == () and row.envelope_sender == "marta@northlink.example"
    # Without its Message-ID: those are hexadecimal digits, and one in 140 has "bcc" in it.
    told = bytes(row.raw).replace(row.message_id.encode(), b"").lower()
    assert b"secret" not in told and b"bcc" not in told
    (task, args, at, _) = jobs(acting_as)[0]
    assert (task, args) == ("send", {"mailbox_id": mailbox.pk, "delivery_id": row.pk})
    assert at == row.send_at and len(jobs(acting_as)) == 1


def test_pictures_stand_in_the_text_and_files_are_attached(marta, mailbox):
    draft = written(marta, mailbox)
    with viewing_as(marta):
        picture = compose.attach(
            delivery=draft, name="a.png", content_type="image/png", data=b"\x89PNG", inline=True
        )
        compose.attach(delivery=draft, name="Plän.pdf", content_type="application/pdf", data=b"%PDF")
        html = f'<p>See <img src="cid:{picture.content_id}"></p>'
        draft = compose.save(delivery=draft, to="a@b.example", html=html)
    row = sent(marta, draft)
    parts = {p.filename: p for p in read(bytes(row.raw)).parts}
    assert parts["a.png"].inline and parts["a.png"].content_id == picture.content_id
    assert not parts["Plän.pdf"].inline


@pytest.mark.parametrize(
    ("name", "kind", "inline"),
    [
        ("a\r\nX: y", "text/plain", False),
        ("a", "text/plain\r\nX: y", False),
        ("a.svg", "image/svg+xml", True),
    ],
)
def test_files_that_are_refused(marta, mailbox, name, kind, inline):
    draft = written(marta, mailbox)
    with viewing_as(marta), pytest.raises(ComposeError) as caught:
        compose.attach(delivery=draft, name=name, content_type=kind, data=b"x", inline=inline)
    assert "files" in caught.value.fields
    with viewing_as(marta):
        assert not OutgoingFile.objects.exists()


def test_twenty_five_megabytes_and_no_more(marta, mailbox):
    draft = written(marta, mailbox)
    with viewing_as(marta):
        compose.attach(delivery=draft, name="a", content_type="a/b", data=b"x" * 18_000_000)
        with pytest.raises(ComposeError, match=r"25\.3 MB.*at most 25 MB"):
            compose.attach(delivery=draft, name="b", content_type="a/b", data=b"x" * 1_000_000)
    assert sent(marta, draft).state == "queued"


@pytest.mark.rule("R-042")
def test_the_same_key_sends_once(marta, mailbox, acting_as):
    first, twin = written(marta, mailbox), written(marta, mailbox)
    one = sent(marta, first, key="k1")
    assert sent(marta, first, key="k1").pk == one.pk
    assert sent(marta, twin, key="k1").pk == one.pk
    with viewing_as(marta):
        assert Delivery.objects.count() == 1
    assert len(jobs(acting_as)) == 1


@pytest.mark.rule("R-042")
def test_the_same_key_with_another_letter_is_a_conflict(marta, mailbox, acting_as):
    sent(marta, written(marta, mailbox), key="k1")
    for change in (
        {"subject": "Other"},
        {"to": "x@y.example"},
        {"html": "<p>Other</p>"},
        {"bcc": "b@b.example"},
    ):
        error = refusal(marta, written(marta, mailbox, **change), key="k1")
        assert error.code == "conflict"
    assert len(jobs(acting_as)) == 1


@pytest.mark.rule("R-042")
def test_twice_without_a_key_is_refused(marta, mailbox, acting_as):
    row = sent(marta, written(marta, mailbox))
    assert refusal(marta, row).code == "already_sent"
    with viewing_as(marta):
        for act in (
            lambda: compose.save(delivery=row, to="x@y.example"),
            lambda: compose.discard(delivery=row),
            lambda: compose.attach(delivery=row, name="a", content_type="a/b", data=b""),
        ):
            with pytest.raises(ComposeError):
                act()
    assert len(jobs(acting_as)) == 1


def test_two_people_may_use_the_same_key(marta, mailbox, acting_as):
    elena = hire(email="elena@northlink.example", name="Elena", password=None)
    with viewing_as(elena):
        other = save_mailbox(
            staff=elena,
            mailbox=None,
            data={
                "address": "elena@northlink.example",
                "smtp_host": "smtp.northlink.example",
                "smtp_auth": "none",
            },
        )
    assert (
        sent(marta, written(marta, mailbox), key="k1").pk != sent(elena, written(elena, other), key="k1").pk
    )


def test_taken_back_it_is_a_draft_again(marta, mailbox):
    row = sent(marta, written(marta, mailbox), key="k1")
    with viewing_as(marta):
        back = compose.undo_send(delivery=row)
        assert (back.state, back.raw, back.message_id, back.key) == ("draft", None, "", "")
        with pytest.raises(ComposeError):
            compose.undo_send(delivery=row)
    again = sent(marta, back, key="k1")
    assert again.state == "queued" and again.message_id != row.message_id


def test_it_is_too_late_to_take_back_what_is_being_sent(marta, mailbox, acting_as):
    row = sent(marta, written(marta, mailbox))
    for state in ("sending", "accepted", "unknown"):
        with acting_as("superuser"):
            Delivery.objects.filter(pk=row.pk).update(state=state)
        with viewing_as(marta), pytest.raises(ComposeError) as caught:
            compose.undo_send(delivery=row)
        assert caught.value.code == "too_late"


def test_sending_switched_off_keeps_the_draft(marta, mailbox, acting_as):
    draft = written(marta, mailbox)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"sending": "off"})
    error = refusal(marta, draft)
    assert error.code == "sending_disabled" and "draft" in error.fields["mailbox"]


def test_a_mailbox_without_smtp_says_so(marta, mailbox):
    draft = written(marta, mailbox)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"smtp_host": ""})
    error = refusal(marta, draft)
    assert error.code == "no_smtp" and "Set up SMTP" in error.fields["mailbox"]


SYSTEM = {
    "sender_email": "office@northlink.example",
    "smtp_host": "smtp.northlink.example",
    "smtp_username": "login-name",
    "smtp_password": "company",
    "sending": "on",
}


@pytest.mark.story("16")
@pytest.mark.parametrize(
    ("reply_to", "answers_to"),
    [
        ("", ("Marta Lindqvist", "marta@northlink.example")),
        ("desk@northlink.example", ("", "desk@northlink.example")),
    ],
)
def test_through_the_companys_server_from_is_the_senders_email(marta, mailbox, reply_to, answers_to):
    sue = hire(email="sue@northlink.example", name="Sue", password=None, role="super")
    with viewing_as(sue):
        save_system_email(staff=sue, data=SYSTEM)
    with viewing_as(marta):
        save_mailbox(staff=marta, mailbox=mailbox, data={"use_system_smtp": "on", "reply_to": reply_to})
    row = sent(marta, written(marta, mailbox))
    letter = read(bytes(row.raw))
    assert [(a.name, a.address) for a in letter.from_] == [("Marta Lindqvist", "office@northlink.example")]
    assert [(a.name, a.address) for a in letter.reply_to] == [answers_to]
    assert row.envelope_sender == "office@northlink.example"
    assert b"login-name" not in bytes(row.raw)
    with viewing_as(sue):
        save_system_email(staff=sue, data={"sending": "off"})
    assert refusal(marta, written(marta, mailbox)).code == "sending_disabled"


def test_a_reply(marta, mailbox, message, customer):
    with viewing_as(marta):
        draft = compose.reply(staff=marta, message=message)
    assert draft.to == [["Daniel Hoffmann", "daniel@hoffmann.example"]] and draft.cc == []
    assert draft.subject == "Re: New office"
    assert "We move" in draft.html and "<script" not in draft.html and "t.example" not in draft.html
    assert "> We move soon." in draft.text
    with viewing_as(marta):
        assert [f.name for f in draft.files.all()] == ["logo.png"]
    letter = read(bytes(sent(marta, draft).raw))
    assert letter.in_reply_to == ("second@hoffmann.example",)
    assert letter.references == ("first@northlink.example", "second@hoffmann.example")


def test_a_reply_to_all_leaves_oneself_out(marta, mailbox, message):
    with viewing_as(marta):
        draft = compose.reply(staff=marta, message=message, to_all=True)
    assert [a for _, a in draft.to] == ["daniel@hoffmann.example", "paul@hoffmann.example"]
    assert [a for _, a in draft.cc] == ["office@hoffmann.example"]


def test_a_forward_carries_everything_and_answers_nobody(marta, mailbox, message):
    with viewing_as(marta):
        draft = compose.forward(staff=marta, message=message)
        assert draft.to == [] and draft.subject == "Fwd: RE: Re: New office"
        assert {f.name: bytes(f.data) for f in draft.files.all()} == {
            "logo.png": b"\x89PNG\r\n\x1a\n",
            "plan.pdf": b"%PDF plan",
        }
        draft = compose.save(delivery=draft, to="x@y.example", subject=draft.subject, html=draft.html)
    letter = read(bytes(sent(marta, draft).raw))
    assert letter.in_reply_to == ()
    assert letter.references == ("first@northlink.example", "second@hoffmann.example")
    assert {p.filename for p in letter.parts} == {"logo.png", "plan.pdf"}


def test_nobody_answers_in_anothers_name(marta, mailbox, message):
    elena = hire(email="elena@northlink.example", name="Elena", password=None)
    with viewing_as(elena):
        for act in (compose.reply, compose.forward):
            with pytest.raises(Message.DoesNotExist):
                act(staff=elena, message=message)
        with pytest.raises(Mailbox.DoesNotExist):
            compose.new(staff=elena, mailbox=mailbox)
        assert not Delivery.objects.exists()


def test_anothers_draft_is_not_there(marta, mailbox):
    draft = written(marta, mailbox)
    elena = hire(email="elena@northlink.example", name="Elena", password=None)
    with viewing_as(elena):
        for act in (
            lambda: compose.save(delivery=draft, to="x@y.example"),
            lambda: compose.send(delivery=draft),
            lambda: compose.undo_send(delivery=draft),
            lambda: compose.discard(delivery=draft),
        ):
            with pytest.raises(Delivery.DoesNotExist):
                act()
    with viewing_as(marta):
        assert Delivery.objects.get(pk=draft.pk).state == "draft"


def test_a_draft_moves_to_another_mailbox_of_ones_own(marta, mailbox):
    draft = written(marta, mailbox)
    data = {"address": "sales@northlink.example", "smtp_host": "smtp.northlink.example", "smtp_auth": "none"}
    with viewing_as(marta):
        second = save_mailbox(staff=marta, mailbox=None, data=data)
        compose.attach(delivery=draft, name="a", content_type="a/b", data=b"x")
        moved = compose.save(delivery=draft, to="x@y.example", text="hi", mailbox=second)
        assert moved.files.get().mailbox_id == second.pk
    assert sent(marta, moved).envelope_sender == "sales@northlink.example"
