"""A real Cyrus of our own on loopback, unpacked beside the system (foreign.py).

    with Cyrus() as server:
        server.append("marta@example.test", "Sent", raw, flags=["\\\\Seen"], date=when)
        server.uids("marta@example.test", "INBOX")

Looks at mail with the same methods as Dovecot does. CONDSTORE, QRESYNC, ESEARCH, LIST-STATUS, MOVE, COMPRESS.
"""

from __future__ import annotations

import contextlib
import imaplib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.servers import foreign, running
from tests.servers.looking import Looking

IMAPD = """
configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
idlesocket: /run/cyrus/idle
lmtpsocket: /run/cyrus/lmtp
notifysocket: /run/cyrus/notify
admins: cyrus
virtdomains: userid
defaultdomain: localhost
unixhierarchysep: {slash}
altnamespace: {slash}
autocreate_quota: 0
autocreate_inbox_folders: Sent | Drafts | Trash | Junk
autocreate_subscribe_folders: Sent | Drafts | Trash | Junk
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
xlist-junk: Junk
specialusealways: yes
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /etc/sasldb2
syslog_prefix: cyrus
imapidlepoll: 1
failedloginpause: 0
delete_mode: immediate
expunge_mode: immediate
munge8bit: no
"""

MASTER = """
START {{
  recover cmd="ctl_cyrusdb -r"
  idled cmd="idled"
}}
SERVICES {{
  imap cmd="imapd -U 30" listen="127.0.0.1:{port}" prefork=1 maxchild=50
}}
EVENTS {{
}}
"""

BIN = "/usr/lib/cyrus/bin"


def available() -> str:
    """Return '' when a private Cyrus can run here, else the reason why not."""
    return foreign.available("cyrus")


class Cyrus(running.Daemon, Looking):
    """A private Cyrus, plain text on `port`. inbox_prefix: folders are named INBOX.Sent, as in its old days."""

    name = "Cyrus"
    greeting = b"* OK"

    def __init__(self, users: Mapping[str, str] | None = None, *, inbox_prefix: bool = False) -> None:
        self.passwords = dict(running.USERS if users is None else users)
        self.inbox_prefix = inbox_prefix
        self.sent = "INBOX.Sent" if inbox_prefix else "Sent"
        self.host = "127.0.0.1"
        (self.port,) = running.free_ports(1)
        self._met: set[str] = set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [f"{BIN}/master", "-C", "/etc/imapd.conf", "-M", "/etc/cyrus.conf", "-p", "/run/master.pid"]
        return self.room.start(command, self.log)

    @contextlib.contextmanager
    def session(
        self, user: str, folder: str | None = None, *, readonly: bool = True
    ) -> Iterator[imaplib.IMAP4]:
        """As Looking's; Cyrus makes the folders of a new user when its INBOX is opened first."""
        if user not in self._met:
            with super().session(user, "INBOX"):
                self._met.add(user)
        with super().session(user, folder, readonly=readonly) as link:
            yield link

    def reconstruct(self, user: str) -> str:
        """Read a mailbox anew from its files, as after a restore."""
        return self.room.run(f"{BIN}/reconstruct", "-C", "/etc/imapd.conf", "-r", "-u", user)

    def _prepare(self) -> None:
        owner = running.mail_user().pw_uid
        self.room = foreign.Room("cyrus", self.home, {"cyrus": owner})
        for folder in ("/var/lib/cyrus", "/var/spool/cyrus/mail", "/run/cyrus"):
            self.room.folder(folder, owner)
        for folder in ("/run/cyrus/proc", "/run/cyrus/lock", "/run/cyrus/idle.d"):
            self.room.folder(folder, owner)
        slash = "no" if self.inbox_prefix else "yes"
        self._write("etc/imapd.conf", IMAPD.format(slash=slash))
        self._write("etc/cyrus.conf", MASTER.format(port=self.port))
        self.add_users(self.passwords)
        shutil.chown(self.room.path("/etc/sasldb2"), owner, owner)

    def add_users(self, users: Mapping[str, str]) -> None:
        """Let these sign in; Cyrus makes their folders then."""
        self.passwords |= users
        add = 'while read -r name domain secret; do printf %s "$secret" | saslpasswd2 -p -c -u "$domain" "$name"; done'
        lines = [f"{u.replace('@', ' ')} {secret}\n" for u, secret in users.items()]
        self.room.run("sh", "-ec", add, feed="".join(lines))

    def _write(self, name: str, text: str) -> None:
        path = Path(self.room.root, name)
        path.write_text(text)
        path.chmod(0o644)
