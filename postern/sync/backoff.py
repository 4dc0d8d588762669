"""How long to wait before the next try. Pure, but for the dice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from postern.wire.errors import MailError

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 900.0
# A refusal that no waiting heals (a bad certificate, a forbidden address) is looked at again now and then:
# the other side may have been repaired, and nobody should have to press a button for that.
REFUSED_SECONDS = 1800.0
# fail2ban and providers count wrong passwords. Three tries in all, far apart, then silence.
PASSWORD_TRIES = 3
PASSWORD_SECONDS = (60.0, 600.0)

# what a provider grants for a day is used up. Gmail is said to shut a mailbox for up to a day, and longer
# for whoever goes on asking.
LIMIT_SECONDS = 3600.0
LONGEST_LIMIT = 4 * 3600.0

# Nothing but a decision helps, and it is heard of at once.
NEEDS_SOMEBODY = frozenset({"certificate_changed", "unchecked_refused"})
SIGN_IN_REFUSED = frozenset({"password_rejected", "token_rejected"})
# A connection that lived so long after a finished sync proves that all is well.
STABLE_SECONDS = 60.0
# A mailbox that was in sync on the connection that broke is not kept waiting longer than this.
LONGEST_AFTER_SYNC = 60.0


@dataclass(slots=True)
class Backoff:
    """Grows with each failure in a row.

    It is reset by a connection that finished a sync and then lived, never by a mere sign-in: a server that
    lets in and drops again met 17 sign-ins a second from another program (R-030).
    """

    failures: int = 0
    refused_passwords: int = 0
    limits: int = 0
    dice: Callable[[], float] = field(default=random.random, repr=False)

    def finished(self) -> None:
        """A sync was finished: the password is right, the rest has to show."""
        self.refused_passwords = 0

    def reset(self) -> None:
        """The connection lived for a while after a finished sync: whatever was wrong is over."""
        self.failures = self.refused_passwords = self.limits = 0

    def after(self, error: MailError, *, was_in_sync: bool = False) -> float | None:
        """Seconds until the next try, or None: stop until the owner has changed something."""
        self.failures += 1
        if error.code in NEEDS_SOMEBODY:
            return None
        if error.code in SIGN_IN_REFUSED:
            self.refused_passwords += 1
            if self.refused_passwords >= PASSWORD_TRIES:
                return None
            return PASSWORD_SECONDS[self.refused_passwords - 1]
        if error.code == "over_limit":
            self.limits += 1
            seconds = self._spread(min(LONGEST_LIMIT, LIMIT_SECONDS * 2 ** min(self.limits - 1, 10)))
            return max(seconds, error.retry_after or 0.0)
        if not error.temporary:
            return self._spread(REFUSED_SECONDS)
        short = was_in_sync or error.code == "store_failed"  # our own database: no server is asked meanwhile
        longest = LONGEST_AFTER_SYNC if short else LONGEST_SECONDS
        seconds = self._spread(min(longest, FIRST_SECONDS * 2 ** min(self.failures - 1, 10)))
        return max(seconds, error.retry_after or 0.0)  # a server that asks for time gets it

    def _spread(self, seconds: float) -> float:
        """Between half and one and a half times as long, so that a thousand mailboxes do not return as one."""
        return seconds * (0.5 + self.dice())
