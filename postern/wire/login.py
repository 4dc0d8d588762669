"""A user name with its secret: what a mail server is given to let us in."""

import binascii
import re
from dataclasses import dataclass, field

_ENCODED = re.compile(r"[A-Za-z0-9+/]{4,}")
# So much of the secret in a word of a server's makes us hide the word: what it repeats may be cut short.
_TOLD = 4


@dataclass(frozen=True)
class Login:
    """Shared by IMAP and SMTP. The secret never appears in ``repr``, so it cannot slip into a log.

    ``token``: the password is an OAuth 2.0 access token, to be used as nothing else.
    """

    username: str
    password: str = field(repr=False)
    token: bool = False

    def hidden_in(self, text: str) -> str:
        """The text without the secret: some servers repeat what they were sent, in clear or as base64 (S-094)."""
        if len(self.password) < 3:
            return text
        start = self.password.encode()[:_TOLD]

        def hide(word: re.Match[str]) -> str:
            whole = word[0][: len(word[0]) // 4 * 4]
            return "…" if start in binascii.a2b_base64(whole) else word[0]

        return _ENCODED.sub(hide, text.replace(self.password, "…"))
