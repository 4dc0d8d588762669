"""The catalogue: every table has a decision, and the database holds exactly the policies that the wall lists."""

import pytest

from postern.mail.wall import JOBS, OPEN, WALLED, policies


@pytest.fixture
def cursor(db, acting_as):
    from django.db import connection

    with acting_as("superuser"), connection.cursor() as cursor:
        yield cursor


def test_every_table_has_a_decision(cursor):
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row[0] for row in cursor.fetchall()} == {*WALLED, *OPEN, *JOBS}


def test_row_security_is_on_and_forced(cursor):
    cursor.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    assert {row[0] for row in cursor.fetchall()} == set(WALLED)


def test_the_policies_are_the_listed_ones(cursor):
    cursor.execute(
        "SELECT tablename, policyname, roles::text[], cmd FROM pg_policies WHERE schemaname = 'public'"
    )
    here = {(table, name, tuple(sorted(roles)), command) for table, name, roles, command in cursor.fetchall()}
    listed = {
        (t, name, tuple(sorted(roles.split(", "))), command) for t, name, roles, command, _ in policies()
    }
    assert here == listed


def test_the_processes_roles_can_neither_bypass_nor_own(cursor):
    cursor.execute(
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname LIKE 'postern%'"
    )
    assert dict(cursor.fetchall()) == {f"postern_{r}": False for r in ("owner", "web", "sync", "send")}
    cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert cursor.fetchall() == [("postern_owner",)]


def test_definer_functions_pin_their_search_path_and_are_not_public(cursor):
    cursor.execute(
        "SELECT p.proname, p.prosecdef, array_to_string(p.proconfig, ','), has_function_privilege('public', p.oid, 'EXECUTE')"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'app'"
    )
    for name, definer, config, public in cursor.fetchall():
        assert "search_path=" in (config or ""), name
        assert not public, name
        assert definer or name in ("box", "keep_letter")  # these need nobody else’s rights
