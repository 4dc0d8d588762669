"""What an SMTP server's reply means for the person who wants to send: a table, no sockets.

RFC 5321 section 4.2 (reply codes), RFC 3463 (enhanced codes), RFC 4954 section 6 (sign-in).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from postern.wire.errors import MailError
from postern.wire.smtp import limits


class Stage(StrEnum):
    """How far the conversation had come; the value ends the sentence "the server refused …"."""

    GREETING = "the connection"
    EHLO = "our greeting"
    STARTTLS = "to begin encryption"
    AUTH = "the sign-in"
    SENDER = "the sender"
    RECIPIENTS = "every recipient"
    DATA = "the message"


@dataclass(frozen=True)
class Refusal:
    """One recipient the server did not take, with its reply; ``temporary`` says that trying again may help."""

    address: str
    code: int
    text: str
    temporary: bool


@dataclass(frozen=True)
class _Meaning:
    """A row: at these stages, a reply that looks like ``pattern`` ("code text") means ``code``."""

    stages: frozenset[Stage]
    pattern: str
    code: str
    message: str
    advice: str


_ANY = frozenset(Stage)
_ENVELOPE = frozenset({Stage.SENDER, Stage.DATA})
_CHECK = "Check the addresses."
# RFC 3463: x.2.2 is a full mailbox. Some servers say it in words alone.
_FULL = re.compile(r"[45]\d\d (?:[45]\.2\.2\b|.*(?:over ?quota|mailbox (?:is )?full))", re.IGNORECASE)
_TRY_LATER = "Nothing needs to be done; Postern tries again."

# First match counts. 4xx replies that match no row are "server_busy", 5xx ones the stage's own refusal.
_MEANINGS = (
    _Meaning(
        frozenset({Stage.AUTH}),
        r"5\d\d .*(5\.7\.9\b|application.specific|app password)",
        "password_rejected",
        "The server does not take the ordinary password.",
        "The provider wants an app password here: make one in the account's security settings.",
    ),
    _Meaning(
        frozenset({Stage.AUTH}),
        r"5\d\d .*(5\.7\.139|basic authentication is disabled|SmtpClientAuthentication is disabled)",
        "password_rejected",
        "The provider has switched off signing in with a password.",
        "Use the sign-in type XOAUTH2, or ask the provider's administrator to allow SMTP sign-in.",
    ),
    _Meaning(
        frozenset({Stage.AUTH}),
        r"(535|5\d\d 5\.7\.8)\b",
        "password_rejected",
        "The server rejected the user name or the password.",
        "Enter both again. Some providers want an app password instead of the ordinary one.",
    ),
    _Meaning(
        frozenset({Stage.AUTH}),
        r"(538|53\d 5\.7\.11)\b",
        "server_refused",
        "The server takes this sign-in only over an encrypted connection.",
        "Choose SSL/TLS or STARTTLS.",
    ),
    _Meaning(
        frozenset({Stage.AUTH}),
        r"(504|534|5\d\d 5\.5\.4)\b",
        "server_refused",
        "The server does not accept this type of sign-in.",
        "Choose “automatic” as the authentication type.",
    ),
    _Meaning(
        _ENVELOPE,
        r"530\b",
        "server_refused",
        "The server wants a sign-in before it takes mail.",
        "Choose an authentication type and enter user name and password.",
    ),
    _Meaning(
        _ENVELOPE,
        r"(552 5\.2\.2|552 .*(quota|mailbox full))",
        "mailbox_full",
        "The mailbox is full.",
        "Delete old mail there, or ask for more room.",
    ),
    _Meaning(
        _ENVELOPE,
        r"(552|5\d\d 5\.(3\.4|2\.3))\b",
        "too_large",
        "The message is larger than the server takes.",
        "Send fewer or smaller attachments.",
    ),
    _Meaning(
        frozenset({Stage.SENDER}),
        r"5(50|51|53|54)\b",
        "server_refused",
        "The server does not let this account send under this address.",
        "Check the sender's address; the provider must know it as one of this account's.",
    ),
    _Meaning(_ANY, r"421\b", "server_busy", "The server is closing connections at the moment.", _TRY_LATER),
)

_FALLBACK_CODE = {
    Stage.STARTTLS: "starttls_missing",
    Stage.RECIPIENTS: "recipients_refused",
    Stage.DATA: "message_refused",
}


def quotable(text: str, longest: int = 500) -> str:
    """A server's text as it may be kept: no control characters, no broken characters, bounded."""
    sound = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", sound).strip()[:longest]


