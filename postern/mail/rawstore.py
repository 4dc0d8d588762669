"""Raw letters and their rows: in the transaction of their message, wherever the bytes lie."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from postern.mail import letterstore
from postern.mail.bulk import pour
from postern.mail.models import Message, Raw

AT_ONCE = 8  # letters on their way to a disk or a bucket; each waits for its flush or its answer


def put_many(mailbox_id: int, letters: Sequence[tuple[int, bytes, bytes]]) -> None:
    """Keep letters given as (message id, SHA-256, packed bytes). Raises LetterStoreDown.

    Outside the database a letter is durable before its row can commit; when the transaction fails, bytes
    without a row are left, which `postern letters scan` finds.
    """
    if letterstore.chosen() is None:
        pour(
            Raw,
            ("message_id", "data"),
            [(pk, packed) for pk, _, packed in letters],
            mailbox_id=mailbox_id,
            place="",
        )
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = list(pool.map(lambda letter: letterstore.put(mailbox_id, letter[1], letter[2]), letters))
    rows = [(pk, place) for (pk, _, _), place in zip(letters, places, strict=True)]
    pour(Raw, ("message_id", "place"), rows, mailbox_id=mailbox_id)


def get(message: Message) -> bytes:
    """Return the raw letter of a message, byte for byte. Raises LetterMissing, LetterStoreDown, Raw.DoesNotExist."""
    return message.raw.letter()
