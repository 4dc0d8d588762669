"""The second lock of who may sign in: what web's role changes of people, whatever the pages do (S-134)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.db import DatabaseError, connection, transaction

from postern.mail.access import set_viewer, viewing_as
from postern.mail.staffwall import UPDATE_COLUMNS
from postern.people.models import Staff, Token
from postern.people.shell import reset_password
from postern.people.staff import StaffRefused, change_staff
from postern.people.tokens import make_token, revoke_token, verify_token
from tests.world import World, make_world

OWN = {
    "name": "Renamed",
    "title": "Care",
    "single_keys": False,
    "must_change_password": False,
    "has_notice": True,
    "password": make_password(None),
}
NEVER = {
    "email": "else@isp.example",
    "role": "super",
    "is_active": False,
    "sign_ins": 7,
    "one_time_until": datetime(2040, 1, 1, tzinfo=UTC),
    "id": 999,
}


@pytest.fixture
def world(db, acting_as) -> World:
    return make_world(acting_as)


def change(viewer: Staff | None, whose: Staff, **values: object) -> int:
    with transaction.atomic():
        set_viewer(viewer.pk if viewer else None)
        return Staff.objects.filter(pk=whose.pk).update(**values)


def manage(viewer: Staff | None, whose: Staff, *values: object) -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        set_viewer(viewer.pk if viewer else None)
        cursor.execute("SELECT app.manage_staff(%s, %s, %s, %s, %s)", [whose.pk, *values])
        return cursor.fetchone()[0]


@pytest.mark.rule("S-134")
def test_s134_a_person_changes_their_own_row_and_no_other_not_even_a_super_administrator(world):
    assert set(OWN) == set(UPDATE_COLUMNS["people_staff"])
    for column, value in OWN.items():
        assert change(world.owner, world.owner, **{column: value}) == 1, column
        for viewer in (world.boss, world.colleague, None):
            assert change(viewer, world.owner, **{column: value}) == 0, column


@pytest.mark.rule("S-134")
def test_s134_no_page_changes_an_address_a_role_or_who_may_sign_in(world):
    for column, value in NEVER.items():
        for viewer in (world.owner, world.boss):
            with pytest.raises(DatabaseError, match="permission denied"):
                change(viewer, viewer, **{column: value})
    fields = {field.column for field in Staff._meta.fields}
    assert fields == {*OWN, *NEVER, "created_at"}


@pytest.mark.parametrize("role", ["sync", "send"])
def test_workers_read_who_is_here_and_change_nothing(world, acting_as, role):
    with acting_as(role):
        assert Staff.objects.count() == 5
        with pytest.raises(DatabaseError, match="permission denied"):
            change(world.owner, world.owner, name="x")
        with pytest.raises(DatabaseError, match="permission denied"):
            manage(world.boss, world.owner, "x", None, None, None)


def test_only_a_super_administrator_manages_and_never_the_last_one_away(world):
    for viewer in (world.owner, None):
        with pytest.raises(DatabaseError, match="not allowed"):
            manage(viewer, world.colleague, "x", None, None, None)
    with pytest.raises(DatabaseError, match="not allowed"):
        manage(world.boss, world.colleague, None, None, "emperor", None)
    assert manage(world.boss, world.colleague, "Renamed", None, None, None) == ""
    row = Staff.objects.get(pk=world.colleague.pk)
    assert (row.name, row.title, row.role, row.is_active) == ("Renamed", "", "admin", True)
    for values in ((None, None, "admin", None), (None, None, None, False)):
        assert manage(world.boss, world.boss, *values) == "last_super"
    with transaction.atomic():
        set_viewer(world.boss.pk)
        with pytest.raises(StaffRefused, match="Somebody else"):
            change_staff(by=world.boss, staff=world.boss, changes={"role": "admin"})
        assert change_staff(by=world.boss, staff=world.owner, changes={"role": "super"}).is_super
        assert not change_staff(by=world.boss, staff=world.boss, changes={"role": "admin"}).is_super
    with pytest.raises(DatabaseError, match="not allowed"):
        manage(world.boss, world.owner, "x", None, None, None)


def make(viewer: Staff | None, function: str, *values: object) -> int:
    marks = ", ".join(["%s"] * len(values))
    with transaction.atomic(), connection.cursor() as cursor:
        set_viewer(viewer.pk if viewer else None)
        cursor.execute(f"SELECT app.{function}({marks})", values)
        return cursor.fetchone()[0]


@pytest.mark.rule("S-134")
def test_s134_no_page_writes_a_row_of_staff_itself(world):
    """Not even a super-administrator's: SQL that came in at a page makes neither an account nor a super-administrator."""
    for viewer in (world.boss, world.owner, None):
        with (
            transaction.atomic(),
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
        ):
            set_viewer(viewer.pk if viewer else None)
            Staff.objects.create_staff(email="new@isp.example", name="New", password="known", role="super")
    assert Staff.objects.count() == 5


@pytest.mark.rule("S-134")
def test_s134_only_a_super_administrator_adds_somebody_and_only_with_a_password_to_change(world):
    new = ("new@isp.example", "New")
    for viewer, role in ((world.owner, "admin"), (None, "admin"), (world.boss, "emperor")):
        with pytest.raises(DatabaseError, match="not allowed"):
            make(viewer, "add_staff", *new, role, make_password("known"))
    for role in ("admin", "super"):
        number = make(world.boss, "add_staff", f"{role}-{new[0]}", "New", role, make_password("known"))
        row = Staff.objects.get(pk=number)
        assert (row.role, row.is_active, row.must_change_password) == (role, True, True)


