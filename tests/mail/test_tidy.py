"""Housekeeping: what nobody needs any more goes, the rest stays; the worker reads none of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction

from postern.mail.models import Action
from postern.mail.tasks import tidy
from postern.mailboxes.models import Probe, ProbeSecret
from postern.people.models import Attempt, Staff

NOW = datetime.now(UTC)


def probe(staff: Staff, *, begun: timedelta, finished: timedelta | None) -> int:
    """A connection test of that age, with a password typed for it."""
    row = Probe.objects.create(staff=staff, kind="imap", finished_at=finished and NOW - finished)
    Probe.objects.filter(pk=row.pk).update(created_at=NOW - begun)
    ProbeSecret.objects.create(probe=row, ciphertext=b"x")
    return row.pk


def test_yesterdays_leftovers_go_and_todays_stay(db, acting_as):
    hour, days = timedelta(hours=1), timedelta(days=1)
    with acting_as("superuser"):
        staff = Staff.objects.create_staff(email="ada@example.com", name="Ada", password=None)
        running = probe(staff, begun=hour, finished=None)
        fresh = probe(staff, begun=2 * hour, finished=hour)
        probe(staff, begun=25 * hour, finished=25 * hour)
        probe(staff, begun=3 * days, finished=None)
        for age in (hour, 25 * hour):
            Attempt.objects.filter(pk=Attempt.objects.create(key=str(age)).pk).update(at=NOW - age)
            Session.objects.create(session_key=str(age), session_data="", expire_date=NOW + hour * 2 - age)
        for age in (6 * days, 8 * days):
            row = Action.objects.create(staff=staff, key="add", label=str(age.days))
            Action.objects.filter(pk=row.pk).update(created_at=NOW - age)
    with acting_as("send"):
        tidy(timestamp=0)
    with acting_as("superuser"):
        assert set(Probe.objects.values_list("pk", flat=True)) == {running, fresh}
        assert [row.probe_id for row in ProbeSecret.objects.all()] == [running]
        assert [row.key for row in Attempt.objects.all()] == [str(hour)]
        assert [row.session_key for row in Session.objects.all()] == [str(hour)]
        assert [row.label for row in Action.objects.all()] == ["6"]


@pytest.mark.parametrize("role", ["web", "sync"])
def test_only_the_job_worker_may_tidy(db, acting_as, role):
    with acting_as(role), transaction.atomic(), pytest.raises(DatabaseError, match="permission denied"):
        connection.cursor().execute("SELECT app.tidy()")


@pytest.mark.parametrize("role", ["sync", "send"])
@pytest.mark.parametrize("table", ["django_session", "people_token", "people_attempt", "mail_action"])
def test_workers_read_neither_sign_ins_nor_steps(db, acting_as, role, table):
    with acting_as("superuser"):
        staff = Staff.objects.create_staff(email="ada@example.com", name="Ada", password=None)
        Action.objects.create(staff=staff, key="add", label="x")
    with acting_as(role), transaction.atomic(), pytest.raises(DatabaseError, match="permission denied"):
        connection.cursor().execute(f"SELECT count(*) FROM {table}")
