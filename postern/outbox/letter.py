"""A draft judged and turned into the letter that goes out: recipients, sender, bytes."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postern.mail.models import Message, Raw
from postern.mailboxes.connection import Sender, policy, sender, unchecked
from postern.mailboxes.models import Mailbox, SmtpAuth, SystemEmail
from postern.mime.addresses import Mailaddr, normalise, strict_address
from postern.mime.read import read
from postern.mime.write import OutgoingFile as WrittenFile
from postern.mime.write import write
from postern.outbox.models import Delivery, OutgoingFile
from postern.wire.errors import unchecked_refused

MOST_RECIPIENTS = 100
MOST_BYTES = 25_000_000
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PIECE = re.compile(r'"[^"\r\n]*"|[,;\r\n]|[^",;\r\n]+|"')
_PAGE = '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>{}</body></html>'


class ComposeError(ValueError):
    """A letter cannot be saved or sent as it is; `fields` maps field to a message, the draft is kept.

    `code`: invalid, too_large, not_editable, already_sent, conflict (same key, other content), too_late,
    sending_disabled, no_smtp, no_mailbox, access_ended (the right to answer in another's name).
    """

    def __init__(self, fields: dict[str, str], code: str = "invalid") -> None:
        self.fields = fields
        self.code = code
        super().__init__(" ".join(fields.values()))


@dataclass(frozen=True)
class Letter:
    """The finished letter: its bytes never change again."""

    message_id: str
    envelope_sender: str
    raw: bytes


def people(typed: str | Sequence[Any], field: str) -> list[list[str]]:
    """Return [[name, address], …] of what was typed, or of a list of such texts or pairs.

    What is no address stays as it was typed, for its author to correct. Raises ComposeError for control
    characters (S-042).
    """
    if isinstance(typed, str):
        return [_person(piece, field) for piece in _pieces(typed)]
    return [_person(_as_text(entry, field), field) for entry in typed]


def _pieces(typed: str) -> list[str]:
    pieces = [""]
    for part in _PIECE.findall(typed.replace("\t", " ")):
        if part in ",;\r\n":
            pieces.append("")
        else:
            pieces[-1] += part
    return [piece.strip() for piece in pieces if piece.strip()]


def _as_text(entry: Any, field: str) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, list | tuple) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        name, address = entry
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>' if name else address
    raise ComposeError({field: "Each recipient is an address, or a pair of name and address."})


def _person(text: str, field: str) -> list[str]:
    if _CONTROL.search(text):
        raise ComposeError({field: "A recipient contains a line break or another control character."})
    try:
        found = strict_address(text)
    except ValueError:
        return ["", text[:1000]]
    return [found.name, found.address]


def check_subject(subject: str) -> str:
    """Return the subject; raises ComposeError for line breaks and for more than 900 characters."""
    if _CONTROL.search(subject):
        raise ComposeError({"subject": "The subject contains a line break or another control character."})
    if len(subject) > 900:
        raise ComposeError({"subject": "The subject is longer than 900 characters."})
    return subject.strip()


def check_ready(delivery: Delivery) -> None:
    """Raise ComposeError, every fault named, unless the letter can go out as it stands."""
    faults: dict[str, str] = {}
    for field in ("to", "cc", "bcc"):
        if problems := _bad_people(getattr(delivery, field)):
            faults[field] = " ".join(problems)
    count = len(recipients(delivery))
    if not count and not faults:
        faults["to"] = "Enter at least one recipient."
    if count > MOST_RECIPIENTS:
        faults["to"] = f"The message has {count} recipients; at most {MOST_RECIPIENTS} are possible."
    has_content = delivery.subject or delivery.text.strip() or delivery.html or delivery.files.exists()
    if not has_content:
        faults["text"] = "The message is empty."
    if faults:
        raise ComposeError(faults)


def _bad_people(entries: Iterable[list[str]]) -> list[str]:
    problems = []
    for name, address in entries:
        try:
            found = strict_address(address)
        except ValueError as error:
            problems.append(str(error))
            continue
        if (
            _CONTROL.search(name)
            or "<" in name
            or ">" in name
            or found.name
            or ("@" in name and normalise(name) != normalise(address))
        ):
            problems.append(f"“{name} <{address}>” names two addresses; give them one by one.")
    return problems


def recipients(delivery: Delivery) -> list[str]:
    """Return the addresses of To, Cc and Bcc, each once."""
    everyone = [address for _, address in [*delivery.to, *delivery.cc, *delivery.bcc]]
    return list({normalise(address) or address: address for address in reversed(everyone)}.values())[::-1]


def remaining(delivery: Delivery) -> list[str]:
    """Return those to whom the letter is still to be offered: nobody took it for them, nor refused them for good."""
    settled = {*delivery.accepted, *(address for address, _, _ in delivery.refused)}
    return [address for address in recipients(delivery) if address not in settled]


def unsure(delivery: Delivery) -> list[str]:
    """Return those of whom nobody knows whether they got a letter of unknown fate."""
    deferred = {address for address, _, _ in delivery.deferred}
    return [address for address in remaining(delivery) if address not in deferred]


def check_way_out(mailbox: Mailbox) -> None:
    """Raise ComposeError unless the mailbox may and can send."""
    if not mailbox.sending:
        words = "Sending is switched off for this mailbox, so the message stays a draft."
        raise ComposeError(
            {"mailbox": f"{words} Switch it on in My Profile → Email → SMTP settings."}, "sending_disabled"
        )
    if mailbox.use_system_smtp:
        system = SystemEmail.current()
        if not system.sending:
            words = "Sending through the company’s server is switched off in Config → Main → Email."
            raise ComposeError({"mailbox": f"{words} The message stays a draft."}, "sending_disabled")
        ready = system.smtp_host and "@" in system.sender_email
        ready = ready and (system.has_smtp_secret or system.smtp_auth == SmtpAuth.NONE)
        where = "A super-administrator sets the company’s server up in Config → Main → Email."
    else:
        ready = mailbox.smtp_host and (mailbox.has_smtp_secret or mailbox.smtp_auth == SmtpAuth.NONE)
        where = "Set up SMTP in My Profile → Email → SMTP settings."
        if "smtp" in unchecked(mailbox) and not policy().unchecked:
            raise ComposeError({"mailbox": str(unchecked_refused(mailbox.smtp_host))}, "unchecked_refused")
    if not ready:
        raise ComposeError({"mailbox": f"No server to send through is set up. {where}"}, "no_smtp")


def build(delivery: Delivery, *, date: datetime) -> Letter:
    """Return the finished letter. Raises ComposeError for what cannot be written, or is larger than 25 MB."""
    who = sender(delivery.mailbox)
    message_id = f"{secrets.token_hex(16)}@{who.envelope.rpartition('@')[2]}"
    try:
        raw = _written(delivery, who, message_id, date)
    except ValueError as error:
        raise ComposeError({"text": str(error)}) from error
    if len(raw) > MOST_BYTES:
        raise ComposeError({"files": too_large(len(raw))}, "too_large")
    return Letter(message_id, who.envelope, raw)


def too_large(size: int) -> str:
    """Say that a letter of `size` bytes cannot go out."""
    return (
        f"The message has {size / 1e6:.1f} MB with its attachments as they are sent;"
        f" at most {MOST_BYTES // 1_000_000} MB are possible. Remove or shrink an attachment."
    )


def _written(delivery: Delivery, who: Sender, message_id: str, date: datetime) -> bytes:
    in_reply_to, references = _threading(delivery)
    return write(
        sender=who.from_,
        to=[Mailaddr(name, address) for name, address in delivery.to],
        cc=[Mailaddr(name, address) for name, address in delivery.cc],
        reply_to=who.reply_to,
        subject=delivery.subject,
        text=delivery.text,
        html=_PAGE.format(delivery.html) if delivery.html else None,
        attachments=[
            WrittenFile(file.name, file.content_type, bytes(file.data), file.content_id)
            for file in delivery.files.all()
        ],
        message_id=message_id,
        date=date,
        in_reply_to=in_reply_to,
        references=references,
    )


def _threading(delivery: Delivery) -> tuple[str, list[str]]:
    """In-Reply-To and References (RFC 5322 section 3.6.4). A forward belongs to the thread and answers nobody."""
    earlier: Message | None = delivery.answers
    if earlier is None or not earlier.message_id:
        return "", []
    row = Raw.objects.filter(message=earlier).first()
    letter = read(row.letter()) if row else None
    chain = list((letter.references or letter.in_reply_to[:1]) if letter else ())
    return ("" if delivery.forward else earlier.message_id), [*chain, earlier.message_id]


def digest(delivery: Delivery) -> str:
    """Return the SHA-256 of all that makes the letter what it is, for telling a repeated request from another."""
    files = [
        [file.name, file.content_type, file.content_id, hashlib.sha256(bytes(file.data)).hexdigest()]
        for file in OutgoingFile.objects.filter(delivery=delivery).order_by("pk")
    ]
    told = [delivery.mailbox_id, delivery.to, delivery.cc, delivery.bcc, delivery.subject]
    told += [delivery.html, delivery.text, delivery.answers_id, delivery.forward, files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
