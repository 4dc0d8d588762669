"""Threading by Message-ID and References: an incremental union, one mailbox at a time.

Order of arrival does not matter: ids that were only referred to are remembered, so the history of a
mailbox, read newest first, ends in the same groups as oldest first. No merging by subject.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from postern.mail.models import Conversation, Message, Reference
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


def place(mailbox_id: int, ids: Iterable[str]) -> int:
    """Return the id of the conversation that `ids` belong to, made or merged as needed.

    Several conversations that turn out to be one become the oldest of them. Keyed by mailbox, so a forged
    reference never joins another person's thread.
    """
    hashes = sorted({id_hash(i) for i in ids})
    rows = Reference.objects.select_for_update().filter(mailbox_id=mailbox_id, id_hash__in=hashes)
    found = sorted(set(rows.order_by("id_hash").values_list("conversation_id", flat=True)))
    if found:
        chosen, *others = found
        if others:
            _merge(mailbox_id, others, chosen)
    else:
        chosen = Conversation.objects.create(mailbox_id=mailbox_id).pk
    Reference.objects.bulk_create(
        [Reference(mailbox_id=mailbox_id, id_hash=h, conversation_id=chosen) for h in hashes],
        ignore_conflicts=True,
    )
    return chosen


def _merge(mailbox_id: int, others: list[int], chosen: int) -> None:
    Message.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Reference.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Conversation.objects.filter(pk__in=others).delete()
