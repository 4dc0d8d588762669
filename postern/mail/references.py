"""The ids that say which conversation a letter belongs to. Pure."""

from __future__ import annotations

import hashlib

from postern.mime.read import Letter

KEEP = 20
"""How many references are looked at from either end of a long References header."""


def id_hash(message_id: str) -> int:
    """Return the signed 64-bit key of a Message-ID (without angle brackets)."""
    return int.from_bytes(hashlib.sha256(message_id.encode()).digest()[:8], "big", signed=True)


def ids_of(letter: Letter) -> list[str]:
    """Return the ids that place a letter: its own, References (first and last twenty), first In-Reply-To."""
    references = letter.references
    if len(references) > 2 * KEEP:
        references = (*references[:KEEP], *references[-KEEP:])
    ids = [letter.message_id, *references, *letter.in_reply_to[:1]]
    return list(dict.fromkeys(i for i in ids if "@" in i))
