"""Where the raw letters lie: zstd-compressed in the database, in the transaction of their message."""

from __future__ import annotations

from collections.abc import Sequence

from postern.mail.bulk import pour
from postern.mail.models import Message, Raw


def put_many(mailbox_id: int, letters: Sequence[tuple[int, bytes, bytes]]) -> None:
    """Keep letters given as (message id, SHA-256, packed bytes)."""
    pour(Raw, ("message_id", "data"), [(pk, packed) for pk, _, packed in letters], mailbox_id=mailbox_id)


def get(message: Message) -> bytes:
    """Return the raw letter of a message, byte for byte. Raises Raw.DoesNotExist."""
    return message.raw.letter()
