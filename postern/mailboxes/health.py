"""A mailbox's health in words: what happened, since when, and the one fix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from postern.mailboxes.models import MailboxHealth
from postern.wire.errors import quoted

State = MailboxHealth.State


@dataclass(frozen=True)
class Words:
    """What a badge and its panel say. `tone` is good, busy, warning or bad; `fix` is '' when nothing is to do."""

    title: str
    sentence: str
    fix: str
    tone: str


_TONES = {
    State.NEW: "busy",
    State.FIRST_SYNC: "busy",
    State.IN_SYNC: "good",
    State.RECONNECTING: "warning",
    State.PASSWORD_REJECTED: "bad",
    State.CERTIFICATE_CHANGED: "bad",
    State.FAILED: "bad",
    State.PAUSED: "warning",
}


def in_words(health: MailboxHealth, now: datetime | None = None) -> Words:
    """Return the words for a mailbox's health; the server's reply is quoted as its own words."""
    state = State(health.state)
    return Words(_title(health), _sentence(health, now or timezone.now()), _fix(health), _TONES[state])


def comparison(health: MailboxHealth, now: datetime | None = None) -> str:
    """Say when the mailbox was last compared with its server and what came of it; '' when that never was."""
    if health.reconciled_at is None:
        return ""
    found = health.reconciled.partition("\n")[0]
    return (
        f"Compared with the mail server {ago(health.reconciled_at, now or timezone.now())}. {found}".strip()
    )


def _title(health: MailboxHealth) -> str:
    if health.state == State.RECONNECTING and health.code == "over_limit":
        return "Provider’s limit reached"
    if health.state == State.PASSWORD_REJECTED and health.code == "token_rejected":
        return "Access token rejected"
    if health.state == State.FAILED and health.code == "unchecked_refused":
        return "Certificate must be checked"
    if health.state == State.FIRST_SYNC and health.code == "history_rests":
        return "First sync rests"
    if health.state == State.FIRST_SYNC and health.total:
        return f"First sync {min(100, 100 * health.done // health.total)}%"
    return str(State(health.state).label)


def _rate(health: MailboxHealth, now: datetime) -> str:
    """How many messages a second a first sync brings, once that can be said."""
    seconds = (now - health.since).total_seconds() if health.since else 0.0
    return f", {health.done / seconds:,.0f} a second" if seconds >= 2 and health.done >= seconds else ""


def _sentence(health: MailboxHealth, now: datetime) -> str:
    since = f" Since {moment(health.since, now)}." if health.since else ""
    match health.state:
        case State.NEW:
            return "Postern has not visited this mailbox yet."
        case State.FIRST_SYNC if health.code == "history_rests":
            so_far = f"{health.done:,} of {health.total:,} messages are here so far. " if health.total else ""
            until = f" They wait until {moment(health.goes_on_at, now)}." if health.goes_on_at else ""
            return f"{so_far}{health.message}{until}"
        case State.FIRST_SYNC:
            return f"{health.done:,} of {health.total:,} messages are here{_rate(health, now)}. You can work meanwhile."
        case State.IN_SYNC:
            return (
                f"Last sync {ago(health.last_sync_at, now)}." if health.last_sync_at else "All mail is here."
            )
        case State.PAUSED:
            return f"Inbox processing is switched off; what was imported stays.{since}"
        case State.PASSWORD_REJECTED:
            if health.code == "token_rejected":
                return f"The access token has ended or was taken back; mail waits on the server.{_quote(health)}{since}"
            return f"Password rejected.{_quote(health)}{since}"
        case State.CERTIFICATE_CHANGED:
            return f"The server shows another certificate than the one remembered.{since} Nothing was sent to it."
    so_far = ""
    if health.code == "over_limit" and health.done < health.total:
        so_far = f" {health.done:,} of {health.total:,} messages are here so far."
    return f"{health.message or 'The server cannot be reached.'}{_quote(health)}{since}{so_far}"


def _quote(health: MailboxHealth) -> str:
    said = quoted(health.server_text.strip().rstrip("."))
    return f" Your provider said: {said}." if said else ""


def _fix(health: MailboxHealth) -> str:
    match health.state:
        case State.PASSWORD_REJECTED:
            return health.advice or "Enter the password again. Some providers want an app password."
        case State.CERTIFICATE_CHANGED:
            return "Ask whoever runs the server whether it has a new certificate; if so, accept it."
        case State.RECONNECTING | State.FIRST_SYNC if health.code in ("over_limit", "history_rests"):
            return health.advice
        case State.RECONNECTING:
            return "Nothing needs to be done; Postern tries again by itself."
        case State.FAILED:
            return health.advice or "Check the settings and test the connection."
        case State.PAUSED:
            return "Switch inbox processing on."
    return ""


def ago(then: datetime, now: datetime) -> str:
    """Say how long ago: "12 s ago", "5 min ago", "3 h ago", "2 days ago"."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit[:-1] if unit == 'days' and count == 1 else unit} ago"
    return f"{seconds} s ago"


def moment(then: datetime, now: datetime) -> str:
    """Say when: the time alone for today, else with its day."""
    local = timezone.localtime(then)
    same_day = local.date() == timezone.localtime(now).date()
    return f"{local:%H:%M}" if same_day else f"{local:%-d %b %H:%M}"
