"""Which PostgreSQL this installation uses, how each role signs in, and the roles themselves."""

import contextlib
import os
import pwd
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg import sql

from postern.project.embedded import PORT, ROLES, DatabaseError, Server, server_uid, socket_dir

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings of PostgreSQL that must not be off."""
MINORS = {14: 19, 15: 14, 16: 10, 17: 6}
"""Major version -> the first minor one whose row security and planner statistics have no known hole.

CVE-2025-8713 (statistics told of rows behind a policy), CVE-2024-10976 (row security below subqueries),
CVE-2024-4317 (pg_stats_ext); later majors came with the repairs.
"""
HEARD_SECONDS = 5.0
"""How long an announcement in the database may take to be heard before we say that it is not."""
POOLED = (
    "POSTERN_DATABASE_URL must name the PostgreSQL server itself: live updates (LISTEN), the lock of migrations and "
    "the role of each process need a session of their own. To let the pages go through a pooler, name that in "
    "POSTERN_POOLER_URL besides (docs/operations.md, Your PostgreSQL)."
)

__all__ = [
    "DatabaseError",
    "Server",
    "connected",
    "connection_settings",
    "data_dir",
    "external_url",
    "outdated",
    "pooler_settings",
    "pooler_url",
    "prepare",
    "require_pooler",
    "require_role",
    "undurable",
]


def external_url() -> str:
    """Return POSTERN_DATABASE_URL, '' when Postern runs its own PostgreSQL."""
    return os.environ.get("POSTERN_DATABASE_URL", "")


def pooler_url() -> str:
    """Return POSTERN_POOLER_URL: through which the pages ask the database, '' for no pooler."""
    return os.environ.get("POSTERN_POOLER_URL", "")


def data_dir() -> Path:
    """Return the directory of everything this installation stores on disk, absolute."""
    chosen = os.environ.get("POSTERN_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:  # root's home is closed to the unprivileged user that PostgreSQL runs as
        return Path("/var/lib/postern")
    share = os.environ.get("XDG_DATA_HOME")
    return (Path(share) if share else Path.home() / ".local" / "share") / "postern"


def connection_settings(role: str) -> dict[str, Any]:
    """Return Django's connection parameters for the role web, sync, send, owner or superuser.

    Reads POSTERN_DATABASE_URL (any PostgreSQL 15 or newer; the role is taken on at sign-in) or names the
    socket of the embedded server. Raises DatabaseError for an unknown role or an unusable address.
    """
    if role not in (*ROLES, "superuser"):
        raise DatabaseError(f"POSTERN_ROLE must be one of {', '.join(ROLES)}, not {role!r}")
    url = external_url()
    return _external(url, role) if url else _embedded(role)


def pooler_settings() -> dict[str, Any]:
    """Return Django's connection parameters of the pages through POSTERN_POOLER_URL.

    No role is asked for: its user is a member of postern_web and of nothing else (`require_pooler`), so the row
    policies hold whatever the pooler resets. Raises DatabaseError for an unusable address.
    """
    if not external_url():
        raise DatabaseError(
            "POSTERN_POOLER_URL is for your own PostgreSQL: set POSTERN_DATABASE_URL as well."
        )
    found = _external(pooler_url(), "superuser")
    # A cursor of the server lives in one session, and the next statement may meet another (PgBouncer's docs).
    return found | {"DISABLE_SERVER_SIDE_CURSORS": True}


def _embedded(role: str) -> dict[str, Any]:
    where = data_dir()
    directory = socket_dir(where)
    options: dict[str, Any] = {"connect_timeout": 10}
    if directory.parent != where:  # below /tmp anybody could have been first: check who answers
        options["requirepeer"] = pwd.getpwuid(server_uid(where)).pw_name
    user = "postgres" if role == "superuser" else f"postern_{role}"
    return _settings(name="postern", user=user, host=str(directory), port=str(PORT), options=options)


def _external(url: str, role: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in ("postgres", "postgresql") or not name:
        raise DatabaseError(
            "POSTERN_DATABASE_URL and POSTERN_POOLER_URL must look like postgresql://user:password@host:5432/name"
        )
    options = {"connect_timeout": 10, **query}
    if role != "superuser":
        options["options"] = f"{query.get('options', '')} -c role=postern_{role}".strip()
    host = query.pop("host", None) or unquote(
        parts.hostname or ""
    )  # ?host=/socket/directory, as libpq has it
    options.pop("host", None)
    return _settings(
        name=name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=host,
        port=str(parts.port or query.get("port") or PORT),
        options={key: value for key, value in options.items() if key != "port"},
    )


def _settings(
    *, name: str, user: str, host: str, port: str, options: dict[str, Any], password: str = ""
) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
    }


def libpq(role: str) -> dict[str, Any]:
    """Return the same as connection_settings in libpq's words, for psycopg.connect."""
    return _in_libpqs_words(connection_settings(role))


