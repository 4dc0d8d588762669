"""Somebody leaves: nothing of theirs is sent, read or signed in any more, and what is handed over is told (S-066, S-067)."""

from __future__ import annotations

import email
from datetime import timedelta
from email import policy

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from postern.mail.access import viewing_as, visible_keys
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox, Probe, Reader
from postern.mailboxes.readers import grant
from postern.mailboxes.save import save_mailbox, save_system_email
from postern.mailboxes.secrets import store_probe_secret
from postern.outbox import deliver
from postern.outbox.models import Delivery
from postern.outbox.telling import tell
from postern.people import handover
from postern.people.models import Consent, Handover, Notice, Staff, Token
from postern.people.staff import StaffRefused, change_staff
from postern.people.tokens import make_token, verify_token
from postern.sync import store
from tests.roles import hire
from tests.web.browser import Browser

from .test_tasks import run_worker

WHY = "Her customers wait for answers since Monday."


def person(name, role="admin"):
    return hire(
        email=f"{name}@northlink.example", name=name.title(), password="a long pass phrase", role=role
    )


@pytest.fixture
def boss(db):
    return person("ruth", "super")


@pytest.fixture
def elena(db):
    """A colleague with a mailbox of her own."""
    staff = person("elena")
    data = {"address": staff.email, "imap_username": "e", "imap_password": "y", "imap_host": "127.0.0.1"}
    with viewing_as(staff):
        save_mailbox(staff=staff, mailbox=None, data=data)
    return staff


def active(boss, staff, is_active):
    with viewing_as(boss):
        return change_staff(by=boss, staff=staff, changes={"is_active": is_active})


def hand_over(boss, owner, successor, *, reason=WHY, days=30):
    with viewing_as(boss):
        return handover.hand_over(
            by=boss,
            owner=Staff.objects.get(pk=owner.pk),
            successor=successor,
            reason=reason,
            ends_at=timezone.now() + timedelta(days=days),
        )


def sees(staff, message):
    with viewing_as(staff):
        return Message.objects.visible_to(staff).filter(pk=message.pk).exists()


@pytest.mark.rule("S-066")
def test_s066_everything_of_a_disabled_person_ends(outbox, marta, boss, elena, message, acting_as):
    with viewing_as(marta):
        mailbox = save_mailbox(
            staff=marta,
            mailbox=outbox.mailbox,
            data={"imap_host": "127.0.0.1", "imap_password": "correct horse"},
        )
        grant(staff=marta, mailbox=mailbox, reader=elena)
        _, secret = make_token(staff=marta, name="script")
        probe = Probe.objects.create(
            staff=marta, kind="imap", settings={"host": "h", "port": 993, "username": "u", "security": "ssl"}
        )
        store_probe_secret(probe, "correct horse")
    with viewing_as(elena):
        grant(staff=elena, mailbox=Mailbox.objects.get(owner=elena), reader=marta)
    browser = Browser()
    browser.force_login(marta)
    row = outbox.queue(undo_seconds=60)
    with acting_as("sync"):
        assert mailbox.pk in [box.id for box in store.watched()]
    assert browser.get("/live/").status_code == 200 and sees(elena, message)

    active(boss, marta, False)

    assert browser.get("/live/").status_code != 200 and verify_token(secret) is None
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mailboxes_secret WHERE mailbox_id = %s", [mailbox.pk])
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM mailboxes_probesecret")
        assert cursor.fetchone() == (0,)
        assert not Reader.objects.exists() and not Token.objects.filter(staff=marta).exists()
        mailbox = Mailbox.objects.get(pk=mailbox.pk)
        assert not mailbox.has_imap_secret and not mailbox.has_smtp_secret
    with acting_as("superuser"):
        held = Delivery.objects.get(pk=row.pk)
    assert (held.state, held.code) == ("held", "disabled") and "disabled" in held.problem
    with acting_as("sync"):
        assert store.watched() and mailbox.pk not in [box.id for box in store.watched()]
        assert store.load(mailbox.pk) is None
    assert not sees(elena, message) and not sees(boss, message)
    with viewing_as(marta):
        assert not Message.objects.exists()


