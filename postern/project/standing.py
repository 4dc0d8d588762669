"""Whether the privacy wall stands in the database as this version raises it (rule S-068).

`postern check` asks for all that differs; each process, before it serves or works, for what is ours. The roles of the
workers and of the pages can read all of it in PostgreSQL's catalogue.
"""

from collections.abc import Iterator
from typing import Any

from django.db import OperationalError, connection, connections

from postern.mail.sealing import SEALS, digest
from postern.mail.wall import (
    FUNCTION_RIGHTS,
    JOBS,
    OPEN,
    SOURCES,
    TRIGGERS,
    WALLED,
    column_rights,
    policies,
    rights,
)
from postern.project.database import DatabaseError

RAISE = "Run `postern migrate`, or restart `postern up`: it raises the wall anew."
_OURS = ("postern_web", "postern_sync", "postern_send")


def faults() -> Iterator[str]:
    """Yield what differs from the lists of postern.mail.wall, a line each. Needs Django."""
    for look in (*_OURSELVES, _undecided, _others_rights, _others_code):
        yield from look()


def require_wall() -> None:
    """Make sure that what protects mail from our own processes is all there, and is this version's. Raises DatabaseError.

    What else is in the database, tables, views and rights that somebody gave to others, stops nobody from starting.
    """
    try:
        fault = next((fault for look in _OURSELVES for fault in look()), "")
    except OperationalError as error:
        raise DatabaseError(
            f"the database went away while its privacy wall was looked at: {error}"
        ) from error
    finally:
        connections.close_all()  # who comes next opens its own, in its own thread
    if fault:
        raise DatabaseError(
            f"the privacy wall in the database is not the one of this version: {fault}. {RAISE}"
        )


def _ask(query: str, *parameters: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        return list(cursor.fetchall())


def _undecided() -> Iterator[str]:
    here = {row[0] for row in _ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    for table in sorted(here - {*WALLED, *OPEN, *JOBS}):
        yield f"table {table}: nothing says who may see it"
    for table in sorted({*WALLED, *OPEN, *JOBS} - here):
        yield f"table {table} is missing"


def _bare() -> Iterator[str]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND relforcerowsecurity"
    for table in sorted(set(WALLED) - {row[0] for row in _ask(query)}):
        yield f"table {table} is without the privacy wall"


def _policies() -> Iterator[str]:
    """The catalogue words conditions in its own way: compared are name, roles, command, and that none says `true`."""
    query = (
        "SELECT tablename, policyname, (SELECT string_agg(r, ',' ORDER BY r) FROM unnest(roles::text[]) r), cmd,"
        " coalesce(qual, 'true') = 'true' AND coalesce(with_check, 'true') = 'true', permissive"
        " FROM pg_policies WHERE schemaname = 'public'"
    )
    here = {tuple(row) for row in _ask(query)}
    listed = {
        (table, name, ",".join(sorted(roles.split(", "))), command, condition == "true", "PERMISSIVE")
        for table, name, roles, command, condition in policies()
    }
    for table, name, *_ in sorted(listed - here):
        yield f"policy {name} on {table} is missing or was changed"
    for table, name, *_ in sorted(here - listed):
        if (table, name) not in {row[:2] for row in listed}:
            yield f"policy {name} on {table} is not ours"


def _seals() -> Iterator[str]:
    """The condition of each policy, against what it was when the wall was raised, and that against our list."""
    ours = {(table, name): digest(condition) for table, name, _, _, condition in policies()}
    for table, name, sealed, words in _ask(SEALS):
        if (table, name) in ours and sealed != f"{ours[table, name]} {words}":
            yield f"the condition of policy {name} on {table} is not the one of this version"


def _functions() -> Iterator[str]:
    """The functions that the policies stand on, and the triggers: only those that we list, as we wrote them."""
    query = (
        "SELECT p.oid::regprocedure::text, p.prosrc FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace"
    )
    here = {name.replace("timestamp with time zone", "timestamptz"): source for name, source in _ask(query)}
    listed = {name.replace(", ", ",") for name in FUNCTION_RIGHTS}
    for name in sorted(here.keys() ^ listed):
        yield f"function {name} is not ours" if name in here else f"function {name} is missing"
    for name in sorted(here.keys() & listed):
        if not any(here[name].strip() in source for source in SOURCES):
            yield f"function {name} was changed"
    query = (
        "SELECT t.tgrelid::regclass::text, t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE p.pronamespace = 'app'::regnamespace AND t.tgenabled IN ('O', 'A')"
    )
    for table, name in sorted(TRIGGERS - {tuple(row) for row in _ask(query)}):
        yield f"trigger {name} on {table} is missing"


def _granted() -> set[tuple[str, str, str]]:
    query = (
        "SELECT c.relname, CASE a.grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type"
        " FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND a.grantee <> c.relowner"
    )
    return {(table, role, command) for table, role, command in _ask(query)}


def _granted_columns() -> set[tuple[str, str, str, str]]:
    query = (
        "SELECT c.relname, CASE r.grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(r.grantee) END, r.privilege_type,"
        " a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) r"
        " WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped AND r.grantee <> c.relowner"
    )
    return {(table, role, command, column) for table, role, command, column in _ask(query)}


def _our_rights() -> Iterator[str]:
    """What our processes' roles may do: on tables, on single columns, and which functions of the wall they may call."""
    here = {right for right in _granted() if right[1] in _OURS}
    for table, role, command in sorted(here - rights()):
        yield f"{role} has {command} on {table} and should not"
    for table, role, command in sorted(rights() - here):
        yield f"{role} lacks {command} on {table}"
    columns = {right for right in _granted_columns() if right[1] in _OURS}
    for table, role, command, column in sorted(columns - column_rights()):
        yield f"{role} has {command} on {table}.{column} and should not"
    for table, role, command, column in sorted(column_rights() - columns):
        yield f"{role} lacks {command} on {table}.{column}"
    for function, roles in FUNCTION_RIGHTS.items():
        query = "SELECT r, has_function_privilege('postern_' || r, %s, 'EXECUTE') FROM unnest(ARRAY['web','sync','send']) r"
        callers = {role for role, may in _ask(query, function) if may}
        if callers != set(roles):
            yield f"{function} can be called by {', '.join(sorted(callers)) or 'nobody'}"


def _others_rights() -> Iterator[str]:
    """What somebody gave to a role that is none of ours, everybody among them."""
    for table, role, command in sorted(right for right in _granted() if right[1] not in _OURS):
        yield f"{role} has {command} on {table} and should not"
    for table, role, command, column in sorted(one for one in _granted_columns() if one[1] not in _OURS):
        yield f"{role} has {command} on {table}.{column} and should not"


def _others_code() -> Iterator[str]:
    """Functions above the wall, and views, which would read with their owner's eyes."""
    query = (
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE p.prosecdef AND n.nspname NOT IN ('app', 'pg_catalog', 'information_schema')"
    )
    for (name,) in _ask(query):
        yield f"function {name} runs with its owner's rights and is not ours"
    query = (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    for (name,) in _ask(query):
        yield f"view {name} reads past the wall and is not ours"


_OURSELVES = (_bare, _policies, _seals, _functions, _our_rights)
"""What each process makes sure of."""
