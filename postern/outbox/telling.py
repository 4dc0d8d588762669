"""What Postern itself writes to somebody: a notice to a person's sign-in address, a digest to their own mailbox."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F
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
UNKNOWN = "unknown_outcome"
MOST_MAILINGS = 3
"""Attempts that may each have arrived. A server that takes letters and never says so gets no more of them."""


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
        """Send the letter to one address. Raises MailError; with code UNKNOWN it may have arrived."""
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
    """Mail a notice; True when the server took it. Without a company's server it stays a page at the next sign-in.

    Raises MailError for what another try may mend. A warning that is lost is worse than one that comes twice: where
    nobody knows whether it arrived (no answer to the final dot, a killed process) it goes again, the same bytes under
    the same Message-ID, at most MOST_MAILINGS times in all (docs/decisions/0010-leaving.md).
    """
    system = SystemEmail.current()
    if not system.sending or not system.smtp_host:
        return False
    try:
        road = company(system)
        notice = _begin(notice_id, road)
        if notice is None:
            return False
        _hand_over(notice, road)
    except MailError as error:
        log.warning("notice %s could not be mailed: %s", notice_id, error.code)
        if error.temporary or error.code == UNKNOWN:
            raise
        return False
    return True


def _begin(notice_id: int, road: Road) -> Notice | None:
    """Commit before the first byte that it may be on its way; None where it was mailed, or as often as it may be."""
    with transaction.atomic():
        rows = Notice.objects.select_for_update(of=("self",)).select_related("staff").defer("staff__password")
        notice = rows.filter(pk=notice_id, mailed_at=None, mailings__lt=MOST_MAILINGS).first()
        if notice is None:
            return None
        notice.message_id = notice.message_id or road.message_id()
        notice.mailings += 1
        notice.save(update_fields=["message_id", "mailings"])
    if notice.maybe_twice:
        log.warning("notice %s may have been mailed already; it goes again", notice_id)
    return notice


def _hand_over(notice: Notice, road: Road) -> None:
    """Send it. Where it is certain that nobody got it, the row says again what it said before."""
    row = Notice.objects.filter(pk=notice.pk)
    try:
        road.hand_over(recipient=notice.staff.email, raw=_letter(notice, road))
    except MailError as error:
        if error.code != UNKNOWN:
            row.update(mailings=F("mailings") - 1)
        raise
    row.update(mailed_at=timezone.now())


def _letter(notice: Notice, road: Road) -> bytes:
    """The same bytes at each attempt: dated when the person was to be told, with the number that tells one from two."""
    told = f"You are told this because it is about your mail. It is also shown when you next sign in. \
This is notice {notice.pk}; should it reach you twice, it is one and the same."
    try:
        return write(
            sender=road.sender,
            to=[Mailaddr(notice.staff.name, notice.staff.email)],
            subject="About your mail in Postern",
            text=f"{notice.text}\n\n{told}\n",
            html=None,
            message_id=notice.message_id,
            date=notice.created_at,
            automatic=True,
        )
    except ValueError as error:
        raise MailError("control_bytes", f"The notice cannot be written: {error}", temporary=False) from None
