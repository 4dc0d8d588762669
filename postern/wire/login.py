"""A user name with its password: what a mail server is given to let us in."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Login:
    """Shared by IMAP and SMTP. The password never appears in ``repr``, so it cannot slip into a log."""

    username: str
    password: str = field(repr=False)
