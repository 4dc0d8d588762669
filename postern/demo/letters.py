"""One letter of the demo as plain data, and how it becomes bytes with a time before now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

from postern.demo.accounts import MARTA
from postern.mime.addresses import Mailaddr, domain_of
from postern.mime.write import OutgoingFile, write


@dataclass(frozen=True)
class Letter:
    """A letter. `key` names it in this demo; `thread` are keys of earlier letters, the oldest first.

    hours: how long before now it arrived. folder and seen: where it lies, and whether it was read.
    proven: what the provider's server says about the sender (pass, fail, none). bulk: a list's mail.
    """

    key: str
    sender: str
    subject: str
    text: str
    hours: float = 0.0
    to: tuple[str, ...] = (MARTA,)
    cc: tuple[str, ...] = ()
    html: str = ""
    files: tuple[OutgoingFile, ...] = ()
    thread: tuple[str, ...] = ()
    seen: bool = False
    folder: str = "INBOX"
    proven: str = "pass"
    bulk: bool = False
    automatic: bool = False

    @property
    def message_id(self) -> str:
        """The Message-ID without angle brackets."""
        return f"{self.key}.2026@{domain_of(person(self.sender).address)}"


def person(text: str) -> Mailaddr:
    """Read "Name <address>" or a bare address."""
    name, bracket, rest = text.partition("<")
    return Mailaddr(name.strip(), rest.rstrip("> ")) if bracket else Mailaddr("", text.strip())


def ids(letters: Iterable[Letter]) -> dict[str, str]:
    """Return key -> Message-ID, for the threads."""
    return {letter.key: letter.message_id for letter in letters}


def as_bytes(letter: Letter, *, now: datetime, known: dict[str, str], copy: str = "") -> bytes:
    """Return the letter as its receiver's server stored it. `known`: see ids(); `copy` makes the id differ.

    Raises KeyError when its thread names a letter that is not known.
    """
    when = arrival(letter, now)
    thread = [known[key] for key in letter.thread]
    local, _, domain = letter.message_id.partition("@")
    raw = write(
        sender=person(letter.sender),
        to=[person(one) for one in letter.to],
        cc=[person(one) for one in letter.cc],
        subject=letter.subject,
        text=letter.text,
        html=letter.html or None,
        attachments=letter.files,
        message_id=f"{local}{copy}@{domain}",
        date=when,
        in_reply_to=thread[-1] if thread else "",
        references=thread,
        automatic=letter.automatic,
    )
    return _trace(letter, when) + raw


def arrival(letter: Letter, now: datetime) -> datetime:
    """When the letter reached the server."""
    return now - timedelta(hours=letter.hours)


def _trace(letter: Letter, when: datetime) -> bytes:
    """What the provider's server writes on top of a letter that came from outside."""
    if letter.folder != "INBOX":
        return b""
    address = person(letter.sender).address
    domain = domain_of(address)
    lines = [
        f"Return-Path: <{address}>",
        f"Received: from mail.{domain} (mail.{domain} [192.0.2.25])\r\n"
        f" by mail.northlink.example (Northlink Fibre mail) with ESMTPS;\r\n {format_datetime(when)}",
        f"Authentication-Results: mail.northlink.example;\r\n dkim={letter.proven} header.d={domain};\r\n"
        f" spf={letter.proven} smtp.mailfrom={domain}; dmarc={letter.proven} header.from={domain}",
    ]
    if letter.bulk:
        lines += [f"List-Unsubscribe: <https://{domain}/unsubscribe>", "Precedence: bulk"]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
