"""A real Dovecot of our own on loopback, in a temporary folder, for as long as a test module runs."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DOVECOT = shutil.which("dovecot") or "/usr/sbin/dovecot"

CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
mail_home = {home}/mail/%u
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
mail_fsync = never
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=anyone {home}/passwords
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u
}}
service anvil {{
  chroot =
  # A wrong password would slow down the next sign-in from this address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
"""


@dataclass(frozen=True)
class PrivateDovecot:
    """Every user name signs in with ``password`` and has an own, at first empty mailbox."""

    port: int
    tls_port: int
    home: Path
    password: str

    def maildir(self, user: str) -> Path:
        """Where the letters of a user lie."""
        return self.home / "mail" / user / "Maildir"


FILES = ("-keyout", "key.pem", "-out", "cert.pem")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificate(home: Path) -> None:
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            *FILES,
        ],
        cwd=home,
        check=True,
        capture_output=True,
    )


@contextmanager
def private_dovecot(password: str = "secret") -> Iterator[PrivateDovecot]:
    """Start, hand over, stop."""
    home = Path(tempfile.mkdtemp(prefix="postern-dovecot-"))
    user = "dovecot" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    group = "dovecot" if os.getuid() == 0 else str(os.getgid())
    server = PrivateDovecot(_free_port(), _free_port(), home, password)
    home.chmod(0o755)
    (home / "mail").mkdir()
    if os.getuid() == 0:
        shutil.chown(home / "mail", user, group)
    _certificate(home)
    (home / "passwords").write_text(f"anyone:{password}\n")
    (home / "passwords").chmod(0o644)
    config = home / "dovecot.conf"
    config.write_text(
        CONFIG.format(home=home, user=user, group=group, port=server.port, tls_port=server.tls_port)
    )
    process = subprocess.Popen([DOVECOT, "-F", "-c", str(config)], start_new_session=True)
    try:
        _wait(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(home, ignore_errors=True)


def _wait(server: PrivateDovecot, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"Dovecot ended: {(server.home / 'log').read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", server.port), 1) as link:
                if link.recv(4) == b"* OK":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError("Dovecot does not answer")
