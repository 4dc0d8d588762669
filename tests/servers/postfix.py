"""A real Postfix of our own on loopback, in front of the private Dovecot.

    with Dovecot() as imap, Postfix(imap) as smtp:
        ...    # sign in at smtp.port (STARTTLS) or smtp.tls_port with the passwords of `imap.passwords`

Mail to the users of that Dovecot lands in their INBOX. Nothing ever leaves this machine: an address
elsewhere is accepted from a signed-in sender and comes back as a bounce, as from a big relay. An unknown
name in a local domain is refused at RCPT (550); LATER is refused for now (450), FULL for good (552).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.certs import Made
from tests.servers import running
from tests.servers.dovecot import Dovecot

LATER = "later@example.test"
"""An address that is always refused with 450: try again later."""
FULL = "full@example.test"
"""An address that is always refused with 552 5.2.2: its mailbox is over quota."""
ELSEWHERE = "somebody@elsewhere.test"
"""An address outside: accepted from whoever signed in, and returned with a delivery report."""

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {sbin}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{home}/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = {size_limit}
mailbox_size_limit = 0
default_transport = outside
relay_transport = outside
bounce_queue_lifetime = 1h
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
smtpd_tls_auth_only = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = {home}/cert.pem
smtpd_tls_key_file = {home}/key.pem
smtpd_tls_CAfile =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{home}/refused
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 100
smtputf8_enable = yes
disable_dns_lookups = yes
{extra}
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{plain_port} inet n - n - - smtpd -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no -o smtpd_sasl_mechanism_filter=plain,login
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
outside unix - n n - - pipe flags= user={owner} argv=/bin/sh {home}/outside
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def available() -> str:
    """Return '' when a private Postfix can run here, else the reason why not."""
    if running.program("postfix") is None:
        return "Postfix is not installed (Debian: apt-get install postfix)"
    if os.geteuid() != 0:
        return "Postfix can only be started by root"
    return ""


class Postfix(running.Daemon):
    """A private Postfix. `port` offers STARTTLS, `tls_port` TLS from the first byte, `plain_port` no TLS.

    The first two offer every way to sign in that its Dovecot has, the last PLAIN and LOGIN alone.
    size_limit: largest letter in bytes. extra: further lines of main.cf.
    """

    name = "Postfix"
    greeting = b"220"

    def __init__(self, imap: Dovecot, *, size_limit: int = 50_000_000, extra: str = "") -> None:
        self.imap, self.size_limit, self.extra = imap, size_limit, extra
        self.host = "localhost"
        self.port, self.tls_port, self.plain_port = running.free_ports(3)

    @property
    def output(self) -> Path:
        """What its master says before there is a log."""
        return self.home / "output"

    @property
    def conf(self) -> Path:
        """The configuration directory."""
        return self.home / "conf"

    def _spawn(self) -> subprocess.Popen[bytes]:
        postfix = running.program("postfix")
        assert postfix is not None, available()
        checked = subprocess.run(
            [postfix, "-c", str(self.conf), "check"], capture_output=True, text=True, check=False
        )
        if checked.returncode != 0:
            raise RuntimeError(f"Postfix does not like its configuration: {checked.stderr}")
        # Not `postfix start-fg`: its shell would be our child and the daemon a stranger in another session.
        master = [str(Path(_daemons()) / "master"), "-c", str(self.conf), "-s"]
        return running.start(master, self.output)

    def new_certificate(self) -> Made:
        """Show another certificate of the same authority from the next connection on."""
        assert self.process is not None
        self._show(self.imap.authority.issue("localhost", running.LOOPBACK))
        self.process.send_signal(signal.SIGHUP)  # what `postfix reload` does
        time.sleep(1)
        return self.certificate

    def queued(self) -> int:
        """How many letters wait in the queue."""
        tool = running.program("postqueue") or "postqueue"
        printed = subprocess.run(
            [tool, "-c", str(self.conf), "-j"], check=True, capture_output=True, text=True
        ).stdout
        return len(printed.splitlines())

    def wait_until_delivered(self, *, seconds: float = 20) -> None:
        """Return when the queue is empty; RuntimeError when it is not in time."""
        running.wait_until(lambda: self.queued() == 0, "an empty queue", seconds=seconds, log=self.log)
        time.sleep(0.05)

    def _prepare(self) -> None:
        for name in ("conf", "queue", "data"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix")
        owner = running.mail_user()
        users = self.imap.passwords
        values = {
            "home": self.home,
            "sbin": Path(running.program("postfix") or "").parent,
            "daemons": _daemons(),
            "domains": ", ".join(sorted({user.partition("@")[2] for user in users})),
            "mail": self.imap.mail,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
            "size_limit": self.size_limit,
            "sasl": self.imap.sasl_socket,
            "extra": self.extra,
        }
        ports = {"port": self.port, "tls_port": self.tls_port, "plain_port": self.plain_port}
        names = {"owner": owner.pw_name, "home": self.home}
        (self.conf / "main.cf").write_text(MAIN.format(**values))
        (self.conf / "master.cf").write_text(MASTER.format(**ports, **names))
        (self.home / "mailboxes").write_text("".join(f"{user} {user}/\n" for user in (*users, LATER, FULL)))
        (self.home / "refused").write_text(
            f"{LATER} 450 4.2.1 Mailbox busy, try again later\n{FULL} 552 5.2.2 Mailbox full\n"
        )
        # Postfix would refuse its own `error` transport at RCPT already; the far server's no comes later.
        (self.home / "outside").write_text("echo '5.1.1 No such user at the far end'\nexit 67\n")
        self._show(self.imap.certificate)

    def _show(self, made: Made) -> None:
        self.certificate = made
        shutil.copy(made.cert_file, self.home / "cert.pem")
        shutil.copy(made.key_file, self.home / "key.pem")


def _daemons() -> str:
    tool = running.program("postconf") or "postconf"
    return subprocess.run(
        [tool, "-dh", "daemon_directory"], check=True, capture_output=True, text=True
    ).stdout.strip()
