"""Secrets that were typed are searched for wherever somebody may look later, in every shape (S-092)."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postern.project import backup, pgbinaries
from postern.project.database import libpq
from tests.canary import leaks
from tests.web.browser import Browser
from tests.world import make_world

IMAP, SMTP = "imap-Canary/+7 & ü", "smtp-Canary/+8 & ü"
SYSTEM, PROBE, SIGN_IN = "system-Canary/+9 & ü", "probe-Canary/+10 & ü", "sign-in-Canary/+11 & ü"
USER = "canary-user"
SETTINGS = {
    "address": "owner@isp.example",
    "imap_username": USER,
    "imap_password": IMAP,
    "imap_host": "127.0.0.1",
    "imap_port": "993",
    "imap_security": "ssl",
    "smtp_host": "127.0.0.1",
    "smtp_port": "465",
    "smtp_security": "ssl",
    "smtp_auth": "plain",
    "smtp_username": USER,
    "smtp_password": SMTP,
    "process": "all",
    "sending": "on",
    "tracking": "on",
}
OFFICE = {
    "sender_email": "office@isp.example",
    "smtp_host": "127.0.0.1",
    "smtp_port": "465",
    "smtp_security": "ssl",
    "smtp_auth": "plain",
    "smtp_username": USER,
    "smtp_password": SYSTEM,
    "hourly_limit": "0",
    "sending": "on",
}
PAGES = ("/profile/", "/profile/email/", "/messages/inbox/", "/config/email/", "/config/administrators/")


@pytest.fixture
def typed(db: None, acting_as: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """Every secret typed once rightly and once wrongly; returns the log, all answers, and the token that was made."""
    from postern.people.models import Staff

    caplog.set_level(logging.DEBUG)
    world = make_world(acting_as)
    with acting_as("superuser"):
        for staff in (world.owner, world.boss):
            row = Staff.objects.get(pk=staff.pk)
            row.set_password(SIGN_IN)
            row.save(update_fields=["password"])
    owner, boss = (Browser(raise_request_exception=False) for _ in range(2))
    answers = [
        owner.post("/sign-in/", {"email": "nobody@isp.example", "password": SIGN_IN}),
        owner.post("/sign-in/", {"email": "owner@isp.example", "password": SIGN_IN}),
        boss.post("/sign-in/", {"email": "boss@isp.example", "password": SIGN_IN}),
        owner.post("/profile/email/", SETTINGS | {"imap_port": "70000"}),
        owner.post("/profile/email/", SETTINGS | {"address": "no address"}),
        owner.post("/profile/email/", SETTINGS),
        owner.post("/profile/email/test/", SETTINGS | {"probe": "imap", "imap_password": PROBE}),
        boss.post("/config/email/", OFFICE | {"smtp_port": "x"}),
        boss.post("/config/email/", OFFICE),
    ]
    made = owner.post("/profile/tokens/", {"name": "script"}).content.decode()
    token = "postern_" + made.split("postern_")[1].split("<")[0]
    answers += [client.get(page) for client in (owner, boss) for page in PAGES]
    headers = {"Authorization": f"Bearer {token}"}
    answers += [
        owner.get(f"/api/v1/{path}", headers=headers) for path in ("me", "mailboxes", "tokens", "system-smtp")
    ]
    monkeypatch.setattr("postern.web.profile.email.save_mailbox", _breaks)
    broken = owner.post("/profile/email/", SETTINGS)
    assert broken.status_code == 500
    return caplog.text, [*answers, broken], token


def _breaks(**said: Any) -> None:
    raise RuntimeError("a fault of ours")


def nothing_of(text: str | bytes, *secrets: str) -> None:
    for secret in secrets:
        assert not leaks(secret, text, USER, "owner@isp.example"), secret


@pytest.mark.rule("S-092")
def test_s092_no_secret_is_in_a_page_a_log_the_tables_the_jobs_or_a_backup(
    typed, caplog, tmp_path, place: Path
):
    logged, answers, token = typed
    secrets = (IMAP, SMTP, SYSTEM, PROBE, SIGN_IN, token)
    assert {answer.status_code for answer in answers} >= {200, 302, 422, 500}
    for answer in answers:
        head = json.dumps(dict(answer.items()))
        nothing_of(answer.content + head.encode() + str(answer.cookies).encode(), *secrets)
    assert "a fault of ours" in logged
    nothing_of(logged, *secrets)
    with psycopg.connect(**libpq("superuser")) as database:
        tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = database.execute(f"SELECT t::text FROM {table} t").fetchall()
            nothing_of("\n".join(text for (text,) in rows), *secrets)
        assert database.execute("SELECT count(*) FROM mailboxes_secret").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM mailboxes_probesecret").fetchone() == (1,)
    file = place / "postern.backup"
    backup.dump(file)
    program = str(pgbinaries.client(None) / "pg_restore")
    dumped = subprocess.run([program, "--file=-", str(file)], capture_output=True, check=True).stdout
    assert b"canary-user" in dumped, "the backup holds the rows"
    nothing_of(dumped, *secrets)
    nothing_of(dumped, *(line for line in Path(_key_file()).read_text().split()))


def _key_file() -> str:
    from django.conf import settings

    return str(settings.KEY_FILE)
