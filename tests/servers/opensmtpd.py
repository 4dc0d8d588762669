"""A real OpenSMTPD of our own on loopback, unpacked beside the system (foreign.py). Nothing leaves this machine.

    with OpenSmtpd(size_limit=200_000) as server:
        ...    # server.port: plain text, nobody signs in
        server.received("marta@example.test")

An unknown name in a local domain is refused at RCPT (524), LATER for now (450). It never has SMTPUTF8.
No TLS, and so no sign-in: its key process cannot sign with Debian 12's OpenSSL 3, be the key RSA or elliptic
("SSL routines::EVP lib" at each handshake, TLS 1.2 and 1.3; opensmtpd 6.8.0p2-4+b4, tried in November 2026).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from tests.servers import foreign, running

LATER = "later@example.test"

CONFIG = """
table boxes file:/etc/boxes
smtp max-message-size "{size_limit}"
filter later phase rcpt-to match rcpt-to {{ "{later}" }} reject "450 4.2.1 Mailbox busy, try again later"
listen on 127.0.0.1 port {port} filter later hostname mail.example.test
action "keep" maildir "/var/mail/%{{rcpt.user}}@%{{rcpt.domain}}" virtual <boxes>
match from any for domain {{ {domains} }} action "keep"
"""


def available() -> str:
    """Return '' when a private OpenSMTPD can run here, else the reason why not."""
    return foreign.available("opensmtpd")


class OpenSmtpd(running.Daemon):
    """A private OpenSMTPD. size_limit in bytes."""

    name = "OpenSMTPD"
    greeting = b"220"

    def __init__(self, users: Mapping[str, str] | None = None, *, size_limit: int = 50_000_000) -> None:
        self.passwords = dict(running.USERS if users is None else users)
        self.size_limit = size_limit
        self.host = "127.0.0.1"
        (self.port,) = running.free_ports(1)

    def _spawn(self) -> subprocess.Popen[bytes]:
        return self.room.start(["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"], self.log)

    def received(self, user: str) -> list[bytes]:
        """The letters in a user's box, as they were stored."""
        return foreign.maildir(self.room.path(f"/var/mail/{user}"))

    def _prepare(self) -> None:
        owner = running.mail_user().pw_uid
        system = {"opensmtpd": 941, "opensmtpq": 942, "opensmtpf": 943, "vmail": owner}
        self.room = foreign.Room("opensmtpd", self.home, system)
        self.room.folder("/var/spool/smtpd", 0, 0o711)
        self.room.folder("/var/lib/opensmtpd/empty", 0)
        self.room.folder("/var/mail", owner)
        etc = self.room.path("/etc")
        (etc / "boxes").write_text("".join(f"{user} vmail\n" for user in (*self.passwords, LATER)))
        domains = sorted({user.partition("@")[2] for user in self.passwords})
        (etc / "smtpd.conf").write_text(
            CONFIG.format(
                size_limit=self.size_limit,
                later=LATER,
                port=self.port,
                domains=", ".join(f'"{domain}"' for domain in domains),
            )
        )
