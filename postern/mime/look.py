"""A letter as one JSON object, for `postern letter FILE` and for looking closely."""

from collections.abc import Sequence
from typing import Any

from postern.mime.addresses import Mailaddr
from postern.mime.read import read
from postern.mime.sanitize import sanitize, text_from_html


def as_json(raw: bytes) -> dict[str, Any]:
    """subject, from, to, cc, date (ISO 8601 or null), message_id, references, text, html as shown, attachments, events, defects.

    Everything in it can be written by json.dumps. Never raises for any input bytes.
    """
    letter = read(raw)
    clean = sanitize(letter.html)
    defects = list(letter.defects)
    if clean.too_complex:
        defects.append("html too complex to show")
    return {
        "subject": letter.subject,
        "from": _people(letter.from_),
        "to": _people(letter.to),
        "cc": _people(letter.cc),
        "date": letter.date.isoformat() if letter.date else None,
        "message_id": letter.message_id,
        "references": list(letter.references),
        "text": letter.text or text_from_html(clean.html),
        "html": clean.html,
        "attachments": [
            {"name": part.filename, "type": part.content_type, "size": part.size, "inline": part.inline}
            for part in letter.parts
        ],
        "events": [event.text() for event in letter.events],
        "defects": defects,
    }


def _people(people: Sequence[Mailaddr]) -> list[dict[str, str]]:
    return [{"name": person.name, "address": person.address} for person in people]
