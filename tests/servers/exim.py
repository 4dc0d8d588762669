"""A real Exim of our own on loopback, unpacked beside the system (foreign.py). Nothing ever leaves this machine.

    with Exim(size_limit=200_000, eight_bit=False, utf8=False) as server:
        ...    # server.port (STARTTLS offered), sign-in with server.passwords (PLAIN, only after STARTTLS)
        server.received("marta@example.test")

An unknown name in a local domain is refused at RCPT (550), LATER for now (450), FULL because of a quota (452).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

from tests.certs import Authority
from tests.servers import foreign, running

LATER = "later@example.test"
FULL = "full@example.test"

CONFIG = r"""
primary_hostname = mail.example.test
domainlist local_domains = {domains}
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6
exim_user = {owner}
exim_group = {owner}
never_users =
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_mail = accept
acl_smtp_rcpt = check
acl_smtp_data = accept
message_size_limit = {size_limit}
accept_8bitmime = {eight_bit}
smtputf8_advertise_hosts = {utf8}
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
smtp_accept_max = 50
smtp_enforce_sync = false
log_file_path = /var/log/exim4/%slog
keep_environment =

begin acl
check:
  defer   recipients = {later}
          message = Mailbox busy, try again later
  defer   recipients = {full}
          message = 452 4.2.2 Mailbox full
  deny    domains = +local_domains
          !local_parts = {names}
          message = Unknown user
  accept

begin routers
here:
  driver = accept
  domains = +local_domains
  transport = maildir
nowhere:
  driver = redirect
  data = :fail: No such user at the far end
  allow_fail

begin transports
maildir:
  driver = appendfile
  directory = /var/mail/${{lookup{{$local_part@$domain}}lsearch,ret=key{{/etc/exim4/passwords}}}}
  create_directory
  maildir_format
  user = {owner}
  group = {owner}

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{/etc/exim4/passwords}}}}}}}}
  server_set_id = $auth2
"""


def available() -> str:
    """Return '' when a private Exim can run here, else the reason why not."""
    return foreign.available("exim")


class Exim(running.Daemon):
    """A private Exim. size_limit in bytes; eight_bit and utf8 switch 8BITMIME and SMTPUTF8 on."""

    name = "Exim"
    greeting = b"220"

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        size_limit: int = 50_000_000,
        eight_bit: bool = True,
        utf8: bool = True,
    ) -> None:
        self.passwords = dict(running.USERS if users is None else users)
        self.size_limit, self.eight_bit, self.utf8 = size_limit, eight_bit, utf8
        self.host = "localhost"
        (self.port,) = running.free_ports(1)

    def _spawn(self) -> subprocess.Popen[bytes]:
        return self.room.start(["/usr/sbin/exim4", "-bdf"], self.log)

    def received(self, user: str) -> list[bytes]:
        """The letters in a user's box, as they were stored."""
        return foreign.maildir(self.room.path(f"/var/mail/{user}"))

    def _prepare(self) -> None:
        owner = running.mail_user().pw_uid
        self.room = foreign.Room("exim", self.home, {"Debian-exim": owner})
        for folder in ("/var/spool/exim4", "/var/log/exim4", "/var/mail"):
            self.room.folder(folder, owner)
        self.authority = Authority(self.home)
        place = self.room.path("/etc/exim4")
        place.mkdir(exist_ok=True)
        made = self.authority.issue("localhost", running.LOOPBACK)
        shutil.copy(made.cert_file, place / "cert.pem")
        shutil.copy(made.key_file, place / "key.pem")
        (place / "passwords").write_text("".join(f'"{u}": {p}\n' for u, p in self.passwords.items()))
        (place / "exim4.conf").write_text(self._settings())
        for name in ("cert.pem", "key.pem", "passwords"):
            shutil.chown(place / name, owner, owner)
        (place / "exim4.conf").chmod(0o644)

    def _settings(self) -> str:
        known = [*self.passwords, LATER, FULL]
        return CONFIG.format(
            domains=" : ".join(sorted({user.partition("@")[2] for user in known})),
            names=" : ".join(sorted({user.partition("@")[0] for user in known})),
            port=self.port,
            owner="Debian-exim",
            size_limit=self.size_limit,
            eight_bit="yes" if self.eight_bit else "no",
            utf8="*" if self.utf8 else "",
            later=LATER,
            full=FULL,
        )
