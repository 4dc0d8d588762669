"""People and mailboxes for these tests; everything is made through the code that makes it in production."""

from typing import Any

from postern.mail.access import viewing_as
from postern.mailboxes.models import Mailbox
from postern.mailboxes.save import save_mailbox
from postern.people.models import Staff
from tests.roles import hire

SETTINGS: dict[str, Any] = {
    "address": "marta@northlink.example",
    "imap_username": "marta",
    "imap_password": "correct horse",
    "imap_host": "imap.northlink.example",
    "imap_port": "993",
    "imap_security": "ssl",
    "smtp_host": "smtp.northlink.example",
    "smtp_port": 465,
    "smtp_security": "ssl",
}


def make_staff(name: str, role: str = "admin") -> Staff:
    """A member of staff who can sign in."""
    return hire(email=f"{name}@northlink.example", name=name.title(), password=None, role=role)


def make_mailbox(staff: Staff, **changes: Any) -> Mailbox:
    """A mailbox with IMAP and SMTP, sharing one password unless `changes` says otherwise."""
    with viewing_as(staff):
        return save_mailbox(staff=staff, mailbox=None, data=SETTINGS | changes)