@pytest.mark.rule("S-066")
def test_s066_a_letter_that_some_have_ends_and_is_not_given_back(outbox, server, marta, boss, acting_as):
    server.says = {"RCPT b@b.example": "451 later"}
    row = outbox.work(outbox.queue(to="a@a.example, b@b.example"))
    assert row.state == "queued"
    active(boss, marta, False)
    server.says = {}
    with acting_as("send"):
        deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)
    with acting_as("superuser"):
        row = Delivery.objects.get(pk=row.pk)
    assert (row.state, row.code, row.accepted, row.raw) == ("accepted", "disabled", ["a@a.example"], None)
    assert [one[0] for one in row.deferred] == ["b@b.example"] and not row.editable
    assert len(server.taken) == 1


@pytest.mark.rule("S-066")
def test_s066_enabling_again_brings_nothing_back_and_asks_for_the_password(outbox, marta, boss, acting_as):
    browser = Browser()
    browser.force_login(marta)
    row = outbox.queue(undo_seconds=1)
    with viewing_as(marta):
        _, secret = make_token(staff=marta, name="script")
    active(boss, marta, False)
    active(boss, marta, True)
    assert browser.get("/live/").status_code == 302 and verify_token(secret) is None
    assert outbox.look(row).state == "held"
    browser.force_login(Staff.objects.get(pk=marta.pk))
    page = browser.get("/profile/email/").content.decode()
    assert "Enter the password again" in page and "A password is stored" not in page
    assert "Try again" not in page


@pytest.mark.rule("S-066")
def test_s066_sync_and_open_pages_are_told_to_let_go(outbox, marta, boss, listening):
    with listening("postern_mailboxes", "postern_events") as heard:
        active(boss, marta, False)
        told = heard()
    assert ("postern_mailboxes", {"mailbox": outbox.mailbox.pk}) in told
    assert ("postern_events", {"kind": "access", "mailbox": 0, "id": marta.pk}) in told


@pytest.fixture
def listening(db):
    import contextlib
    import json

    import psycopg

    from postern.project.database import libpq

    @contextlib.contextmanager
    def listen(*channels):
        with psycopg.connect(**libpq("superuser"), autocommit=True) as listener:
            for channel in channels:
                listener.execute(f"LISTEN {channel}")
            yield lambda: [(n.channel, json.loads(n.payload)) for n in listener.notifies(timeout=0.5)]

    return listen


def test_nobody_but_a_super_administrator_sets_it_off(outbox, marta, boss, elena):
    with viewing_as(elena), pytest.raises(PermissionDenied):
        change_staff(by=elena, staff=marta, changes={"is_active": False})
    calls = ("app.offboard(%s)", "app.hand_over(%s, 1, 'x', now())", "app.end_handover(%s)")
    for call in calls:
        with pytest.raises(DatabaseError, match="not allowed"), viewing_as(elena):
            connection.cursor().execute(f"SELECT {call}", [marta.pk])
    with pytest.raises(DatabaseError, match="permission denied"), viewing_as(boss):
        connection.cursor().execute("SELECT app.tell(%s, 'x')", [marta.pk])
    assert Staff.objects.get(pk=marta.pk).is_active


@pytest.mark.rule("S-067")
def test_s067_with_consent_the_successor_reads_until_the_day(outbox, marta, boss, elena, message):
    with viewing_as(marta):
        handover.choose(staff=marta, agreed=True, successor=elena, customers_only=False)
    active(boss, marta, False)
    assert not sees(elena, message)
    line = hand_over(boss, marta, elena, reason="")
    assert (line.ground, line.customers_only) == ("consent", False)
    assert sees(elena, message) and not sees(boss, message)
    with viewing_as(elena):
        row = Reader.objects.get(mailbox=outbox.mailbox)
        assert not row.may_reply and row.ends_at == line.ends_at and row.handover_id == line.pk
    active(boss, marta, True)
    assert not sees(elena, message) and sees(marta, message)
    with viewing_as(marta):
        assert list(Handover.objects.values_list("ground", flat=True)) == ["ended", "consent"]


