"""`postern check` finds what is wrong and says what to do."""

from argparse import Namespace

import pytest
from django.db import connection, transaction

from postern.project import check, database
from postern.project.keyfile import ensure_key_file


def faults(findings) -> str:
    """The findings that need something done, as one text."""
    return "\n".join(f"{f.what}: {f.advice}" for f in findings if f.advice)


def test_a_fresh_key_file_is_closed_kept_and_in_order(place):
    path = place / "config" / "secret.key"
    assert ensure_key_file(path)
    before = path.read_text()
    assert not ensure_key_file(path)
    assert path.read_text() == before and len(before.strip()) == 64
    assert not faults(check.key_findings(path, place / "data"))


def test_a_missing_open_or_misplaced_key_file_is_a_fault(place):
    path = place / "data" / "secret.key"
    assert "no key file" in faults(check.key_findings(path, place))
    ensure_key_file(path)
    assert "in the data directory" in faults(check.key_findings(path, place / "data"))
    path.chmod(0o644)
    assert f"chmod 600 {path}" in faults(check.key_findings(path, place / "elsewhere"))


@pytest.mark.parametrize(
    ("listen", "fault"), [("127.0.0.1:8000", False), ("0.0.0.0:8000", True), ("x", True)]
)
def test_where_it_listens(listen, fault, monkeypatch):
    monkeypatch.setenv("POSTERN_LISTEN", listen)
    monkeypatch.delenv("POSTERN_BEHIND_TLS_PROXY", raising=False)
    assert bool(check.listen_finding().advice) == fault


def test_the_test_cluster_is_sound_but_for_its_durability(db):
    found = faults([*check.database_findings(), check.migration_finding(), *check.wall_findings()])
    assert {line.split(" = ")[0] for line in found.splitlines()} <= {
        "fsync",
        "full_page_writes",
        "synchronous_commit",
    }


@pytest.mark.rule("S-068")
def test_a_connection_that_is_not_the_roles_own_is_refused(db, monkeypatch):
    for role in ("web", "sync", "send"):
        database.require_role(role)
    alike = database.libpq("superuser")
    monkeypatch.setattr(database, "libpq", lambda role: alike)
    with pytest.raises(database.DatabaseError, match="not for postern_web"):
        database.require_role("web")


