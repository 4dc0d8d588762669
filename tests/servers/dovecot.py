"""A real Dovecot of our own on loopback: some users, SPECIAL-USE folders, and a look at the truth behind it.

    with Dovecot() as server:
        server.deliver("marta@example.test", raw)          # as the MTA would: a new file in the maildir
        server.append("marta@example.test", "Sent", raw, flags=["\\\\Seen"], date=when)
        server.uids("marta@example.test", "INBOX")

`available()` names the reason when it cannot run here. TLS certificates are for localhost and 127.0.0.1,
signed by `server.authority`; unknown to the system, as on a small company's server.
"""

from __future__ import annotations

import base64
import contextlib
import grp
import hmac
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.certs import Authority, Made
from tests.servers import running
from tests.servers.looking import Looking

CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
mail_location = {format}:{home}/mail/%u
mail_max_userip_connections = {connections}
mail_fsync = never
mailbox_idle_check_interval = 1 secs
mailbox_list_index = yes
mail_plugins = quota
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = {refuse_plain}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_format = %Lu
{tokens}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/passwords
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {home}/passwords
  default_fields = uid={user} gid={group} home={home}/homes/%u
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener {home}/sasl {{
    mode = 0666
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
  mailbox "{sent}" {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
}}
{extra}
"""

# Tokens are judged without asking anybody: signed with a key that lies in a file.
TOKENS = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2.conf
}}
"""
OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={home}/keys/
username_attribute = email
"""

# For `extra`: Dovecot 2.3 after the sign-in as always, but for MOVE; a client then moves by COPY, STORE and EXPUNGE.
WITHOUT_MOVE = (
    "imap_capability = IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE MULTIAPPEND UNSELECT CHILDREN NAMESPACE UIDPLUS"
    " LIST-EXTENDED CONDSTORE QRESYNC ESEARCH LIST-STATUS LITERAL+ NOTIFY SPECIAL-USE QUOTA"
)


def available() -> str:
    """Return '' when a private Dovecot can run here, else the reason why not."""
    if running.program("dovecot") is None:
        return "Dovecot is not installed (Debian: apt-get install dovecot-imapd)"
    return ""


class Dovecot(running.Daemon, Looking):
    """A private Dovecot. `port` speaks plain text and STARTTLS, `tls_port` TLS from the first byte.

    users: name to password. quotas: name to storage limit in bytes ("full mailbox"). storage: maildir or
    mdbox (deliver() and Postfix need maildir). connections: how many one user may hold open. sent: the name
    of the folder marked \\Sent. refuse_plain: no sign-in before TLS. mechanisms: ways to sign in, as
    Dovecot names them; with xoauth2 or oauthbearer `token()` makes tokens. extra: further lines of dovecot.conf.
    """

    name = "Dovecot"
    greeting = b"* OK"

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        quotas: Mapping[str, int] | None = None,
        storage: str = "maildir",
        connections: int = 100,
        sent: str = "Sent",
        refuse_plain: bool = False,
        mechanisms: str = "plain login",
        extra: str = "",
    ) -> None:
        self.passwords = dict(running.USERS if users is None else users)
        self.quotas = dict(quotas or {})
        self.storage, self.connections, self.sent = storage, connections, sent
        self.refuse_plain, self.mechanisms, self.extra = refuse_plain, mechanisms, extra
        self._token_key = secrets.token_bytes(32)
        self.host = "localhost"
        self.port, self.tls_port = running.free_ports(2)
        self._passwords_written = 0

    @property
    def config(self) -> Path:
        """The dovecot.conf in use."""
        return self.home / "dovecot.conf"

    @property
    def sasl_socket(self) -> Path:
        """Where Postfix asks for passwords."""
        return self.home / "sasl"

    @property
    def mail(self) -> Path:
        """The folder with one maildir for each user."""
        return self.home / "mail"

    def _prepare(self) -> None:
        self.authority = Authority(self.home)
        for name in ("mail", "homes"):
            (self.home / name).mkdir()
            self._give(self.home / name)
        for user in self.passwords:
            (self.home / "homes" / user).mkdir()
            self._give(self.home / "homes" / user)
        self.new_certificate()
        self._write_passwords()
        self._write_token_key()
        self.config.write_text(self._settings())

    def _spawn(self) -> subprocess.Popen[bytes]:
        dovecot = running.program("dovecot")
        assert dovecot is not None, available()
        return running.start([dovecot, "-F", "-c", str(self.config)], self.log)

    def new_certificate(self) -> Made:
        """Issue another certificate, as after an expiry or an attack; a running server uses it at once."""
        self.certificate = self.authority.issue("localhost", running.LOOPBACK)
        shutil.copy(self.certificate.cert_file, self.home / "cert.pem")
        shutil.copy(self.certificate.key_file, self.home / "key.pem")
        if self.process is not None:
            self.doveadm("reload")
            time.sleep(0.5)
        return self.certificate

    def set_password(self, user: str, password: str) -> None:
        """Change a password at the provider: from now on the old one is rejected."""
        self.passwords[user] = password
        self._write_passwords()
        time.sleep(1.1)  # Dovecot looks at the file at most once in each second of the clock

    def set_quota(self, user: str, limit: int | None) -> None:
        """Give a user so many bytes for mail from the next sign-in on; None takes the limit away."""
        self.quotas.pop(user, None)
        if limit is not None:
            self.quotas[user] = limit
        self._write_passwords()
        time.sleep(1.1)

    def token(self, user: str, *, seconds: int = 3600) -> str:
        """An access token of this user, as an identity provider would have made it; `seconds` may be negative."""
        now = int(time.time())
        head = {"alg": "HS256", "typ": "JWT"}
        claims = {"email": user, "sub": user, "iat": now - 10, "nbf": now - 7200, "exp": now + seconds}
        signed = ".".join(_url64(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{_url64(hmac.digest(self._token_key, signed.encode(), 'sha256'))}"

    def deliver(self, user: str, raw: bytes, *, date: datetime | None = None) -> None:
        """Put a letter into the INBOX as a mail server does; an idling client is told. Maildir only."""
        assert self.storage == "maildir"
        box = self.mail / user
        for name in (box, *(box / part for part in ("tmp", "new", "cur"))):
            if not name.exists():
                name.mkdir(mode=0o700)
                self._give(name)
        name = f"{time.time_ns()}.P{os.getpid()}.tests"
        path = box / "tmp" / name
        path.write_bytes(raw)
        self._give(path)
        if date is not None:
            os.utime(path, (date.timestamp(), date.timestamp()))  # Dovecot takes INTERNALDATE from here
        path.rename(box / "new" / name)

    def doveadm(self, *arguments: str) -> str:
        """Run doveadm on this server and return what it printed."""
        command = [running.program("doveadm") or "doveadm", "-c", str(self.config), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def set_uidvalidity(self, user: str, folder: str, value: int) -> None:
        """Give a folder another UIDVALIDITY, as after a restore from backup."""
        self.doveadm("mailbox", "update", "-u", user, "--uid-validity", str(value), folder)

    def kick(self, user: str) -> None:
        """Drop the connections of one user."""
        with contextlib.suppress(subprocess.CalledProcessError):  # ends with 68 when nobody was connected
            self.doveadm("kick", user)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            owner = running.mail_user()
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _write_passwords(self) -> None:
        lines = []
        for user, password in self.passwords.items():
            limit = self.quotas.get(user)
            rule = f"userdb_quota_rule=*:bytes={limit}" if limit else ""
            lines.append(f"{user}:{{PLAIN}}{password}::::::{rule}\n")
        path = self.home / "passwords"
        fresh = self.home / "passwords.new"
        fresh.write_text("".join(lines))
        fresh.chmod(0o644)
        # Dovecot compares the modification time by whole seconds: make sure each version has its own.
        self._passwords_written = max(int(time.time()), self._passwords_written + 1)
        os.utime(fresh, (self._passwords_written, self._passwords_written))
        fresh.rename(path)

    def _write_token_key(self) -> None:
        folder = self.home / "keys" / "default" / "HS256"  # no issuer and no key named in the token
        folder.mkdir(parents=True)
        (folder / "default").write_text(base64.b64encode(self._token_key).decode())
        (self.home / "oauth2.conf").write_text(OAUTH2.format(home=self.home))

    def _settings(self) -> str:
        root = os.geteuid() == 0
        me = running.mail_user()
        return CONFIG.format(
            home=self.home,
            internal="dovecot" if root else me.pw_name,
            internal_group="dovecot" if root else grp.getgrgid(me.pw_gid).gr_name,
            login="dovenull" if root else me.pw_name,
            user=me.pw_uid,
            group=me.pw_gid,
            format=self.storage,
            connections=self.connections,
            refuse_plain="yes" if self.refuse_plain else "no",
            port=self.port,
            tls_port=self.tls_port,
            sent=self.sent,
            mechanisms=self.mechanisms,
            tokens=TOKENS.format(home=self.home) if "oauth" in self.mechanisms else "",
            extra=self.extra,
        )


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
