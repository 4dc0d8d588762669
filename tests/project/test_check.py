"""`postern check` finds what is wrong and says what to do."""

import pytest
from django.db import connection, transaction

from postern.project import check
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


@pytest.mark.parametrize(
    ("damage", "look", "says"),
    [
        ("ALTER ROLE postern_web BYPASSRLS", check.database_findings, "postern_web"),
        ("ALTER TABLE mail_message NO FORCE ROW LEVEL SECURITY", check.wall_findings, "mail_message"),
        ("ALTER TABLE mail_raw DISABLE ROW LEVEL SECURITY", check.wall_findings, "mail_raw"),
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
