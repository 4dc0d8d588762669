"""A real Courier of our own on loopback, unpacked beside the system (foreign.py).

    with Courier() as server:
        server.append("marta@example.test", "INBOX.Sent", raw, flags=["\\\\Seen"], date=when)
        server.deliver("marta@example.test", raw)

Looks at mail with the same methods as Dovecot does. Every folder lies below INBOX, with a dot. No CONDSTORE, no
ESEARCH, no LITERAL+, no SPECIAL-USE, no MOVE: the plainest server that is still in use.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.servers import foreign, running
from tests.servers.looking import Looking

AUTH = """authmodulelist="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""

ENVIRONMENT = {
    "IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE",
    "IMAP_KEYWORDS": "1",
    "IMAP_ACL": "0",
    "IMAP_IDLE_TIMEOUT": "60",
    "IMAP_MAILBOX_SANITY_CHECK": "0",
    "IMAP_CHECK_ALL_FOLDERS": "0",
    "IMAP_USELOCKS": "1",
    "IMAP_ENHANCEDIDLE": "0",
    "IMAP_TRASHFOLDERNAME": "Trash",
    "IMAP_EMPTYTRASH": "",
    "IMAP_MOVE_EXPUNGE_TO_TRASH": "0",
    "MAILDIRPATH": "Maildir",
}
"""What /etc/courier/imapd sets in Debian, with a quicker IDLE and a Trash that keeps its letters."""


def available() -> str:
    """Return '' when a private Courier can run here, else the reason why not."""
    return foreign.available("courier")


class Courier(running.Daemon, Looking):
    """A private Courier, plain text on `port`."""

    name = "Courier"
    greeting = b"* OK"

    sent = "INBOX.Sent"

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.passwords = dict(running.USERS if users is None else users)
        self.host = "127.0.0.1"
        (self.port,) = running.free_ports(1)
        self.authdaemon: subprocess.Popen[bytes] | None = None
        self._hashes: dict[str, str] = {}

    def _spawn(self) -> subprocess.Popen[bytes]:
        daemon = ["/usr/lib/courier/courier-authlib/authdaemond"]
        self.authdaemon = self.room.start(daemon, self.log, {"authmodulelist": "authuserdb"})
        socket = self.room.path("/run/courier/authdaemon/socket")
        running.wait_until(socket.exists, "Courier's authdaemond", log=self.log)
        imap = ["/usr/lib/courier/courier/imaplogin", "/usr/bin/imapd", "Maildir"]
        tcpd = ["/usr/sbin/couriertcpd", "-address=127.0.0.1", "-maxprocs=100", "-maxperip=100"]
        command = [*tcpd, "-nodnslookup", "-noidentlookup", str(self.port), *imap]
        # Each imapd starts a gam_server, to be told of changes in the maildir, and forgets it.
        return self.room.start(command, self.log, ENVIRONMENT, enclosed=True)

    def stop(self) -> None:
        """Stop; every connection drops."""
        for process in (self.process, self.authdaemon):
            if process is not None:
                process.kill()  # unshare does not hear SIGTERM; Courier keeps nothing in memory
            running.stop(process)
        self.process = self.authdaemon = None

    def deliver(self, user: str, raw: bytes, *, date: datetime | None = None) -> None:
        """Put a letter into the INBOX as a mail server does."""
        name = f"{time.time_ns()}.P{os.getpid()}.tests"
        path = self._maildir(user) / "tmp" / name
        path.write_bytes(raw)
        owner = running.mail_user().pw_uid
        os.chown(path, owner, owner)
        if date is not None:
            os.utime(path, (date.timestamp(), date.timestamp()))
        path.rename(self._maildir(user) / "new" / name)

    def _maildir(self, user: str) -> Path:
        return self.room.path(f"/var/mail/{user}/Maildir")

    def _prepare(self) -> None:
        owner = running.mail_user()
        self.room = foreign.Room("courier", self.home, {"courier": owner.pw_uid})
        self.room.folder("/run/courier/authdaemon", owner.pw_uid)
        self.room.path("/etc/courier/authdaemonrc").write_text(AUTH)
        table = self.room.path("/etc/courier/userdb")
        table.touch()
        table.chmod(0o600)
        self.add_users(self.passwords)

    def add_users(self, users: Mapping[str, str]) -> None:
        """Make accounts with the usual folders."""
        self.passwords |= users
        owner = running.mail_user()
        with self.room.path("/etc/courier/userdb").open("a") as table:
            for user, password in users.items():
                home = f"/var/mail/{user}"
                table.write(
                    f"{user}\tuid={owner.pw_uid}|gid={owner.pw_gid}|home={home}|mail={home}/Maildir"
                    f"|imappw={self._hashed(password)}\n"
                )
                self._make_maildir(user, owner.pw_uid)
        self.room.run("/usr/sbin/makeuserdb")

    def _hashed(self, password: str) -> str:
        if password not in self._hashes:
            said = self.room.run("/usr/sbin/userdbpw", "-md5", feed=f"{password}\n" * 2)
            self._hashes[password] = said.strip()
        return self._hashes[password]

    def _make_maildir(self, user: str, owner: int) -> None:
        for folder in ("", ".Sent", ".Drafts", ".Trash", ".Junk"):
            for part in ("", "tmp", "new", "cur"):
                self.room.folder(f"/var/mail/{user}/Maildir/{folder}/{part}", owner, 0o700)
            if folder:
                mark = self._maildir(user) / folder / "maildirfolder"
                mark.touch()
                os.chown(mark, owner, owner)
        os.chown(self.room.path(f"/var/mail/{user}"), owner, owner)
