"""No process serves or works where the privacy wall in the database is not the one of this version (S-068)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError

from postern.mail.wall import raise_wall
from postern.project import check, standing
from postern.project.commands import VERBS
from postern.project.database import DatabaseError, libpq
from tests.project.test_other_versions import MAIN, started

__all__ = ["started"]

HOLES = {
    "a table without it": ("ALTER TABLE mail_raw NO FORCE ROW LEVEL SECURITY", "table mail_raw is without"),
    "a policy that is gone": (
        "DROP POLICY web_select ON mail_body",
        "policy web_select on mail_body is miss",
    ),
    "a policy that lets more through": (
        "CREATE POLICY p ON mail_raw USING (true)",
        "policy p on mail_raw is not",
    ),
    "a condition of another version": (
        "ALTER POLICY web_select ON mail_body USING (mailbox_id IS NOT NULL)",
        "the condition of policy web_select on mail_body",
    ),
    "a function that another version lacks": (
        "DROP FUNCTION app.token(text)",
        "function app.token.* is missing",
    ),
    "a trigger switched off": (
        "ALTER TABLE outbox_delivery DISABLE TRIGGER keep_letter",
        "trigger keep_letter on outbox_delivery is missing",
    ),
    "a right too much": (
        "GRANT SELECT (ciphertext) ON mailboxes_secret TO postern_web",
        r"postern_web has SELECT on mailboxes_secret\.ciphertext",
    ),
    "a function that this version lacks": (
        "CREATE FUNCTION app.of_old() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        r"function app\.of_old\(\) is not ours",
    ),
    "a function with another result": (
        "DROP FUNCTION app.take_stock(); CREATE FUNCTION app.take_stock() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        r"function app\.take_stock\(\) was changed",
    ),
    "a function for more callers": (
        "GRANT EXECUTE ON FUNCTION app.readings(bigint) TO postern_web",
        r"app\.readings\(bigint\) can be called by web",
    ),
    "a policy where there was one once": (
        "CREATE POLICY p ON people_customer USING (true); ALTER TABLE people_customer ENABLE ROW LEVEL SECURITY",
        "policy p on people_customer is not ours",
    ),
    "a right too few": (
        "REVOKE SELECT ON mail_party FROM postern_sync",
        "postern_sync lacks SELECT on mail_party",
    ),
}
BESIDE = {
    "a table of somebody else's": ("CREATE TABLE stray (id int)", "DROP TABLE stray"),
    "a view of somebody else's": ("CREATE VIEW peep AS SELECT 1 AS one", "DROP VIEW peep"),
    "a right for everybody": (
        "GRANT SELECT ON django_migrations TO PUBLIC",
        "REVOKE SELECT ON django_migrations FROM PUBLIC",
    ),
}


@pytest.fixture
def owner(db: None) -> Iterator[psycopg.Connection]:
    """The owner of the tables, who may damage the wall; afterwards it stands again."""
    with psycopg.connect(**libpq("owner"), autocommit=True) as owner:
        yield owner
        raised(owner)


def raised(owner: psycopg.Connection) -> None:
    """What `postern migrate` does where no migration is missing."""
    with owner.transaction():
        raise_wall(owner.cursor())


@pytest.mark.rule("S-068")
@pytest.mark.parametrize("hole", HOLES)
def test_s068_no_process_starts_behind_a_wall_with_a_hole(owner, started, hole):
    damage, says = HOLES[hole]
    for statement in damage.split("; "):
        owner.execute(statement)
    for role in MAIN:
        with pytest.raises(
            DatabaseError, match=rf"privacy wall .* not the one of this version: {says}.*postern migrate"
        ):
            VERBS[role](Namespace())
    assert started == []
    raised(owner)
    VERBS["web"](Namespace())
    assert started == ["web"]


def test_the_wall_of_any_version_gives_way_to_ours_but_for_what_others_built_on_it(owner):
    owner.execute("CREATE VIEW peep AS SELECT app.me() AS me")
    try:
        with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="view peep depends on"):
            raised(owner)
    finally:
        owner.execute("DROP VIEW peep")
    raised(owner)
    standing.require_wall()


@pytest.mark.parametrize("thing", BESIDE)
def test_what_else_is_in_the_database_stops_nobody_and_check_tells_of_it(owner, started, thing):
    make, unmake = BESIDE[thing]
    owner.execute(make)
    try:
        for role in MAIN:
            VERBS[role](Namespace())
        assert started == list(MAIN)
        assert any(finding.advice for finding in check.wall_findings())
    finally:
        owner.execute(unmake)


def test_a_database_that_goes_away_meanwhile_is_told_as_that(db, monkeypatch):
    def gone() -> Iterator[str]:
        raise OperationalError("server closed the connection unexpectedly")
        yield

    monkeypatch.setattr(standing, "_OURSELVES", (gone,))
    with pytest.raises(DatabaseError, match=r"went away .* server closed"):
        standing.require_wall()
