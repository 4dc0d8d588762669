"""What one test finds of another in the database: nothing. The tables are emptied, the session is as good as new.

The session itself is kept. A new one costs ten times what emptying costs, because PostgreSQL starts a process
for it that must first read about every table, index, trigger and policy.
"""

from tests import roles

_statements = ""


def remember_seed() -> None:
    """Keep a copy of the rows that migrations wrote and prepare the statement that restores that state."""
    global _statements
    from django.db import connection

    statements = ["SET LOCAL session_replication_role = replica", "SET LOCAL lock_timeout = '5s'"]
    with roles.acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA testing")
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename), tablename FROM pg_tables WHERE schemaname NOT IN"
            " ('pg_catalog', 'information_schema', 'testing') AND tablename <> 'django_migrations'"
        )
        for table, name in cursor.fetchall():
            statements.append(f"DELETE FROM {table}")
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
            if cursor.fetchone()[0]:
                cursor.execute(f"CREATE TABLE testing.{name} AS TABLE {table}")
                cursor.execute(
                    "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = %s::regclass"
                    " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                    [table],
                )
                columns = cursor.fetchone()[0]
                statements.append(
                    f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM testing.{name}"
                )
    _statements = "; ".join(statements)


def reset() -> None:
    """Bring the database back to what the migrations left. Deleting few rows is far cheaper than TRUNCATE."""
    from django.db import OperationalError, connection, transaction

    with roles.acting_as("superuser"):
        for attempt in (1, 2):
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(_statements)
                return
            except (
                OperationalError
            ):  # an earlier test's thread holds a transaction open; or this session has ended
                if attempt == 2:
                    raise
                connection.cursor().execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


def renew_session() -> None:
    """Make this thread's session as good as new; one that is broken, or in the middle of something, is closed."""
    import psycopg
    from django.db import Error, connection, connections

    if connection.connection is not None:
        try:
            with roles.acting_as("superuser"), connection.cursor() as cursor:
                cursor.execute("DISCARD ALL")  # refused inside a transaction
            connection.init_connection_state()  # Django's own settings, as after signing in
        except (Error, psycopg.Error):
            pass
        else:
            connection.errors_occurred = False
            return
    connections.close_all()