def _in_libpqs_words(django: dict[str, Any]) -> dict[str, Any]:
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    options: dict[str, Any] = django["OPTIONS"]
    return {key: django[name] for key, name in names.items() if django[name]} | options


def undurable() -> list[str]:
    """Return the server's settings under which a crash would lose mail that was acknowledged (R-011)."""
    query = "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off' ORDER BY name"
    with psycopg.connect(**libpq("sync")) as db:
        return [name for (name,) in db.execute(query, [list(DURABLE)])]


def outdated(version: int) -> str:
    """Return what to do about a server of this number (server_version_num), '' when it has no known hole (S-074)."""
    major, minor = divmod(version, 10_000)
    first = MINORS.get(major, 0)
    if minor >= first:
        return ""
    return (
        f"Update it to {major}.{first} or newer: PostgreSQL {major}.{minor} has known holes in row security, on which "
        "the privacy wall stands. A minor update needs no dump and no change of the data: install it and restart the "
        "server."
    )


def server_version() -> int:
    """Return the running server's number, as 150014 for 15.14."""
    with psycopg.connect(**libpq("web")) as db:
        return db.info.server_version


def require_role(role: str) -> None:
    """Make sure that the database takes our connections for the role web, sync, send or owner, and lets us listen.

    An external server is told the role by libpq's `options`. PgBouncer 1.18 refuses those, and leaves them out
    unsaid where it has `ignore_startup_parameters = options`: then no row policy would hold. One that pools by
    transaction takes LISTEN and never delivers anything. Raises DatabaseError.
    """
    with connected(libpq(role)) as db, connected(libpq(role)) as other:
        (user,) = db.execute("SELECT current_user").fetchone() or ("",)
        if user != f"postern_{role}":
            raise DatabaseError(
                f"The database takes Postern for {user}, not for postern_{role}, so its row policies would not "
                f"hold. {POOLED}"
            )
        if not _heard(db, other):
            raise DatabaseError(
                "What is announced in the database (NOTIFY) is not heard (LISTEN), as through a pooler that pools by "
                f"transaction: new mail would not be told, nor errands begun. {POOLED}"
            )


def require_pooler() -> None:
    """Make sure that POSTERN_POOLER_URL's user is a member of postern_web and of nothing above it.

    A pooler may hand a session that was reset to somebody else: what its user is, not what a session was set to,
    must keep the wall. Raises DatabaseError.
    """
    ours = [f"postern_{role}" for role in ROLES if role != "web"]
    query = (
        "SELECT session_user, pg_has_role(session_user, 'postern_web', 'USAGE'), rolsuper OR rolbypassrls OR"
        " EXISTS (SELECT FROM pg_roles o WHERE o.rolname = ANY (%s) AND pg_has_role(session_user, o.oid, 'MEMBER'))"
        " FROM pg_roles WHERE rolname = session_user"
    )
    with connected(_in_libpqs_words(pooler_settings()), prepare_threshold=None) as db:
        user, member, more = db.execute(query, [ours]).fetchone() or ("", False, True)
    if more or not member:
        raise DatabaseError(
            f"POSTERN_POOLER_URL reaches the database as {user}, who is {'more than' if more else 'not'} a member of "
            "postern_web, so the row policies would not hold. Give the pooler a user of its own:\n"
            "  CREATE ROLE postern_pool LOGIN PASSWORD '…' IN ROLE postern_web;"
        )