@pytest.mark.rule("S-068")
@pytest.mark.rule("S-072")
@pytest.mark.parametrize(
    ("damage", "look", "says"),
    [
        ("ALTER ROLE postern_web BYPASSRLS", check.database_findings, "postern_web"),
        ("ALTER TABLE mail_message NO FORCE ROW LEVEL SECURITY", check.wall_findings, "mail_message"),
        ("ALTER TABLE mail_raw DISABLE ROW LEVEL SECURITY", check.wall_findings, "mail_raw"),
        (
            "DROP POLICY web_select ON mail_body",
            check.wall_findings,
            "policy web_select on mail_body is missing",
        ),
        ("ALTER POLICY web_select ON mail_body USING (true)", check.wall_findings, "web_select on mail_body"),
        (
            "ALTER POLICY web_select ON mail_body USING (mailbox_id IS NOT NULL)",
            check.wall_findings,
            "the condition of policy web_select on mail_body",
        ),
        (
            "CREATE OR REPLACE FUNCTION app.is_super() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER"
            " SET search_path = public, pg_temp AS 'SELECT true'",
            check.wall_findings,
            "function app.is_super() was changed",
        ),
        (
            "DROP TRIGGER keep_letter ON outbox_delivery",
            check.wall_findings,
            "trigger keep_letter on outbox_delivery is missing",
        ),
        (
            "ALTER TABLE mail_message DISABLE TRIGGER follow_message",
            check.wall_findings,
            "trigger follow_message on mail_message is missing",
        ),
        (
            "CREATE FUNCTION app.more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            check.wall_findings,
            "function app.more() is not ours",
        ),
        (
            "CREATE FUNCTION more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            check.wall_findings,
            "function more() runs with its owner's rights",
        ),
        ("CREATE VIEW peep AS SELECT * FROM mail_body", check.wall_findings, "view peep reads past the wall"),
        (
            "CREATE MATERIALIZED VIEW app.peep AS SELECT * FROM mail_body",
            check.wall_findings,
            "view peep reads past the wall",
        ),
        ("CREATE POLICY p ON mail_raw USING (true)", check.wall_findings, "policy p on mail_raw is not ours"),
        ("GRANT SELECT ON mail_raw TO public", check.wall_findings, "everybody has SELECT on mail_raw"),
        (
            "GRANT DELETE ON mail_raw TO postern_web",
            check.wall_findings,
            "postern_web has DELETE on mail_raw",
        ),
        ("REVOKE SELECT ON people_staff FROM postern_web", check.wall_findings, "postern_web lacks SELECT"),
        ("GRANT SELECT ON procrastinate_jobs TO postern_web", check.wall_findings, "procrastinate_jobs"),
        (
            "GRANT SELECT (ciphertext) ON mailboxes_secret TO postern_web",
            check.wall_findings,
            "postern_web has SELECT on mailboxes_secret.ciphertext and should not",
        ),
        (
            "GRANT UPDATE (customers_only) ON mailboxes_reader TO postern_sync",
            check.wall_findings,
            "postern_sync has UPDATE on mailboxes_reader.customers_only and should not",
        ),
        (
            "REVOKE UPDATE (mailed_at) ON people_notice FROM postern_send",
            check.wall_findings,
            "postern_send lacks UPDATE on people_notice.mailed_at",
        ),
        ("GRANT EXECUTE ON FUNCTION app.readings(bigint) TO public", check.wall_findings, "app.readings"),
        ("CREATE TABLE stray (id int)", check.wall_findings, "table stray: nothing says"),
        (
            "GRANT postern_owner TO postern_web",
            check.database_findings,
            "postern_web may become postern_owner",
        ),
        (
            "DELETE FROM django_migrations WHERE app = 'mail'",
            lambda: [check.migration_finding()],
            "postern migrate",
        ),
    ],
)
def test_damage_is_a_fault(db, acting_as, damage, look, says):
    with acting_as("superuser"), transaction.atomic():
        connection.cursor().execute(damage)
        assert says in faults(look())
        transaction.set_rollback(True)
    assert says not in faults(look())


def test_an_old_library_and_open_debugging_are_faults(monkeypatch, settings_debug):
    assert not faults(check.program_findings())
    monkeypatch.setattr(check, "installed", lambda name: "5.1.1")
    settings_debug(True)
    assert "aiosmtplib 5.1.2" in faults(check.program_findings())
    assert "DEBUG is on" in faults(check.program_findings())


@pytest.fixture
def settings_debug(monkeypatch):
    from django.conf import settings

    return lambda value: monkeypatch.setattr(settings, "DEBUG", value)


def test_each_finding_is_one_line_and_faults_end_with_1(monkeypatch, capsys):
    sound, fault = check.Finding("fsync = on"), check.Finding("fsync = off", "Set fsync = on.")
    monkeypatch.setattr(check, "look", lambda: [sound, fault])
    assert check.check(Namespace()) == 1
    assert capsys.readouterr().out.splitlines() == [
        "  ok    fsync = on",
        "  FAULT fsync = off. Set fsync = on.",
        "1 fault",
    ]
    monkeypatch.setattr(check, "look", lambda: [sound])
    assert check.check(Namespace()) == 0
    assert "sound" in capsys.readouterr().out


@pytest.mark.rule("R-011")
@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_would_lose_mail_in_a_crash_is_a_fault(name, monkeypatch):
    class Cursor:
        def __enter__(self):
            return self

        def __exit__(self, *error): ...
        def execute(self, query, values=()):
            self.asked = (query, values)

        def fetchone(self):
            query, values = self.asked
            return ("18.0", 180000) if "server_version" in query else ["off" if name in values else "on"]

        def fetchall(self):
            return []

    monkeypatch.setattr(check.connection, "cursor", Cursor)
    assert faults(check.database_findings()) == f"{name} = off: Set {name} = on: a crash would lose mail."