def refused(stage: Stage, code: int, text: str) -> MailError:
    """The MailError for a reply that was not the hoped-for one. ``code`` outside 400-599 is no honest reply."""
    if not 400 <= code <= 599:
        return MailError(
            "protocol_error",
            "The server gave an answer that makes no sense here.",
            "Check the server's name and port; something other than a mail server may answer.",
            temporary=True,
        )
    quoted = f"{code} {quotable(text)}".strip()
    temporary = code < 500
    # A refused sign-in is never repeated for what it says: providers count wrong passwords.
    if (temporary or stage is not Stage.AUTH) and (limit := limits.over_limit(code, quoted)):
        return limit
    our_code, message, advice = _meaning(stage, quoted, temporary=temporary)
    return MailError(
        our_code,
        message,
        advice,
        temporary=temporary,
        server_text=quoted,
        retry_after=limits.asked_wait(quoted) if temporary else None,
    )


def _meaning(stage: Stage, quoted: str, *, temporary: bool) -> tuple[str, str, str]:
    for row in _MEANINGS:
        if stage in row.stages and re.match(row.pattern, quoted, re.IGNORECASE):
            return row.code, row.message, row.advice
    if temporary and stage is Stage.STARTTLS:
        return "server_busy", "The server cannot begin encryption at the moment.", _TRY_LATER
    if temporary and stage is not Stage.RECIPIENTS:
        return "server_busy", f"The server does not take {stage} at the moment.", _TRY_LATER
    advice = _TRY_LATER if temporary else "The server's own words say why."
    return _FALLBACK_CODE.get(stage, "server_refused"), f"The server refused {stage}.", advice


def recipient_refused(address: str, code: int, text: str) -> Refusal:
    """The refusal of one recipient, ``code`` from 400 to 599; a limit that passes by itself is temporary."""
    words = quotable(text)
    return Refusal(address, code, words, code < 500 or limits.over_limit(code, f"{code} {words}") is not None)


class RecipientsRefused(MailError):
    """No recipient was taken, so nothing was sent; ``refused`` holds the reply to each."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        # One that may be taken later is reason enough to try again: nobody has got the letter yet.
        temporary = any(refusal.temporary for refusal in refusals)
        first = refusals[0]
        said = [f"{refusal.code} {refusal.text}" for refusal in refusals]
        over = [limits.over_limit(refusal.code, words) for refusal, words in zip(refusals, said, strict=True)]
        code, message, advice = "recipients_refused", f"The server refused “{first.address}”.", _CHECK
        if all(_FULL.match(words) for words in said):
            code, message = "mailbox_full", f"The mailbox of “{first.address}” is full."
            advice = "Nothing is wrong with your message. Reach them another way, or send it again later."
        if len(refusals) > 1:
            message = "The server refused every recipient."
        if (limit := over[0]) is not None and all(over):
            code, message = limit.code, limit.message
        waits = [limit.retry_after for limit in over if limit is not None]
        waits += [
            limits.asked_wait(words)
            for refusal, words in zip(refusals, said, strict=True)
            if refusal.code < 500
        ]
        super().__init__(
            code,
            message,
            _TRY_LATER if temporary else advice,
            temporary=temporary,
            server_text=said[0],
            retry_after=max((wait for wait in waits if wait is not None), default=None),
        )
        self.refused = refusals


class SomeRefused(MailError):
    """The error of a letter that was handed over for others; those of ``refused`` certainly did not get it."""

    def __init__(self, error: MailError, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(
            error.code,
            error.message,
            error.advice,
            temporary=error.temporary,
            server_text=error.server_text,
            retry_after=error.retry_after,
        )
        self.refused = refusals
