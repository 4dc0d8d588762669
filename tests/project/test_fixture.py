"""The tests' own database fixture keeps its promises: role, threads, rollback, clean state, clean session."""

import threading

import pytest
from django.db import connection, connections, transaction

from tests import clean


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


def rows(acting_as) -> dict[str, int]:
    """Rows of every table, whoever owns it; what is there for good is left out."""
    found = {}
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename), EXISTS (SELECT FROM pg_tables seed WHERE"
            " seed.schemaname = 'testing' AND seed.tablename = t.tablename), tablename FROM pg_tables t WHERE schemaname"
            " NOT IN ('pg_catalog', 'information_schema', 'testing') AND tablename <> 'django_migrations'"
        )
        for table, seeded, name in cursor.fetchall():
            less = f"TABLE {table} EXCEPT TABLE testing.{name}" if seeded else f"TABLE {table}"
            cursor.execute(f"SELECT count(*) FROM ({less}) _")
            found[table] = cursor.fetchone()[0]
    return found


def write_much(acting_as) -> None:
    """Rows in many tables, jobs among them, and a row of the migrations' changed."""
    from tests.web.office import furnish

    furnish(acting_as)
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("UPDATE auth_permission SET name = 'changed'")
        cursor.execute("INSERT INTO procrastinate_jobs (task_name, queue_name) VALUES ('any', 'any')")


@pytest.mark.parametrize("attempt", [1, 2])
def test_no_row_in_any_table_survives_to_the_next_test(db, acting_as, attempt):
    assert sum(rows(acting_as).values()) == 0
    write_much(acting_as)
    written = [table for table, number in rows(acting_as).items() if number]
    assert {"public.mail_message", "public.procrastinate_jobs", "public.auth_permission"} <= set(written)


def session() -> dict[str, object]:
    """What a session has that outlives a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('app.staff_id', true), ''), current_setting('statement_timeout'),"
            " current_setting('TimeZone'), session_user, to_regclass('pg_temp.left_behind'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
            " (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_cursors WHERE is_holdable)"
        )
        names = ("viewer", "timeout", "zone", "user", "table", "locks", "channels", "prepared", "cursors")
        return dict(zip(names, cursor.fetchone(), strict=True))


SPOILING = (
    "SET app.staff_id = '1'",
    "SET statement_timeout = '1h'",
    "SET TimeZone = 'Asia/Tokyo'",
    "CREATE TEMPORARY TABLE left_behind (one int)",
    "SELECT pg_advisory_lock(1)",
    "LISTEN left_behind",
    "PREPARE left_behind AS SELECT 1",
    "DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1",
)


@pytest.mark.parametrize("spoil", SPOILING)
def test_a_session_is_kept_and_nothing_of_it_is(db, acting_as, spoil):
    before, backend = session(), connection.connection.info.backend_pid
    with acting_as("superuser"):
        connection.cursor().execute(spoil)
        connection.cursor().execute("SET SESSION AUTHORIZATION DEFAULT")
    assert session() != before
    clean.renew_session()
    assert session() == before
    assert connection.connection.info.backend_pid == backend


def test_a_session_has_what_django_sets_at_every_sign_in(db, monkeypatch):
    monkeypatch.setitem(connections["default"].__dict__, "timezone_name", "Asia/Tokyo")
    clean.renew_session()
    assert session()["zone"] == "Asia/Tokyo"


def test_a_session_in_the_middle_of_something_is_not_kept(db):
    backend = connection.connection.info.backend_pid
    connection.set_autocommit(False)
    user()
    clean.renew_session()
    assert user() == "postern_web" and connection.get_autocommit()
    assert connection.connection.info.backend_pid != backend


def test_a_session_that_was_ended_meanwhile_is_not_kept_and_the_next_test_has_another(db, acting_as):
    from postern.people.models import Staff

    with acting_as("superuser"):
        Staff.objects.create_staff(email="a@example.com", name="A", password=None)
    backend = connection.connection.info.backend_pid
    thread = threading.Thread(target=end, args=(backend, acting_as))
    thread.start()
    thread.join()
    clean.renew_session()
    clean.reset()
    assert connection.connection.info.backend_pid != backend
    with acting_as("superuser"):
        assert Staff.objects.count() == 0


def test_a_session_that_ends_between_two_tests_costs_the_next_one_nothing(db, acting_as):
    clean.renew_session()
    thread = threading.Thread(target=end, args=(connection.connection.info.backend_pid, acting_as))
    thread.start()
    thread.join()
    clean.reset()
    assert user() == "postern_web"


def end(backend: int, acting_as) -> None:
    """End a session, from another; for a thread."""
    with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    connection.close()
