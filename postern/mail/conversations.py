"""Threading by Message-ID and References: an incremental union, one mailbox at a time.

Order of arrival does not matter: ids that were only referred to are remembered, so the history of a
mailbox, read newest first, ends in the same groups as oldest first. No merging by subject.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from postern.mail.bulk import ask, column, pour
from postern.mail.models import Conversation, Message, Reference

_LOCK = 7009


def lock(mailbox_id: int) -> None:
    """Let nobody else store or thread letters of this mailbox until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s::int)", [_LOCK, mailbox_id % 2**31])


def place_all(mailbox_id: int, letters: Sequence[Sequence[int]]) -> list[int]:
    """Return for each letter, given by the keys of its ids, the id of its conversation, made or merged as needed.

    Several conversations that turn out to be one become the oldest of them. Keyed by mailbox, so a forged
    reference never joins another person's thread. Few statements, however many letters.
    """
    lock(mailbox_id)  # the worker that sends must not thread this mailbox meanwhile
    hashes = letters
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
    sql = "SELECT id_hash, conversation_id FROM mail_reference WHERE mailbox_id = %s AND id_hash = ANY(%s)"
    return dict(ask(sql, mailbox_id, column("bigint", sorted(hashes))))


def _choose(mailbox_id: int, found: dict[int, set[int]]) -> dict[int, int]:
    """Return group -> conversation: the oldest known one, the others merged into it, or a new one."""
    empty = [group for group, conversations in found.items() if not conversations]
    chosen = dict(zip(empty, _new(mailbox_id, len(empty)), strict=True))
    for group, conversations in found.items():
        if conversations:
            chosen[group], *others = sorted(conversations)
            if others:
                _merge(mailbox_id, others, chosen[group])
    return chosen


def _new(mailbox_id: int, number: int) -> list[int]:
    """Make that many conversations."""
    if not number:
        return []
    sql = "INSERT INTO mail_conversation (mailbox_id) SELECT %s FROM generate_series(1, %s) RETURNING id"
    return sorted(pk for (pk,) in ask(sql, mailbox_id, number))


def _remember(
    mailbox_id: int, hashes: Sequence[Sequence[int]], placed: list[int], known: dict[int, int]
) -> None:
    new = {
        h: conversation
        for many, conversation in zip(hashes, placed, strict=True)
        for h in many
        if h not in known
    }
    pour(Reference, ("id_hash", "conversation_id"), sorted(new.items()), once=True, mailbox_id=mailbox_id)


def _merge(mailbox_id: int, others: list[int], chosen: int) -> None:
    Message.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Reference.objects.filter(mailbox_id=mailbox_id, conversation_id__in=others).update(conversation_id=chosen)
    Conversation.objects.filter(pk__in=others).delete()
