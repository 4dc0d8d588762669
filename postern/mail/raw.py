"""The bytes of a letter as one person may have them: blind copies are the owner's alone, whoever reads."""

from __future__ import annotations

from postern.mail.models import Message
from postern.mime.blind import without_bcc
from postern.mime.calendars import Event
from postern.mime.parts import Part
from postern.mime.read import part_bytes, read
from postern.people.models import Staff

CALENDARS = {"text/calendar", "application/ics"}


def letter_for(*, staff: Staff, message: Message) -> bytes:
    """Return the raw letter; for anybody but its mailbox's owner without the Bcc headers."""
    raw = message.raw.letter()
    return raw if message.mailbox.owner_id == staff.pk else without_bcc(raw)


def download_name(name: str) -> str:
    """Return a file name that is safe in a Content-Disposition header (RFC 6266) and on any disk."""
    return ("".join(c for c in name if c.isprintable() and c not in '/\\"').strip(". ") or "file")[:180]


def events_of(message: Message) -> tuple[Event, ...]:
    """Return the meetings a letter's calendar parts speak of; only a letter that has such a part is read again."""
    kinds = {attachment.content_type for attachment in message.attachments.all()}
    return read(message.raw.letter()).events if kinds & CALENDARS else ()


def file_of(message: Message, index: int) -> tuple[Part, bytes] | None:
    """Return a part of a letter that is listed as an attachment, with its decoded bytes; None for any other."""
    if not message.attachments.filter(index=index).exists():
        return None
    raw = message.raw.letter()
    part = next((p for p in read(raw).parts if p.index == index), None)
    return (part, part_bytes(raw, part)) if part else None
