"""A notice that a person must read goes to their sign-in address as well, where the company's server is set up."""

from __future__ import annotations

import asyncio
import logging
import uuid

from django.utils import timezone

from postern.mailboxes import connection as settings_of
from postern.mailboxes.models import SystemEmail
from postern.mime.addresses import Mailaddr, domain_of
from postern.mime.write import write
from postern.people.models import Notice
from postern.wire import smtp
from postern.wire.errors import MailError

log = logging.getLogger(__name__)


def tell(notice_id: int) -> bool:
    """Mail a notice once; True when it went out. Without a company's server it stays a page at the next sign-in.

    Raises MailError for what another try may mend.
    """
    notice = Notice.objects.filter(pk=notice_id, mailed_at=None).select_related("staff").first()
    system = SystemEmail.current()
    if notice is None or not system.sending or not system.smtp_host:
        return False
    try:
        asyncio.run(_send(notice, system))
    except MailError as error:
        log.warning("notice %s could not be mailed: %s", notice_id, error.code)
        if error.temporary:
            raise
        return False
    Notice.objects.filter(pk=notice_id).update(mailed_at=timezone.now())
    return True


async def _send(notice: Notice, system: SystemEmail) -> None:
    await smtp.send(
        settings_of.system_endpoint(system),
        settings_of.policy(),
        settings_of.system_login(system),
        smtp.SmtpAuth(system.smtp_auth),
        sender=system.sender_email,
        recipients=[notice.staff.email],
        raw=_letter(notice, system),
    )


def _letter(notice: Notice, system: SystemEmail) -> bytes:
    try:
        return write(
            sender=Mailaddr(system.sender_name or "Postern", system.sender_email),
            to=[Mailaddr(notice.staff.name, notice.staff.email)],
            subject="About your mail in Postern",
            text=f"{notice.text}\n\nYou are told this because it is about your mail. It is also shown when you next sign in.\n",
            html=None,
            message_id=f"{uuid.uuid4().hex}@{domain_of(system.sender_email) or 'postern.invalid'}",
            date=timezone.now(),
            automatic=True,
        )
    except ValueError as error:
        raise MailError("control_bytes", f"The notice cannot be written: {error}", temporary=False) from None
