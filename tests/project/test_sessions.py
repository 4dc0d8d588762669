"""What Postern asks of the database's sessions before it starts: the role, that it can listen, and no known holes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from postern.project import check, database, processes
from postern.project.database import DatabaseError, libpq, outdated, require_pooler, require_role
from tests.privacy.pooled import PROGRAM, pgbouncer
from tests.privacy.served import url_of

needs_pgbouncer = pytest.mark.skipif(
    not PROGRAM, reason="PGBOUNCER IS NOT INSTALLED (apt-get install pgbouncer): poolers are untested"
)


@pytest.mark.rule("S-074")
@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        (140018, "14.19"), (140019, ""), (150000, "15.14"), (150013, "15.14"), (150014, ""), (150018, ""),
        (160009, "16.10"), (160010, ""), (170005, "17.6"), (170006, ""), (180000, ""), (190001, ""),
    ],
)  # fmt: skip
def test_s074_a_server_with_known_holes_in_row_security_is_named_with_what_to_do(version, wanted):
    told = outdated(version)
    assert bool(told) == bool(wanted)
    if wanted:
        assert f"Update it to {wanted} or newer" in told and "restart the server" in told


@pytest.mark.rule("S-074")
def test_s074_the_start_says_so_loudly_and_check_ends_with_a_fault(db, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        processes.warn_of_the_server()
        assert "known holes" not in caplog.text
        monkeypatch.setattr(processes, "server_version", lambda: 150013)
        processes.warn_of_the_server()
    assert "Update it to 15.14 or newer: PostgreSQL 15.13 has known holes" in caplog.text
    monkeypatch.setitem(database.MINORS, database.server_version() // 10_000, 9_999)
    faults = [one for one in check.database_findings() if "holes" in one.advice]
    assert len(faults) == 1 and " PostgreSQL " in faults[0].what


def test_our_own_server_is_sound(db):
    for role in ("owner", "web", "sync", "send"):
        require_role(role)
    assert not [one for one in check.session_findings() if one.advice]


@pytest.fixture(scope="module")
def pool(database: None) -> Iterator[dict[str, Any]]:
    """PgBouncer in transaction mode, which signs in as a superuser and then takes on the role."""
    with pgbouncer(libpq("superuser")) as parameters:
        yield parameters


@needs_pgbouncer
@pytest.mark.rule("S-070")
def test_s070_a_pooler_in_place_of_the_server_is_refused_with_the_setting_that_is_for_it(
    db, pool, monkeypatch
):
    asked = {**pool, "options": "-c role=postern_web"}
    monkeypatch.setattr(database, "libpq", lambda role: asked)
    with pytest.raises(DatabaseError, match=r"refuses to be told the role.*POSTERN_POOLER_URL"):
        require_role("web")
    [finding] = check.session_findings()
    assert "POSTERN_POOLER_URL" in finding.advice
    assert list(check.look())[-1] == finding, "nothing is asked of a server that cannot be reached as itself"


@needs_pgbouncer
@pytest.mark.rule("S-070")
def test_s070_where_nothing_is_heard_nothing_starts(db, pool, monkeypatch):
    """LISTEN is taken without a word there; the role is the right one, by the pooler's own settings."""
    monkeypatch.setattr(database, "libpq", lambda role: pool)
    monkeypatch.setattr(database, "HEARD_SECONDS", 0.5)
    with pytest.raises(DatabaseError, match=r"is not heard \(LISTEN\).*POSTERN_POOLER_URL"):
        require_role("web")


@needs_pgbouncer
@pytest.mark.rule("S-070")
def test_s070_a_pooler_whose_user_is_more_than_the_pages_is_refused(db, pool, monkeypatch):
    """It was told the role at sign-in; a session that the pooler resets would be the superuser's."""
    monkeypatch.setenv("POSTERN_DATABASE_URL", "postgresql://app@db.example/postern")
    monkeypatch.setenv("POSTERN_POOLER_URL", url_of(pool))
    with pytest.raises(DatabaseError, match="more than a member of postern_web"):
        require_pooler()
    [finding] = check.pooler_findings()
    assert "CREATE ROLE postern_pool LOGIN" in finding.advice
    monkeypatch.setattr(check, "session_findings", lambda: iter(()))
    assert list(check.look())[-1] == finding, "nor is anything asked through such a pooler"


def test_a_pooler_without_a_server_of_ones_own_is_refused(monkeypatch):
    monkeypatch.delenv("POSTERN_DATABASE_URL", raising=False)
    monkeypatch.setenv("POSTERN_POOLER_URL", "postgresql://pool@pool.example/postern")
    with pytest.raises(DatabaseError, match="set POSTERN_DATABASE_URL as well"):
        require_pooler()
    monkeypatch.delenv("POSTERN_POOLER_URL")
    assert list(check.pooler_findings()) == []
