"""Threading by Message-ID and References: an incremental union, one mailbox at a time.

Order of arrival does not matter: ids that were only referred to are remembered, so the history of a
mailbox, read newest first, ends in the same groups as oldest first. No merging by subject.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from django.db import connection

from postern.mail.models import Conversation, Message, Reference
from postern.mime.read import Letter

KEEP = 20
"""How many references are looked at from either end of a long References header."""
_LOCK = 7009


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
    """Return the id of the conversation that one letter with these ids belongs to."""
    return place_all(mailbox_id, [list(ids)])[0]


def place_all(mailbox_id: int, letters: Sequence[Sequence[str]]) -> list[int]:
    """Return for each letter, given by its ids, the id of its conversation, made or merged as needed.

    Several conversations that turn out to be one become the oldest of them. Keyed by mailbox, so a forged
    reference never joins another person's thread. Few statements, however many letters.
    """
    with connection.cursor() as cursor:  # the worker that sends must not thread this mailbox meanwhile
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s::int)", [_LOCK, mailbox_id % 2**31])
    hashes = [[id_hash(i) for i in ids] for ids in letters]
    known = _known(mailbox_id, {h for many in hashes for h in many})
    groups = _Groups(len(letters))
    for number, many in enumerate(hashes):
        for h in many:
            groups.join(number, ("id", h))
            if h in known:
                groups.join(number, ("conversation", known[h]))
    found: dict[int, set[int]] = {groups.of(n): set() for n in range(len(letters))}
    for number, many in enumerate(hashes):
        found[groups.of(number)].update(known[h] for h in many if h in known)
    chosen = _choose(mailbox_id, found)
    placed = [chosen[groups.of(number)] for number in range(len(letters))]
    _remember(mailbox_id, hashes, placed, known)
    return placed


class _Groups:
    """Union-find over letters that share an id or a conversation."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))
        self._first: dict[object, int] = {}

    def of(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def join(self, number: int, mark: object) -> None:
        other = self.of(self._first.setdefault(mark, number))
        self._parent[self.of(number)] = other


def _known(mailbox_id: int, hashes: set[int]) -> dict[int, int]:
    rows = Reference.objects.filter(mailbox_id=mailbox_id, id_hash__in=hashes)
    return dict(rows.values_list("id_hash", "conversation_id"))


def _choose(mailbox_id: int, found: dict[int, set[int]]) -> dict[int, int]:
    """Return group -> conversation: the oldest known one, the others merged into it, or a new one."""
    empty = [group for group, conversations in found.items() if not conversations]
    made = Conversation.objects.bulk_create([Conversation(mailbox_id=mailbox_id) for _ in empty])
    chosen = {group: row.pk for group, row in zip(empty, made, strict=True)}
    for group, conversations in found.items():
        if conversations:
            chosen[group], *others = sorted(conversations)
            if others:
                _merge(mailbox_id, others, chosen[group])
    return chosen


def _remember(mailbox_id: int, hashes: list[list[int]], placed: list[int], known: dict[int, int]) -> None:
    new = {
        h: conversation
        for many, conversation in zip(hashes, placed, strict=True)
        for h in many
        if h not in known
    }
    Reference.objects.bulk_create(
        [Reference(mailbox_id=mailbox_id, id_hash=h, conversation_id=c) for h, c in new.items()],
        ignore_conflicts=True,
    )


def _merge(mailbox_id: int, others: list[int], chosen: int) -> None:
    Message.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Reference.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Conversation.objects.filter(pk__in=others).delete()