@pytest.mark.rule("S-067")
def test_s067_break_glass_needs_a_reason_shows_customers_mail_and_is_told(
    outbox, marta, boss, elena, customer, message
):
    active(boss, marta, False)
    with pytest.raises(StaffRefused, match="did not agree") as refused:
        hand_over(boss, marta, elena, reason="because " + " " * 40)
    assert refused.value.code == "reason_needed"
    line = hand_over(boss, marta, elena)
    assert (line.ground, line.customers_only, line.reason) == ("break_glass", True, WHY)
    with viewing_as(elena):
        kept = set(visible_keys(elena))
        assert outbox.mailbox.pk * 4 in kept and outbox.mailbox.pk * 4 + 1 not in kept
    active(boss, marta, True)
    browser = Browser()
    browser.force_login(Staff.objects.get(pk=marta.pk))
    for path in ("/messages/inbox/", "/profile/", "/customers/", "/"):
        assert browser.get(path).headers.get("Location") == "/notices/", path
    asked = browser.get("/messages/inbox/", headers={"HX-Request": "true"})
    assert asked.headers["HX-Redirect"] == "/notices/"
    page = browser.get("/notices/").content.decode()
    assert WHY in page and "Ruth handed your mail" in page and "Elena" in page
    assert f"until {line.ends_at.day} {line.ends_at:%B %Y}." in page
    assert WHY in browser.post("/notices/", {"upto": "0"}).content.decode()  # that reads none: told again
    assert browser.get("/profile/").headers["Location"] == "/notices/"
    upto = Notice.objects.order_by("-pk").values_list("pk", flat=True)
    with viewing_as(marta):
        last = upto.first()
    browser.post("/notices/", {"upto": str(last)})
    assert WHY in browser.get("/profile/").content.decode()


def test_whom_and_until_when(outbox, marta, boss, elena):
    with pytest.raises(StaffRefused, match="can sign in"):
        hand_over(boss, marta, elena)
    active(boss, marta, False)
    gone = hire(email="gone@northlink.example", name="Gone", is_active=False)
    for successor, days, code in (
        (boss, 30, "bad_successor"),
        (marta, 30, "bad_successor"),
        (gone, 30, "bad_successor"),
        (elena, 400, "bad_end"),
        (elena, -1, "bad_end"),
    ):
        with pytest.raises(StaffRefused) as refused:
            hand_over(boss, marta, successor, days=days)
        assert refused.value.code == code
    with pytest.raises(PermissionDenied):
        hand_over(elena, marta, boss)
    assert not Handover.objects.exists()


@pytest.mark.parametrize(
    ("heir", "why", "end"),
    [
        ("boss", WHY, "30 days"),
        ("marta", WHY, "30 days"),
        ("elena", "short", "30 days"),
        ("elena", WHY, "400 days"),
        ("elena", WHY, "-1 days"),
    ],
)
def test_the_database_refuses_the_same(outbox, marta, boss, elena, heir, why, end):
    active(boss, marta, False)
    to = {"boss": boss, "marta": marta, "elena": elena}[heir]
    with pytest.raises(DatabaseError), viewing_as(boss):
        connection.cursor().execute(
            "SELECT app.hand_over(%s, %s, %s, now() + %s::interval)", [marta.pk, to.pk, why, end]
        )
    with viewing_as(boss):
        assert not Handover.objects.exists()


@pytest.mark.rule("S-062")
def test_s062_what_was_handed_over_cannot_write_nor_last_for_ever(outbox, marta, boss, elena, acting_as):
    active(boss, marta, False)
    hand_over(boss, marta, elena)
    for change in ({"may_reply": True}, {"ends_at": None}):
        with acting_as("superuser"), pytest.raises(DatabaseError, match="handed_over"), transaction.atomic():
            Reader.objects.update(**change)
    with viewing_as(boss):
        handover.end_handover(by=boss, owner=marta)
        assert handover.in_force(Staff.objects.get(pk=marta.pk)) is None
    with acting_as("superuser"):
        assert not Reader.objects.filter(mailbox=outbox.mailbox).exists()