@pytest.mark.rule("S-134")
def test_s134_a_token_is_made_and_ended_by_its_person_alone_and_changed_by_nobody(world, acting_as):
    for statement in (
        f"INSERT INTO people_token (staff_id, name, digest, created_at) VALUES ({world.owner.pk}, '', 'x', now())",
        "UPDATE people_token SET ends_at = NULL",
    ):
        with (
            pytest.raises(DatabaseError, match=r"row-level security|permission denied"),
            viewing_as(world.boss),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    with viewing_as(world.owner):
        row, secret = make_token(staff=world.owner, name="script")
    for nobody in (world.boss, world.reader, None):
        with transaction.atomic():
            set_viewer(nobody and nobody.pk)
            assert not Token.objects.exists() and Token.objects.all().delete()[0] == 0
            assert verify_token(secret).staff == world.owner, "asked before anybody is known"
    with viewing_as(world.owner):
        assert Token.objects.get().used_at is not None
        revoke_token(staff=world.owner, token_id=row.pk)
        assert verify_token(secret) is None


def test_the_use_of_a_token_is_noted_once_a_minute(world, acting_as):
    """Not at each request: that would be a write for every answer."""
    with viewing_as(world.owner):
        _, secret = make_token(staff=world.owner, name="script")
    seen = []
    for ago in (0, 59, 61):
        with acting_as("superuser"), connection.cursor() as cursor:
            cursor.execute("UPDATE people_token SET used_at = now() - make_interval(secs => %s)", [ago])
            before = Token.objects.get().used_at
        with transaction.atomic():
            verify_token(secret)
        with acting_as("superuser"):
            seen.append(Token.objects.get().used_at != before)
    assert seen == [False, False, True]


@pytest.mark.rule("S-134")
def test_s134_a_first_password_ends_after_three_days_whatever_the_pages_do(world):
    number = make(world.boss, "add_staff", "new@isp.example", "New", "admin", make_password("known"))
    row = Staff.objects.get(pk=number)
    assert row.one_time_until - row.created_at == timedelta(hours=72)
    with pytest.raises(DatabaseError, match="one_time_password_ends"):
        change(world.owner, world.owner, must_change_password=True)


@pytest.mark.rule("S-134")
def test_s134_another_first_password_only_for_who_never_had_one_of_their_own(world, acting_as):
    """Else it would be a super-administrator's way into somebody's mail."""
    number = make(world.boss, "add_staff", "new@isp.example", "New", "admin", make_password("known"))
    for viewer in (world.owner, None):
        with pytest.raises(DatabaseError, match="not allowed"):
            make(viewer, "renew_first", number, "!")
    assert make(world.boss, "renew_first", number, "another") is True
    assert Staff.objects.get(pk=number).password == "another"
    with acting_as("owner"):
        reset_password(world.owner)
        reset_password(world.reader_without_imap)  # has no mailbox, and had a password
        kept = Staff.objects.get(pk=world.owner.pk).password
    for whose in (world.owner, world.reader_without_imap, world.colleague, world.boss):
        assert make(world.boss, "renew_first", whose.pk, "another") is False
    assert Staff.objects.get(pk=world.owner.pk).password == kept
    for left in ({"is_active": False}, {"must_change_password": False, "is_active": True}):
        with acting_as("superuser"):
            Staff.objects.filter(pk=number).update(**left)
        assert make(world.boss, "renew_first", number, "third") is False


@pytest.mark.rule("S-134")
def test_s134_nor_where_a_mailbox_hangs_on_it(world, acting_as):
    with acting_as("superuser"):
        until = datetime(2040, 1, 1, tzinfo=UTC)
        Staff.objects.filter(pk=world.owner.pk).update(must_change_password=True, one_time_until=until)
    assert make(world.boss, "renew_first", world.owner.pk, "another") is False


def test_who_was_a_super_administrator_adds_nobody(world, acting_as):
    for change_of in ({"role": "admin"}, {"role": "super", "is_active": False}):
        with acting_as("superuser"):
            Staff.objects.filter(pk=world.boss.pk).update(**change_of)
        with pytest.raises(DatabaseError, match="not allowed"):
            make(world.boss, "add_staff", "new@isp.example", "New", "admin", "!")


@pytest.mark.parametrize("role", ["sync", "send"])
def test_workers_add_nobody(world, acting_as, role):
    for name, values in (
        ("add_staff", ("new@isp.example", "New", "super", "!")),
        ("first_staff", ("new@isp.example", "New", "!")),
        ("renew_first", (world.owner.pk, "!")),
    ):
        with acting_as(role), pytest.raises(DatabaseError, match="permission denied"):
            make(world.boss, name, *values)


def test_the_first_of_all_comes_once_also_of_two_at_the_same_moment(db):
    def come(name: str) -> str:
        try:
            make(None, "first_staff", f"{name}@isp.example", name, make_password("of their own"))
        except DatabaseError as error:
            return str(error).split("\n")[0]
        finally:
            connection.close()
        return name

    with ThreadPoolExecutor(2) as both:
        told = set(both.map(come, ("ada", "bob")))
    row = Staff.objects.get()
    assert told == {row.name, "not allowed"}
    assert (row.role, row.must_change_password) == ("super", False)


def test_two_who_step_down_at_the_same_moment(world, acting_as):
    with acting_as("superuser"):
        Staff.objects.filter(pk=world.owner.pk).update(role="super")

    def step_down(staff: Staff) -> str:
        try:
            return manage(staff, staff, None, None, "admin", None)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as both:
        told = sorted(both.map(step_down, (world.owner, world.boss)))
    assert told == ["", "last_super"]
    assert Staff.objects.filter(role="super", is_active=True).count() == 1
