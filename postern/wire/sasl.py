"""Ways to prove who we are (SASL, RFC 4422) without a socket: challenges in, answers out, nothing encoded.

Each mechanism may be used once. What it raises ends the conversation before anything else is sent.
"""

import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from typing import Protocol

from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.login import Login
from postern.wire.saslprep import saslprep

# RFC 7677 section 4. Above the second number a server makes us work rather than itself safe (S-040).
FEWEST_ITERATIONS = 4096
MOST_ITERATIONS = 600_000
_ATTRIBUTE = re.compile(r"([A-Za-z])=([\x21-\x2b\x2d-\x7e]*)")


class Mechanism(Protocol):
    """One way in. ``initial`` is what we say first, None where the server must begin."""

    name: str
    initial: bytes | None

    def answer(self, challenge: bytes) -> bytes | None:
        """What to say to a challenge; None: nothing, the sign-in is to be cancelled. May take a second."""

    def accepted(self) -> None:
        """The server said yes. Raises ``MailError`` when it cannot mean it."""

    def refused(self, error: MailError) -> MailError:
        """The server said no: ``error``, or what it explained on the way."""


class _Simple:
    """A secret and nothing to check."""

    name = ""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.initial: bytes | None = None

    def answer(self, challenge: bytes) -> bytes | None:
        """See ``Mechanism``."""
        return None

    def accepted(self) -> None:
        """See ``Mechanism``."""

    def refused(self, error: MailError) -> MailError:
        """See ``Mechanism``."""
        return error


class Plain(_Simple):
    """RFC 4616."""

    name = "PLAIN"

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self.initial = f"\0{login.username}\0{login.password}".encode()


class LoginMechanism(_Simple):
    """Never a standard: the server asks twice, for the name and for the password, in whatever words."""

    name = "LOGIN"

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self._left = [login.username, login.password]

    def answer(self, challenge: bytes) -> bytes | None:
        """See ``Mechanism``."""
        return self._left.pop(0).encode() if self._left else None

    def accepted(self) -> None:
        """See ``Mechanism``."""
        if self._left:
            raise _too_early()


class CramMd5(_Simple):
    """RFC 2195: the password is not shown, but the server must keep it readable."""

    name = "CRAM-MD5"

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self._asked = False

    def answer(self, challenge: bytes) -> bytes | None:
        """See ``Mechanism``."""
        if self._asked:
            return None
        self._asked = True
        digest = hmac.new(self.login.password.encode(), challenge, hashlib.md5).hexdigest()
        return f"{self.login.username} {digest}".encode()

    def accepted(self) -> None:
        """See ``Mechanism``."""
        if not self._asked:
            raise _too_early()


