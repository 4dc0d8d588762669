"""Delivery reports: which letter did not arrive, for whom, and whether trying again helps (RFC 3464, RFC 3463)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postern.mime.addresses import normalise
from postern.mime.headers import Headers, read_headers
from postern.mime.read import Letter, Part, part_bytes

_MAX_RECIPIENTS = 200
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_REPLY = re.compile(r"\b([45]\d\d)[ -]")
_BRACKETED = re.compile(r"<([^<>\s]{3,320}@[^<>\s]{1,255})>")
_MESSAGE_ID = re.compile(r"^\s*Message-ID:\s*<([^<>\s]{3,900})>", re.IGNORECASE | re.MULTILINE)
_SENDER = re.compile(
    r"^(?:mailer-daemon|postmaster|mail-daemon|mdaemon|microsoftexchange\w*)@", re.IGNORECASE
)
_SUBJECT = re.compile(
    r"undeliver|delivery status notification|delivery (?:has )?fail|failure notice|mail delivery|returned mail|"
    r"returned to sender|unzustellbar|nicht zugestellt|non remis|échec de la remise|mancato recapito|no se puede entregar",
    re.IGNORECASE,
)
_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")


@dataclass(frozen=True)
class BouncedRecipient:
    """One recipient of a report: action as RFC 3464 names it, status like 5.1.1, and the server's own words."""

    address: str
    action: str  # failed, delayed, delivered, relayed, expanded
    status: str
    text: str

    @property
    def permanent(self) -> bool:
        """Trying again will not help."""
        return self.action == "failed" and not self.status.startswith("4")


@dataclass(frozen=True)
class Bounce:
    """A delivery report; original_message_id is '' when the report does not say which letter it is about."""

    original_message_id: str
    recipients: tuple[BouncedRecipient, ...]

    @property
    def permanent(self) -> bool:
        return any(recipient.permanent for recipient in self.recipients)


def read_bounce(letter: Letter) -> Bounce | None:
    """The report in a letter, or None when it is none. A positive receipt is a Bounce without failed recipients."""
    for part in letter.parts:
        if part.content_type in ("message/delivery-status", "message/global-delivery-status"):
            recipients = tuple(_recipients(part_bytes(letter.raw, part)))
            if recipients:
                return Bounce(_original_id(letter), recipients)
    return _guessed(letter)


def _recipients(data: bytes) -> Iterator[BouncedRecipient]:
    for block in _BLANK.split(data)[: _MAX_RECIPIENTS + 1]:
        fields, _ = read_headers(block, 0, len(block), lambda defect: None)
        address = _typed(fields, "final-recipient") or _typed(fields, "original-recipient")
        if address:
            status = _STATUS.search(fields.get("status"))
            text = fields.get("diagnostic-code").partition(";")[2].strip() or fields.get("diagnostic-code")
            action = fields.get("action").partition(" ")[0].lower() or "failed"
            yield BouncedRecipient(address, action, status[1] if status else "", text[:1000])


def _typed(fields: Headers, name: str) -> str:
    """The address of `rfc822; person@host`."""
    value = fields.get(name)
    return normalise(value.partition(";")[2] or value)


def _original_id(letter: Letter) -> str:
    """The Message-ID of the returned letter or of its headers."""
    for part in letter.parts:
        if part.content_type in (
            "message/rfc822",
            "text/rfc822-headers",
            "message/global",
            "message/global-headers",
        ):
            headers = _headers_of(letter, part)
            found = re.search(r"<([^<>\s]{3,900})>", headers.text("message-id"))
            if found:
                return found[1]
    found = _MESSAGE_ID.search(letter.text)
    return found[1] if found else ""


def _headers_of(letter: Letter, part: Part) -> Headers:
    data = part_bytes(letter.raw, part)[:262_144]
    return read_headers(data, 0, len(data), lambda defect: None)[0]


def _guessed(letter: Letter) -> Bounce | None:
    """Reports in prose (qmail, Exim, old Exchange): a mail server writes about a failure and names an address."""
    author = letter.from_[0].address if letter.from_ else ""
    if not _SUBJECT.search(letter.subject) or not (_SENDER.match(author) or letter.automatic):
        return None
    text = letter.text[:50_000]
    named = [normalise(word) for word in letter.header("x-failed-recipients").split(",")]
    named = [address for address in named if address] or _named_in(text, normalise(author))
    if not named:
        return None
    status = _STATUS.search(text)
    reply = _REPLY.search(text)
    code = status[1] if status else (f"{reply[1][0]}.0.0" if reply else "5.0.0")
    action = "delayed" if code.startswith("4") else "failed"
    said = next(
        (line.strip() for line in text.splitlines() if _STATUS.search(line) or _REPLY.search(line)), ""
    )
    recipients = tuple(BouncedRecipient(address, action, code, said[:1000]) for address in named)
    return Bounce(_original_id(letter), recipients)


def _named_in(text: str, author: str) -> list[str]:
    """Addresses in angle brackets before the copy of the letter begins."""
    head = re.split(r"(?m)^-{2,}.*(?:copy|original|forwarded|below this line)", text, maxsplit=1)[0]
    head = re.sub(r"(?im)^[ >]*(?:message-id|references|in-reply-to):.*$", "", head)
    found = [normalise(address) for address in _BRACKETED.findall(head)]
    return [address for address in dict.fromkeys(found) if address and address != author][:_MAX_RECIPIENTS]
