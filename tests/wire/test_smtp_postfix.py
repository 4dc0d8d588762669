"""Against a real Postfix of our own: STARTTLS, its refusals, and the bytes it keeps (S-045, R-046, R-048)."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.errors import MailError
from postern.wire.smtp import SendResult, SmtpAuth, check, send
from postern.wire.steps import Step
from tests.certs import Authority, Made

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.skipif(
        shutil.which("postfix") is None or os.geteuid() != 0, reason="needs Postfix, and root"
    ),
]

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
myhostname = mx.example.net
mynetworks = 127.0.0.0/8
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.net
virtual_mailbox_maps = inline:{{ bert@example.net=bert/, cleo@example.net=cleo/ }}
virtual_mailbox_base = {home}/boxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_recipient_restrictions = reject_unauth_destination, reject_unlisted_recipient
smtpd_tls_cert_file = {made.cert_file}
smtpd_tls_key_file = {made.key_file}
smtpd_tls_security_level = encrypt
message_size_limit = 2000000
smtputf8_enable = yes
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    port: int
    home: Path

    def kept(self, box: str, count: int) -> list[bytes]:
        """The letters in a mailbox, as soon as there are ``count``."""
        for _ in range(100):
            found = sorted((self.home / "boxes" / box / "new").glob("*"))
            if len(found) >= count:
                return [path.read_bytes() for path in found]
            time.sleep(0.1)
        raise AssertionError((self.home / "mail.log").read_text())

    def empty(self) -> None:
        for path in (self.home / "boxes").glob("*/new/*"):
            path.unlink()


def start(home: Path, made: Made) -> Postfix:
    user = pwd.getpwnam("nobody")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    for name in ("etc", "queue", "data", "boxes"):
        (home / name).mkdir()
    home.chmod(0o755)
    shutil.chown(home / "data", "postfix")
    shutil.chown(home / "boxes", user.pw_uid, user.pw_gid)
    (home / "etc/main.cf").write_text(MAIN.format(home=home, made=made, uid=user.pw_uid, gid=user.pw_gid))
    (home / "etc/master.cf").write_text(MASTER.format(port=port))
    subprocess.run(["postfix", "-c", home / "etc", "start"], check=True, capture_output=True, timeout=60)
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return Postfix(port, home)
        time.sleep(0.1)
    raise AssertionError("Postfix did not start")


@pytest.fixture(scope="module")
def running(authority: Authority) -> Iterator[Postfix]:
    home = Path(tempfile.mkdtemp(prefix="postern-postfix-"))
    try:
        yield start(home, authority.issue("localhost"))
    finally:
        subprocess.run(["postfix", "-c", home / "etc", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postfix(running: Postfix, trusting: Path) -> Postfix:
    running.empty()
    return running


def deliver(
    postfix: Postfix, raw: bytes, *recipients: str, security: Security = Security.STARTTLS
) -> SendResult:
    return asyncio.run(
        send(
            Endpoint("localhost", postfix.port, security),
            Policy(frozenset({"localhost"})),
            None,
            SmtpAuth.NONE,
            sender="anna@example.org",
            recipients=recipients or ["bert@example.net"],
            raw=raw,
        )
    )


HEAD = b"From: anna@example.org\r\nTo: bert@example.net\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@x>\r\nSubject: hello\r\n\r\n"


def body_of(kept: bytes) -> bytes:
    return kept.split(b"\n\n", 1)[1]


@pytest.mark.parametrize(
    "body",
    [
        b"Hello.\r\n",
        b".\r\n..\r\n.x\r\n \t\r\n\r\n",
        "grüße 你好\r\n".encode(),
        b"y" * 900 + b"\r\n" + b"z\r\n" * 100_000,
    ],
    ids=["plain", "dots", "8-bit", "large"],
)
def test_postfix_keeps_the_letter_as_it_was(postfix: Postfix, body: bytes) -> None:
    result = deliver(postfix, HEAD + body)
    assert result.response.startswith("250 2.0.0 Ok: queued as ")
    (kept,) = postfix.kept("bert", 1)
    assert body_of(kept) == body.replace(b"\r\n", b"\n")
    assert HEAD.replace(b"\r\n", b"\n") in kept


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n.\n"])
def test_s045_postfix_sees_one_letter(postfix: Postfix, ending: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@x.org>\r\nRCPT TO:<cleo@example.net>\r\nDATA\r\n" + HEAD + b"two\r\n"
    deliver(postfix, HEAD + b"one" + ending + smuggled)
    (kept,) = postfix.kept("bert", 1)
    assert body_of(kept).startswith(b"one\n.\nMAIL FROM")
    assert kept.endswith(b"two\n")
    time.sleep(0.3)
    assert not list((postfix.home / "boxes").glob("cleo/new/*"))


def test_r046_one_of_three_is_refused(postfix: Postfix) -> None:
    result = deliver(postfix, HEAD, "bert@example.net", "nobody@example.net", "cleo@example.net")
    assert result.accepted == ("bert@example.net", "cleo@example.net")
    (refusal,) = result.refused
    assert (refusal.address, refusal.code, refusal.temporary) == ("nobody@example.net", 550, False)
    assert "User unknown" in refusal.text
    assert len(postfix.kept("bert", 1)) == len(postfix.kept("cleo", 1)) == 1


@pytest.mark.parametrize(
    ("raw", "recipient", "security", "code"),
    [
        (HEAD, "somebody@elsewhere.example", Security.STARTTLS, "recipients_refused"),
        (HEAD + b"x" * 2_000_000, "bert@example.net", Security.STARTTLS, "too_large"),
        (HEAD, "bert@example.net", Security.NONE, "server_refused"),
        (HEAD, "bert@example.net", Security.SSL, "tls_failed"),
    ],
)
def test_what_postfix_refuses(
    postfix: Postfix, raw: bytes, recipient: str, security: Security, code: str
) -> None:
    with pytest.raises(MailError) as caught:
        deliver(postfix, raw, recipient, security=security)
    assert (caught.value.code, caught.value.temporary) == (code, False)


def test_trying_postfix_out(postfix: Postfix) -> None:
    steps: list[Step] = []
    seen = asyncio.run(
        check(
            Endpoint("localhost", postfix.port, Security.STARTTLS),
            Policy(frozenset({"localhost"})),
            None,
            SmtpAuth.NONE,
            sender="anna@example.org",
            on_step=steps.append,
        )
    )
    assert [(step.key, step.ok) for step in steps] == [
        ("resolve", True),
        ("connect", True),
        ("secure", True),
        ("accept_sender", True),
    ]
    assert seen is not None
    assert steps[2].detail == seen.tls_version == "TLSv1.3"