class ScramSha256(_Simple):
    """RFC 7677: the server learns nothing it could use elsewhere, and proves that it knows us too."""

    name = "SCRAM-SHA-256"

    def __init__(self, login: Login, *, nonce: str = "") -> None:
        super().__init__(login)
        self._nonce = nonce or secrets.token_urlsafe(24)
        user = saslprep(login.username, what="The user name").replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={user},r={self._nonce}"
        self.initial = f"n,,{self._bare}".encode()
        self._password = saslprep(login.password, what="The password").encode()
        self._signature: bytes | None = None
        self._verified = False

    @property
    def tried(self) -> bool:
        """True when the password was used: a refusal before that says nothing about it."""
        return self._signature is not None

    def answer(self, challenge: bytes) -> bytes | None:
        """See ``Mechanism``."""
        if self._verified:
            return None
        if self._signature is not None:
            return self._last_word(challenge)
        return self._prove(challenge)

    def accepted(self) -> None:
        """See ``Mechanism``. Whoever cannot sign does not know the password and is not our server."""
        if not self._verified:
            raise _not_our_server()

    def _prove(self, challenge: bytes) -> bytes:
        told = _attributes(challenge)
        nonce, salt, count = told.get("r", ""), _unbase64(told.get("s", "")), told.get("i", "")
        if list(told)[:1] != ["r"] or not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise _not_our_server()
        if not salt or not 0 < len(count) <= 19 or not count.isdigit():
            raise _unreadable()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, _reasonable(int(count)))
        without_proof = f"c={_base64(b'n,,')},r={nonce}"
        message = f"{self._bare},{challenge.decode('ascii')},{without_proof}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(key).digest()
        signed = hmac.digest(stored, message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signed, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{without_proof},p={_base64(proof)}".encode()

    def _last_word(self, challenge: bytes) -> bytes | None:
        told = _attributes(challenge)
        if "e" in told:
            return None
        assert self._signature is not None
        if not hmac.compare_digest(_unbase64(told.get("v", "")), self._signature):
            raise _not_our_server()
        self._verified = True
        return b""


class _Bearer(_Simple):
    """An access token; when it is refused the server explains itself in a challenge that wants ``_thanks``."""

    _thanks = b""

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self._why: str | None = None

    def answer(self, challenge: bytes) -> bytes | None:
        """See ``Mechanism``."""
        if self._why is not None:
            return None
        self._why = _explained(challenge)
        return self._thanks

    def accepted(self) -> None:
        """See ``Mechanism``."""
        if self._why is not None:
            raise _too_early()

    def refused(self, error: MailError) -> MailError:
        """See ``Mechanism``. A busy server says nothing about the token."""
        return token_rejected(self._why or error.server_text) if error.code == "password_rejected" else error


class XOAuth2(_Bearer):
    """Google's and Microsoft's, older than the standard."""

    name = "XOAUTH2"

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self.initial = f"user={login.username}\x01auth=Bearer {login.password}\x01\x01".encode()


class OAuthBearer(_Bearer):
    """RFC 7628."""

    name = "OAUTHBEARER"
    _thanks = b"\x01"

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        user = login.username.replace("=", "=3D").replace(",", "=2C")
        self.initial = f"n,a={user},\x01auth=Bearer {login.password}\x01\x01".encode()


_FOR_TOKENS: tuple[type[_Simple], ...] = (OAuthBearer, XOAuth2)
# CRAM-MD5 hides the password from a listener and nothing more, at the price that the server must keep it
# readable. Inside TLS nobody listens, and servers offer it that cannot do it for every user.
_ENCRYPTED: tuple[type[_Simple], ...] = (ScramSha256, Plain, LoginMechanism, CramMd5)
_IN_CLEAR: tuple[type[_Simple], ...] = (ScramSha256, CramMd5, Plain, LoginMechanism)
SHOWS_SECRET = frozenset({"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"})


def ways_in(
    offered: Iterable[str], login: Login, *, encrypted: bool, clear_allowed: bool = False
) -> list[Mechanism]:
    """The mechanisms to use of those ``offered`` (names in upper case), the best first; may be none.

    Over a connection that is not encrypted the secret itself is shown only where ``clear_allowed`` (S-040).
    Raises ``MailError("control_bytes")`` for a name or a secret that no server should see (S-051).
    """
    require_clean(login)
    there = frozenset(offered)
    order = _FOR_TOKENS if login.token else _ENCRYPTED if encrypted else _IN_CLEAR
    open_to_all = encrypted or clear_allowed
    kinds = [kind for kind in order if kind.name in there and (open_to_all or kind.name not in SHOWS_SECRET)]
    return [made for kind in kinds if (made := _made(kind, login)) is not None]


def _made(kind: "type[_Simple]", login: Login) -> Mechanism | None:
    """None: what SASLprep forbids another mechanism may well carry."""
    try:
        return kind(login)
    except MailError:
        return None


def require_clean(login: Login) -> None:
    """Refuse what could end a line or a field: raises ``MailError("control_bytes")``."""
    for what, text in (("The user name", login.username), ("The password", login.password)):
        if any(ord(mark) < 32 or ord(mark) == 127 or 0xD800 <= ord(mark) < 0xE000 for mark in text):
            raise errors.control_bytes(what)


def token_rejected(why: str) -> MailError:
    """The access token is expired, revoked, or not meant for this mailbox."""
    return MailError(
        "token_rejected",
        "The mail server did not accept the access token.",
        "Get a new access token from the provider and enter it in place of the old one.",
        temporary=False,
        server_text=why,
    )


def _reasonable(iterations: int) -> int:
    if FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
        return iterations
    raise MailError(
        "server_refused",
        "The mail server asks for a sign-in that would not be safe.",
        f"It wants the password hashed {iterations} times;"
        f" Postern takes part between {FEWEST_ITERATIONS} and {MOST_ITERATIONS}.",
        temporary=False,
    )


def _attributes(challenge: bytes) -> dict[str, str]:
    """``r=…,s=…,i=…``; a mandatory extension (``m=``) is one we do not know, so it ends the sign-in."""
    pieces = challenge.decode("ascii", "replace").split(",") if len(challenge) <= 10_000 else []
    found = [_ATTRIBUTE.fullmatch(piece) for piece in pieces]
    told = {one.group(1): one.group(2) for one in found if one is not None}
    if not told or len(told) != len(pieces) or "m" in told:
        raise _unreadable()
    return told


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


def _unbase64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise _unreadable() from None


def _explained(challenge: bytes) -> str:
    """What of the explanation helps: ``status`` and ``scope`` of its JSON, else its beginning."""
    try:
        told = json.loads(challenge[:2000])
        parts = [str(told[key]) for key in ("status", "scope") if isinstance(told.get(key), str)]
        text = " ".join(parts)
    except (ValueError, AttributeError, RecursionError):
        text = challenge[:200].decode("utf-8", "replace")
    return "".join(mark if mark.isprintable() else " " for mark in text[:200]).strip()


def _too_early() -> MailError:
    return _odd("it let us in before we had said who we are")


def _unreadable() -> MailError:
    return _odd("its part of the sign-in could not be read")


def _odd(what: str) -> MailError:
    return MailError(
        "protocol_error",
        f"The mail server's sign-in is faulty: {what}.",
        "If this stays so, ask the provider.",
        temporary=True,
    )


def _not_our_server() -> MailError:
    return MailError(
        "server_refused",
        "The mail server could not prove that it knows this password.",
        "Somebody may be pretending to be the server. Use SSL/TLS, and check the server's name.",
        temporary=False,
    )