@contextlib.contextmanager
def connected(parameters: dict[str, Any], **more: Any) -> Iterator[psycopg.Connection[Any]]:
    """A connection, until it is left. Raises psycopg.OperationalError, and DatabaseError for a pooler in the way."""
    try:
        db = psycopg.connect(**parameters, **more, autocommit=True)
    except psycopg.OperationalError as error:
        if "startup parameter" not in str(error):
            raise
        raise DatabaseError(
            f"The database refuses to be told the role of a process: {error}. {POOLED}"
        ) from error
    with db:
        yield db


def _heard(db: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Whether an announcement made in one session reaches another."""
    channel = sql.Identifier(f"postern_heard_{secrets.token_hex(8)}")
    db.execute(sql.SQL("LISTEN {}").format(channel))
    other.execute(sql.SQL("NOTIFY {}").format(channel))
    return any(True for _ in db.notifies(timeout=HEARD_SECONDS, stop_after=1))


def prepare(server: Server | None = None) -> None:
    """Create the roles and the database where they are missing; safe to repeat.

    With `server`: the embedded one. Without: POSTERN_DATABASE_URL, whose user needs CREATEROLE once; where
    it lacks that, DatabaseError names the statements to run by hand.
    """
    if server is None:
        _prepare_external()
        return
    with psycopg.connect(**server.dsn("superuser", "postgres"), autocommit=True) as db:
        for role in ROLES:
            _create_role(db, f"postern_{role}", login=True)
        if db.execute("SELECT 1 FROM pg_database WHERE datname = 'postern'").fetchone() is None:
            db.execute("CREATE DATABASE postern OWNER postern_owner")
        db.execute("REVOKE ALL ON DATABASE postern FROM public")
        db.execute("GRANT CONNECT, TEMPORARY ON DATABASE postern TO postern_web, postern_sync, postern_send")


def _create_role(db: psycopg.Connection[Any], name: str, *, login: bool) -> None:
    if db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
        db.execute(
            sql.SQL("CREATE ROLE {} {} NOSUPERUSER NOCREATEDB NOCREATEROLE").format(
                sql.Identifier(name), sql.SQL("LOGIN" if login else "NOLOGIN")
            )
        )


def role_statements(user: str, name: str) -> list[str]:
    """Return the SQL that an administrator of an external server runs once for `user` and database `name`."""
    roles = [f"postern_{role}" for role in ROLES]
    return [
        *(f"CREATE ROLE {role} NOLOGIN;" for role in roles),
        f'GRANT {", ".join(roles)} TO "{user}";',
        f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {", ".join(roles)};',
        f'GRANT CREATE ON DATABASE "{name}" TO postern_owner;',
        "GRANT USAGE, CREATE ON SCHEMA public TO postern_owner;",
    ]


def _prepare_external() -> None:
    with psycopg.connect(**libpq("superuser"), autocommit=True) as db:
        version = db.info.server_version
        if version < 150000:
            raise DatabaseError(f"PostgreSQL 15 or newer is needed; this server is {version // 10000}")
        try:
            for role in ROLES:
                _create_role(db, f"postern_{role}", login=False)
            for statement in role_statements(db.info.user, db.info.dbname)[len(ROLES) :]:
                db.execute(sql.SQL(statement))
        except psycopg.errors.InsufficientPrivilege as error:
            if not _may_use_roles(db):
                by_hand = "\n".join(role_statements(db.info.user, db.info.dbname))
                raise DatabaseError(
                    f"{error}Run this once as the server's administrator:\n{by_hand}"
                ) from error


def _may_use_roles(db: psycopg.Connection[Any]) -> bool:
    """True when somebody already set the roles up for the user we sign in as."""
    names = [f"postern_{role}" for role in ROLES]
    query = "SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(oid, 'MEMBER')"
    row = db.execute(query, [names]).fetchone()
    return row is not None and row[0] == len(names)
