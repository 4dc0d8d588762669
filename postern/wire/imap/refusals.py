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
    "REFERRAL": (
        "server_refused",
        False,
        "The mailbox lies on another server, says this one.",
        "Enter the server's name that the provider gives; Postern does not follow such hints by itself.",
    ),
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
# Gmail says OVERQUOTA also of the letters fetched in a day, which has nothing to do with a full mailbox.
_OVER_LIMIT = (
    "over_limit",
    True,
    "The provider's limit for this mailbox is used up for now.",
    "It passes by itself, usually within a day. Postern asks again from time to time and goes on where it was.",
)
_LIMIT_WORDS = re.compile(r"bandwidth|(?:download|upload|daily)(?: \w+)? (?:limit|quota)", re.IGNORECASE)
# Exchange and Microsoft 365 say how long to wait.
_WAIT = re.compile(r"backoff time:? (\d{1,9}) ?(milliseconds|ms|seconds|s)\b", re.IGNORECASE)
LONGEST_WAIT = 3600.0
_SIGN_IN = frozenset({"LOGIN", "AUTHENTICATE"})
_FILLING = frozenset({"APPEND", "UID COPY", "UID MOVE", "CREATE"})
_READING = frozenset({"SELECT", "EXAMINE", "UID FETCH"})
_FOLDER = frozenset({"SELECT", "EXAMINE", "STATUS", "APPEND", "UID COPY", "UID MOVE"})
_BUSY_WORDS = re.compile(
    r"too many|try again|temporar|unavailable|internal (?:server )?error|throttl|rate limit|timed? ?out|exceeded",
    re.IGNORECASE,
)
# A limit of connections or of pace passes within minutes.
_CROWD_WORDS = re.compile(r"too many|connection|session|concurren|simultan|slow", re.IGNORECASE)
_MISSING_WORDS = re.compile(
    r"doe?s ?n[o']t exist|does not exist|non-?exist|not found|no such|unknown (?:mailbox|folder)|unable to open",
    re.IGNORECASE,
)
_FULL_WORDS = re.compile(r"quota|mailbox (?:is )?full", re.IGNORECASE)


def refusal(command: str, line: Line) -> MailError:
    """The error for a tagged NO or BAD to ``command`` (a name without arguments)."""
    if _LIMIT_WORDS.search(line.text) and line.code in ("", "ALERT", "OVERQUOTA", "LIMIT", "THROTTLED"):
        return _error(_OVER_LIMIT, line)
    if line.code == "OVERQUOTA" and command not in _FILLING:
        return _error(_OVER_LIMIT, line)
    if line.code == "LIMIT" and command in _READING and not _CROWD_WORDS.search(line.text):
        return _error(_OVER_LIMIT, line)
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
    if _WAIT.search(line.text) or "throttled" in line.text.lower():  # quirk throttle_hint
        return _error(_CODES["THROTTLED"], line)
    return _error(("server_refused", False, f"The mail server refused the command {command}.", ""), line)


def farewell(line: Line) -> MailError:
    """The error for BYE where we had not said goodbye; every BYE may be followed by a new try."""
    if _LIMIT_WORDS.search(line.text):
        return _error(_OVER_LIMIT, line)
    if line.code in ("UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED") or _BUSY_WORDS.search(line.text):
        return _error(("server_busy", True, "The mail server is busy and ended the connection.", _BUSY), line)
    return _error(("connection_lost", True, "The mail server ended the connection.", _BUSY), line)


def _error(row: tuple[str, bool, str, str], line: Line) -> MailError:
    code, temporary, message, advice = row
    return MailError(
        code,
        message,
        advice,
        temporary=temporary,
        server_text=words_of(line),
        retry_after=_asked_wait(line.text) if temporary else None,
    )


def _asked_wait(text: str) -> float | None:
    found = _WAIT.search(text)
    if found is None:
        return None
    seconds = int(found.group(1)) / (1000 if found.group(2).lower().startswith("m") else 1)
    return min(seconds, LONGEST_WAIT)


def words_of(line: Line) -> str:
    """The server's own words with the code in front."""
    return f"[{line.code}] {line.text}".strip() if line.code else line.text
