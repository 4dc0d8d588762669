"""Letters, and customers with an ordinary mail program: imaplib and smtplib, nothing of ours."""

from __future__ import annotations

import email
import email.policy
import smtplib
import ssl
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.stories.product import wait_for


def letter(
    sender: str, to: str, subject: str, text: str = "Hello,\r\nit is about my line.\r\n", **headers: str
) -> bytes:
    """A small letter as it lies on a server; headers with underscores for hyphens."""
    head = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": f"<{uuid.uuid4().hex}@client.test>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return (lines + "\r\n" + text).encode()


def parsed(raw: bytes) -> EmailMessage:
    """A letter as Python's own reader understands it."""
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


@dataclass
class Outsider:
    """Somebody with an ordinary mail program: reads by imaplib, writes by smtplib."""

    address: str
    imap: Dovecot
    smtp: Postfix

    def write(
        self, to: str, subject: str, text: str = "Hello,\r\nit is about my line.\r\n", **headers: str
    ) -> bytes:
        """Send a letter through the real Postfix; returns its bytes."""
        raw = letter(self.address, to, subject, text, **headers)
        self.send(raw, to)
        return raw

    def send(self, raw: bytes, *to: str) -> None:
        """Hand bytes to the real Postfix."""
        context = ssl.create_default_context(cafile=str(self.imap.authority.cert_file))
        with smtplib.SMTP("localhost", self.smtp.port, timeout=20) as link:
            link.starttls(context=context)
            link.login(self.address, self.imap.passwords[self.address])
            link.sendmail(self.address, list(to), raw)

    def answer(self, original: EmailMessage, text: str) -> bytes:
        """Reply to a letter as mail programs do."""
        to = str(original["Reply-To"] or original["From"])
        address = email.utils.parseaddr(to)[1]
        chain = f"{original['References'] or ''} {original['Message-ID']}".strip()
        raw = letter(
            self.address,
            to,
            f"Re: {original['Subject']}",
            text,
            In_Reply_To=str(original["Message-ID"]),
            References=chain,
        )
        self.send(raw, address)
        return raw

    def letters(self, folder: str = "INBOX") -> list[EmailMessage]:
        """What lies in a folder, parsed."""
        return [parsed(raw) for raw in self.imap.letters(self.address, folder)]

    def receives(self, subject: str, *, seconds: float = 40) -> EmailMessage:
        """Wait for a letter with this subject."""

        def look() -> EmailMessage | None:
            return next((one for one in self.letters() if one["Subject"] == subject), None)

        found = wait_for(look, f"“{subject}” at {self.address}", seconds=seconds)
        assert found is not None
        return found
