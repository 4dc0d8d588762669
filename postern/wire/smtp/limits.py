"""A server that takes no more mail for a while: how it says so, and how long to wait. A table, no sockets (R-038).

A limit of a day is often refused with 5xx, which to every other reader of RFC 5321 means never. Only words that
can mean nothing else are taken for it: a letter too large, a full mailbox or a blocked account stay refusals.
"""

import re
from dataclasses import dataclass

from postern.wire.errors import MailError

CODE = "sending_limit"
# A day's limit mostly slides: room comes back bit by bit, so it is not slept through whole.
_DAY, _HOUR, _WHILE = 2 * 3600.0, 3600.0, 1800.0
_LONGEST_WAIT = 4 * 3600.0
_TRY_LATER = "Nothing needs to be done; Postern tries again."


@dataclass(frozen=True)
class _Limit:
    """A row: replies ("code text") like `pattern` mean `message`; `wait` in seconds, None: as after any 4xx."""

    pattern: str
    message: str
    wait: float | None
    also_5xx: bool = True


_TODAY = "The server takes no more mail from this account today: its daily limit is reached."
_HOURLY = "The server takes no more mail from this account in this hour: its limit is reached."
_NOW = "The server takes no more mail from this account at the moment: its limit is reached."
_THINGS = r"(?:e-?mails?|messages?|recipients?|failures)"

# First match counts.
_LIMITS = (
    # Gmail 4.2.1; Exchange Online “STOREDRV.Deliver”: the other side is the one that is at its limit.
    _Limit(
        r"receiving mail (?:too quickly|at a rate)|recipient thread limit",
        "A recipient’s mailbox gets more mail at the moment than its server lets in.",
        _WHILE,
    ),
    # Gmail 5.4.5; Exchange Online 5.1.90, 5.7.232, 5.7.233 and SubmissionQuotaExceeded; Amazon SES; Rackspace;
    # NetEase (MI:STC, RP:TRC: the day's letters, the day's recipients).
    _Limit(
        r"SubmissionQuotaExceeded|\b(?:daily|24.?h(?:our)?s?)\b[\w -]{0,40}\b(?:limit|quota)"
        rf"|{_THINGS} (?:per|a|in a|in one|each) day\b|\bMI:STC\b|\bRP:TRC\b",
        _TODAY,
        _DAY,
    ),
    # cPanel: “max emails per hour”, “max defers and failures per hour”; postfwd: “messages per hour exceeded”.
    _Limit(
        rf"\bhourly\b[\w -]{{0,40}}\b(?:limit|quota)|{_THINGS} (?:per|an|in an|in one|each) hour\b",
        _HOURLY,
        _HOUR,
    ),
    # Exchange Online 4.3.2: three connections at a time; it passes as soon as another letter is through.
    _Limit(
        r"sender thread limit|concurrent (?:\w+ )?connections?\b[\w -]{0,20}\blimit",
        "The server takes no more letters at the same time from this account.",
        None,
        also_5xx=False,
    ),
    # Gmail 4.7.28 and its like. As 5xx it is a block, which does not pass.
    _Limit(
        r"\b(?:unusual|excessive) (?:\w+ )?rate\b|\bthrottl",
        "The server asks to send more slowly.",
        None,
        False,
    ),
    # IONOS, GMX: “Mail send limit exceeded”; StartMail: “Your mail limit has been reached”; Exchange: “Message
    # submission rate … has exceeded the configured limit”; Amazon SES: “Maximum sending rate exceeded”; rspamd in
    # mailcow: “Ratelimit "user" exceeded”; Postfix's anvil: “too much mail from”, “too many recipients from”;
    # aditsystems: “message count quota exceeded”; NetEase: letters of a quarter of an hour, of a connection.
    _Limit(
        r"\b(?:send|sending|submission|relay|messaging|outgoing e?-?mail|mail|message|recipient)"
        r" (?:limits?|rate)\b[^.]{0,60}\b(?:exceed|reach)|\b(?:exceed|reach)[^.]{0,60}"
        r"\b(?:send|sending|submission|relay|messaging|outgoing) (?:e?-?mail )?(?:limits?|quota|rate)\b"
        r"|maximum sending rate|(?:sending|submission|outgoing e?-?mail|message count) quota\b[^.]{0,20}\bexceed"
        r"|\brate[ -]?limit\b[^.]{0,60}\b(?:exceed|reach)|too (?:much mail|many (?:e-?mails|recipients|connections)) from"
        r"|too many (?:e-?mails|messages)\b(?! in (?:the |your |this )?(?:mailbox|inbox|folder))"
        rf"|{_THINGS} (?:per|a|in a|in one|each) (?:\d+ )?minutes?\b"
        r"|\bMI:(?:SFQ|DMC)\b|\bRP:(?:QRC|DRC)\b",
        _NOW,
        None,
    ),
)
# What speaks of limits and means a letter, a mailbox or an account that was closed.
_ANOTHER_THING = re.compile(
    r"\bsize\b|too (?:big|large)|[45]\.2\.2\b|[45]\.2\.3\b|mailbox (?:is )?full|per (?:message|letter|transaction)\b"
    r"|suspended|disabled|has been blocked",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:again|retry|later|wait|delay)\b[\w ]{0,20}?\b(\d{1,6}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b",
    re.IGNORECASE,
)
_UNITS = {"s": 1, "m": 60, "h": 3600}


def over_limit(code: int, quoted: str) -> MailError | None:
    """The error when a reply (`quoted`: code and text) tells of a limit that passes by itself, else None."""
    if not 400 <= code <= 599 or _ANOTHER_THING.search(quoted):
        return None
    for row in _LIMITS:
        if (code < 500 or row.also_5xx) and re.search(row.pattern, quoted, re.IGNORECASE):
            wait = row.wait or (_HOUR if code >= 500 else None)
            asked = asked_wait(quoted)
            return MailError(
                CODE,
                row.message,
                _TRY_LATER,
                temporary=True,
                server_text=quoted,
                retry_after=asked if asked is not None else wait,
            )
    return None


def asked_wait(text: str) -> float | None:
    """How many seconds the server asks to wait before another try, four hours at most; None when it does not say."""
    found = _ASKED.search(text)
    if found is None:
        return None
    return min(float(found[1]) * _UNITS[found[2][0].lower()], _LONGEST_WAIT)
