"""Ask the process that watches a mailbox to compare it with its mail server now."""

from postern.mailboxes.models import Mailbox
from postern.mailboxes.person import Person
from postern.mailboxes.save import notify, own_mailbox


def compare_now(*, staff: Person, mailbox: Mailbox) -> None:
    """Ask; what came of it is in the mailbox's health. Raises Mailbox.DoesNotExist for another's mailbox.

    Nothing is kept of the question: a mailbox that nobody watches at the moment is compared within a day.
    """
    row = own_mailbox(staff, mailbox)
    notify("postern_errands", mailbox=row.pk, say="compare")
