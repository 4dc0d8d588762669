"""A password that was changed at the provider: three tries in all, so that nothing there bans us (R-034)."""

import asyncio
import contextlib
import imaplib
import os
import re
import subprocess
import time
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta

import pytest

from postern.mailboxes.models import Lease
from tests.servers import foreign
from tests.servers.running import wait_until

from .box import USER, make_box
from .teller import Teller
from .test_supervisor import supervising
from .test_watcher import in_sync, until

pytestmark = pytest.mark.rule("R-034")


class Fail2ban:
    """Debian's package, unpacked aside: its own filter reads the log, its own jail says how many failures are too many."""

    def __init__(self):
        self.tree = foreign.cache() / "fail2ban"
        jail = ConfigParser(interpolation=None, strict=False)
        jail.read(self.tree / "etc/fail2ban/jail.conf")
        self.maxretry = jail.getint("DEFAULT", "maxretry")

    def failures(self, lines, path):
        """How many failed sign-ins it sees in lines of Dovecot's log."""
        path.write_text("\n".join(lines) + "\n")
        program = [self.tree / "usr/bin/fail2ban-regex", "-c", self.tree / "etc/fail2ban", path, "dovecot"]
        libraries = {"PYTHONPATH": str(self.tree / "usr/lib/python3/dist-packages")}
        done = subprocess.run(
            ["/usr/bin/python3", *program],
            env=os.environ | libraries,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(re.search(r"(\d+) matched", done.stdout)[1])


@pytest.fixture
def fail2ban():
    if reason := foreign.available("fail2ban"):
        pytest.skip(reason)
    return Fail2ban()


@pytest.fixture
def changed(dovecot):
    """The password is another now; gives the lines that Dovecot logged since."""
    before = len(dovecot.log.read_text().splitlines())
    dovecot.set_password(USER, "changed-at-the-provider")
    time.sleep(1.1)
    yield lambda: dovecot.log.read_text().splitlines()[before:]
    dovecot.set_password(USER, "marta-secret-1")
    time.sleep(1.1)


@pytest.mark.dovecot
def test_fail2ban_would_not_ban_us(box, dovecot, changed, fail2ban, acting_as, monkeypatch, tmp_path):
    """Through restarts and "Check for mail", which would like to sign in."""
    monkeypatch.setattr("postern.sync.backoff.PASSWORD_SECONDS", (0.05, 0.05))

    async def a_process():
        async with supervising() as supervisor:
            await until(lambda: given_up(supervisor), 40)
        assert await asyncio.to_thread(lambda: box.health.state) == "password_rejected"

    def given_up(supervisor):
        for watcher, _ in list(supervisor._watchers.values()):
            watcher.wake.set()  # “Check for mail”
        return Lease.objects.filter(not_before__gt=datetime.now(UTC) + timedelta(minutes=30)).exists()

    for _ in range(3):
        asyncio.run(a_process())
        with acting_as("superuser"):
            Lease.objects.all().delete()  # an hour later somebody looks again
    failures = fail2ban.failures(changed(), tmp_path / "log")
    assert failures == 3 < fail2ban.maxretry


@pytest.mark.dovecot
def test_fail2ban_would_ban_whoever_goes_on(dovecot, changed, fail2ban, tmp_path):
    """What the test above holds itself against: the filter does see each failure in this log."""
    for _ in range(fail2ban.maxretry):
        link = imaplib.IMAP4("127.0.0.1", dovecot.port)
        with contextlib.suppress(imaplib.IMAP4.error):
            link.login(USER, "marta-secret-1")
        link.shutdown()
    wait_until(
        lambda: fail2ban.failures(changed(), tmp_path / "log") >= fail2ban.maxretry, "the failures in the log"
    )


@pytest.mark.parametrize("words", [b"NO", b"NO nothing to explain", b"NO [AUTHENTICATIONFAILED] wrong"])
def test_a_plain_no_counts_as_a_refused_password(db, acting_as, monkeypatch, words):
    from django.conf import settings

    monkeypatch.setattr(settings, "MAIL_HOSTS", "127.0.0.1")
    monkeypatch.setattr("postern.sync.backoff.PASSWORD_SECONDS", (0.05, 0.05))
    server = Teller(refused={"LOGIN": words})
    box = make_box(server, host="127.0.0.1")

    async def story():
        async with server.running():
            async with box.watched() as watcher:
                await until(lambda: watcher.gave_up)
                await asyncio.sleep(0.3)
            async with box.watched():
                await asyncio.sleep(0.3)
            assert server.asked["LOGIN"] == 3
            assert await asyncio.to_thread(lambda: box.health.state) == "password_rejected"
            server.refused = {}
            await asyncio.to_thread(box.change, settings_version=2)
            async with box.watched():
                await until(in_sync(box))

    with acting_as("sync"):
        asyncio.run(story())
