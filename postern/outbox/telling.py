"""What Postern itself writes to somebody: a notice to a person's sign-in address, a digest to their own mailbox."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field

from django.utils import timezone

from postern.mailboxes import connection as settings_of
from postern.mailboxes.models import Mailbox, SystemEmail
from postern.mime.addresses import Mailaddr, domain_of
from postern.mime.write import write
from postern.people.models import Notice
from postern.wire import smtp
from postern.wire.endpoint import Endpoint
from postern.wire.errors import MailError
from postern.wire.login import Login

log = logging.getLogger(__name__)
NAME = "Postern"


@dataclass(frozen=True)
class Road:
    """The server that takes a letter, the sign-in there, and the address it is from."""

    endpoint: Endpoint
    login: Login | None = field(repr=False)
    auth: smtp.SmtpAuth
    sender: Mailaddr

    def message_id(self) -> str:
        """Return a Message-ID (without angle brackets) that nothing had before."""
        return f"{uuid.uuid4().hex}@{domain_of(self.sender.address) or 'postern.invalid'}"

    def hand_over(self, *, recipient: str, raw: bytes) -> None:
        """Send the letter to one address. Raises MailError; with code unknown_outcome it may have arrived."""
        asyncio.run(
            smtp.send(
                self.endpoint,
                settings_of.policy(),
                self.login,
                self.auth,
                sender=self.sender.address,
                recipients=[recipient],
                raw=raw,
            )
        )


def company(system: SystemEmail) -> Road:
    """Return the way through the company's server. Raises SecretError."""
    sender = Mailaddr(system.sender_name or NAME, system.sender_email)
    login = settings_of.system_login(system)
    return Road(settings_of.system_endpoint(system), login, smtp.SmtpAuth(system.smtp_auth), sender)


def own(mailbox: Mailbox) -> Road:
    """Return the way that the owner's own letters go (mailbox with owner, at the mailbox). Raises SecretError."""
    sender = Mailaddr(NAME, settings_of.sender(mailbox).envelope)
    login = settings_of.smtp_login(mailbox)
    return Road(settings_of.smtp_endpoint(mailbox), login, settings_of.smtp_auth(mailbox), sender)


def tell(notice_id: int) -> bool:
    """Mail a notice once; True when it went out. Without a company's server it stays a page at the next sign-in.

    Raises MailError for what another try may mend.
    """
    rows = Notice.objects.select_related("staff").defer("staff__password")
    notice = rows.filter(pk=notice_id, mailed_at=None).first()
    system = SystemEmail.current()
    if notice is None or not system.sending or not system.smtp_host:
        return False
    try:
        road = company(system)
        road.hand_over(recipient=notice.staff.email, raw=_letter(notice, road))
    except MailError as error:
        log.warning("notice %s could not be mailed: %s", notice_id, error.code)
        if error.temporary:
            raise
        return False
    Notice.objects.filter(pk=notice_id).update(mailed_at=timezone.now())
    return True


def _letter(notice: Notice, road: Road) -> bytes:
    try:
        return write(
            sender=road.sender,
            to=[Mailaddr(notice.staff.name, notice.staff.email)],
            subject="About your mail in Postern",
            text=f"{notice.text}\n\nYou are told this because it is about your mail. It is also shown when you next sign in.\n",
            html=None,
            message_id=road.message_id(),
            date=timezone.now(),
            automatic=True,
        )
    except ValueError as error:
        raise MailError("control_bytes", f"The notice cannot be written: {error}", temporary=False) from None