@pytest.mark.rule("S-128")
def test_s128_the_log_is_only_added_to(outbox, marta, boss, elena, acting_as):
    active(boss, marta, False)
    hand_over(boss, marta, elena)
    for role in ("web", "sync", "send"):
        for change in (
            lambda: Handover.objects.update(reason="something else"),
            lambda: Handover.objects.all().delete(),
            lambda: Handover.objects.create(owner=marta, successor=elena, by=boss, ground="consent"),
        ):
            with acting_as(role), viewing_as(boss):
                try:
                    with transaction.atomic():
                        change()
                except DatabaseError:
                    pass
    with viewing_as(boss):
        assert [row.reason for row in Handover.objects.all()] == [WHY]
    tomas = person("tomas")
    with viewing_as(tomas):
        assert not Handover.objects.exists() and not Notice.objects.exists()
    with viewing_as(elena):
        assert Handover.objects.count() == 1


def test_a_choice_is_its_owners(db, marta, boss, elena):
    with viewing_as(marta):
        handover.choose(staff=marta, agreed=True)
        assert handover.covers(handover.consent_of(marta), elena)
        with pytest.raises(StaffRefused):
            handover.choose(staff=marta, agreed=True, successor=marta)
    with viewing_as(boss):
        assert Consent.objects.count() == 1 and Consent.objects.update(customers_only=False) == 0
        with pytest.raises(DatabaseError), transaction.atomic():
            Consent.objects.create(staff=elena)
    with viewing_as(elena):
        assert not Consent.objects.exists()
    with viewing_as(marta):
        handover.choose(staff=marta, agreed=False)
        assert handover.consent_of(marta) is None and not handover.covers(None, elena)


def system(boss, server, **changes):
    data = {"sender_email": "office@northlink.example", "smtp_host": "127.0.0.1", "smtp_port": server.port}
    data |= {"smtp_security": "none", "smtp_auth": "none", "sending": "on"}
    with viewing_as(boss):
        save_system_email(staff=boss, data=data | changes)


@pytest.mark.rule("S-067")
def test_s067_the_owner_is_mailed_through_the_companys_server(outbox, marta, boss, elena, server, acting_as):
    system(boss, server)
    active(boss, marta, False)
    hand_over(boss, marta, elena)
    run_worker(acting_as)
    (taken,) = server.taken
    letter = email.message_from_bytes(taken.data, policy=policy.default)
    assert taken.recipients == [marta.email] and taken.sender == "office@northlink.example"
    assert WHY in letter.get_body().get_content().replace("\r\n", " ")
    with acting_as("superuser"):
        notice = Notice.objects.get()
        assert notice.mailed_at is not None
    with acting_as("send"):
        assert tell(notice.pk) is False
    assert len(server.taken) == 1


def test_without_a_companys_server_it_waits_for_the_sign_in(outbox, marta, boss, elena, server, acting_as):
    active(boss, marta, False)
    hand_over(boss, marta, elena)
    run_worker(acting_as)
    assert server.taken == []
    with acting_as("superuser"):
        assert Notice.objects.get().mailed_at is None and Staff.objects.get(pk=marta.pk).has_notice


@pytest.mark.rule("S-134")
def test_s134_a_first_password_opens_nothing_but_the_page_to_change_it(db, boss):
    from postern.people.staff import add_staff

    with viewing_as(boss):
        staff, first = add_staff(by=boss, name="Nadia", email="nadia@northlink.example")
    browser = Browser()
    browser.post("/sign-in/", {"email": staff.email, "password": first})
    for path in ("/profile/email/", "/profile/", "/messages/inbox/"):
        assert browser.get(path).headers["Location"] == "/first-password/"
    assert browser.post("/profile/tokens/", {"name": "x"}).headers["Location"] == "/first-password/"
    same = {"new_password1": first, "new_password2": first}
    assert "Choose another" in browser.post("/first-password/", same).content.decode()
    own = {"new_password1": "nobody else knows it", "new_password2": "nobody else knows it"}
    assert browser.post("/first-password/", own).status_code == 302
    assert browser.get("/profile/").status_code == 200
    stale = Browser()
    assert stale.post("/sign-in/", {"email": staff.email, "password": first}).status_code == 422
