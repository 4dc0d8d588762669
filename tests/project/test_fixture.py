"""The tests' own database fixture keeps its promises: role, threads, rollback, clean state."""

import threading

import pytest
from django.db import connection, transaction


def user() -> str:
    """The role the database sees."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


def test_code_under_test_is_the_web_role_unless_told_otherwise(db, acting_as):
    assert user() == "postern_web"
    for role in ("sync", "send", "owner"):
        with acting_as(role):
            assert user() == f"postern_{role}"
    with acting_as("superuser"):
        assert user() == "postgres"
    assert user() == "postern_web"


def test_a_rollback_does_not_leave_the_wrong_role(db, acting_as):
    with acting_as("sync"):
        user()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert user() == "postern_web"
        raise ZeroDivisionError
    assert user() == "postern_web"


def test_threads_take_the_role_of_the_moment_unless_they_chose_one(db, acting_as):
    seen: list[str] = []

    def look() -> None:
        seen.append(user())
        connection.close()

    def look_as_web() -> None:
        with acting_as("web", everywhere=False):
            look()

    with acting_as("sync"):
        for target in (look, look_as_web):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == ["postern_sync", "postern_web"]


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_starts_clean(db, acting_as, attempt):
    from postern.people.models import Staff

    with acting_as("superuser"):
        assert Staff.objects.count() == 0
        Staff.objects.create_staff(email=f"a{attempt}@example.com", name="A", password=None)
