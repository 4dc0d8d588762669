"""A user name with its secret: what a mail server is given to let us in."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Login:
    """Shared by IMAP and SMTP. The secret never appears in ``repr``, so it cannot slip into a log.

    ``token``: the password is an OAuth 2.0 access token, to be used as nothing else.
    """

    username: str
    password: str = field(repr=False)
    token: bool = False
