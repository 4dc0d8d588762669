"""What a NO, BAD or BYE means to a person: one table of codes, one of words for servers without codes."""

import re

from postern.wire.errors import MailError
from postern.wire.imap.responses import Line

_BUSY = "This usually passes by itself; Postern tries again."
_CHECK_BOTH = "Check the user name and the password. Some providers want an app password for mail programs."

# RFC 5530, RFC 3501, RFC 9208, RFC 7889 and a few that providers made up: (our code, temporary, message, advice)
_CODES: dict[str, tuple[str, bool, str, str]] = {
    "AUTHENTICATIONFAILED": (
        "password_rejected",
        False,
        "The mail server did not accept the sign-in.",
        _CHECK_BOTH,
    ),
    "EXPIRED": ("password_rejected", False, "The password has expired.", "Set a new one at the provider."),
    "AUTHORIZATIONFAILED": (
        "server_refused",
        False,
        "The sign-in was accepted, but this mailbox may not be opened with it.",
        "Ask the provider for the right to open the mailbox.",
    ),
    "WEBALERT": (
        "server_refused",
        False,
        "The provider wants you to sign in with a browser first.",
        "Sign in at the provider's own website, then try again.",
    ),
    "PRIVACYREQUIRED": (
        "server_refused",
        False,
        "The server wants a secured connection.",
        "Choose SSL/TLS or STARTTLS.",
    ),
    "CONTACTADMIN": ("server_refused", False, "The server asks to contact its administrator.", ""),
    "NOPERM": ("server_refused", False, "The server does not permit this.", ""),
    "CANNOT": ("server_refused", False, "The server can never do this.", ""),
    "UNAVAILABLE": ("server_busy", True, "The mail server is not available at the moment.", _BUSY),
    "INUSE": ("server_busy", True, "The mailbox is in use elsewhere.", _BUSY),
    "LIMIT": ("server_busy", True, "The mail server's limit is reached.", _BUSY),
    "THROTTLED": ("server_busy", True, "The mail server asks us to go slower.", _BUSY),
    "SERVERBUG": ("server_busy", True, "The mail server has an internal problem.", _BUSY),
    "OVERQUOTA": (
        "mailbox_full",
        False,
        "The mailbox is full.",
        "Delete letters or ask the provider for more room.",
    ),
    "NONEXISTENT": ("folder_missing", False, "The folder does not exist.", "Choose another folder."),
    "TRYCREATE": ("folder_missing", False, "The folder does not exist.", "Choose another folder."),
    "TOOBIG": (
        "too_large",
        False,
        "The letter is too large for the server.",
        "Make the attachments smaller.",
    ),
}
_SIGN_IN = frozenset({"LOGIN", "AUTHENTICATE"})
_FOLDER = frozenset({"SELECT", "EXAMINE", "STATUS", "APPEND", "UID COPY", "UID MOVE"})
_BUSY_WORDS = re.compile(
    r"too many|try again|temporar|unavailable|internal (?:server )?error|throttl|rate limit|timed? ?out|exceeded",
    re.IGNORECASE,
)
_MISSING_WORDS = re.compile(
    r"doe?s ?n[o']t exist|does not exist|non-?exist|not found|no such|unknown (?:mailbox|folder)|unable to open",
    re.IGNORECASE,
)
_FULL_WORDS = re.compile(r"quota|mailbox (?:is )?full", re.IGNORECASE)


def refusal(command: str, line: Line) -> MailError:
    """The error for a tagged NO or BAD to ``command`` (a name without arguments)."""
    if line.code in _CODES:
        return _error(_CODES[line.code], line)
    if command in _SIGN_IN and line.status == "NO":
        busy = _BUSY_WORDS.search(line.text)
        return _error(_CODES["UNAVAILABLE" if busy else "AUTHENTICATIONFAILED"], line)
    if line.status == "NO" and command in _FOLDER:
        if _FULL_WORDS.search(line.text):
            return _error(_CODES["OVERQUOTA"], line)
        if _MISSING_WORDS.search(line.text):
            return _error(_CODES["NONEXISTENT"], line)
    if line.status == "NO" and _BUSY_WORDS.search(line.text):
        return _error(_CODES["UNAVAILABLE"], line)
    return _error(("server_refused", False, f"The mail server refused the command {command}.", ""), line)


def farewell(line: Line) -> MailError:
    """The error for BYE where we had not said goodbye; every BYE may be followed by a new try."""
    if line.code in ("UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED") or _BUSY_WORDS.search(line.text):
        return _error(("server_busy", True, "The mail server is busy and ended the connection.", _BUSY), line)
    return _error(("connection_lost", True, "The mail server ended the connection.", _BUSY), line)


def _error(row: tuple[str, bool, str, str], line: Line) -> MailError:
    code, temporary, message, advice = row
    return MailError(code, message, advice, temporary=temporary, server_text=words_of(line))


def words_of(line: Line) -> str:
    """The server's own words with the code in front."""
    return f"[{line.code}] {line.text}".strip() if line.code else line.text
