"""`postern password`: a one-time password for somebody who forgot theirs."""

import sys
from argparse import Namespace

from postern.mailboxes.models import SystemEmail
from postern.mime.addresses import normalise
from postern.people.models import Staff
from postern.people.onetime import ONE_TIME_HOURS
from postern.people.shell import reset_password


def password(chosen: Namespace) -> int:
    """Print a one-time password, this once, and what it does; only its hash stays."""
    staff = Staff.objects.filter(email=normalise(chosen.email), is_active=True).first()
    if staff is None:
        print(f"postern: nobody with the address {chosen.email} may sign in", file=sys.stderr)
        return 1
    hours = chosen.hours or ONE_TIME_HOURS
    print(reset_password(staff, hours))
    system = SystemEmail.current()
    mailed = f"by e-mail to {staff.email} and " if system.sending and system.smtp_host else ""
    print(
        f"This one-time password opens only the page on which {staff.name} chooses another, and ends in {hours} hours."
        " Give it to nobody else:"
        f" whoever uses it first reads their mail. Their sign-ins and API tokens have ended. {staff.name} is told"
        f" {mailed}at the next sign-in.",
        file=sys.stderr,
    )
    return 0
