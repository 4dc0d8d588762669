"""Threading by Message-ID and References: an incremental union, one mailbox at a time.

Order of arrival does not matter: ids that were only referred to are remembered, so the history of a
mailbox, read newest first, ends in the same groups as oldest first. No merging by subject.
What a shared conversation takes is decided in postern.mail.apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection

from postern.mail.apart import Joining, Sorted, people_in, sort_out
from postern.mail.bulk import ask, column, pour
from postern.mail.models import Aside, Conversation, Message, Reference

_LOCK = 7009
# Which conversations are shared is looked up once, not for every id.
_KNOWN = """
SELECT r.id_hash, r.conversation_id,
  r.conversation_id = ANY (ARRAY(SELECT conversation_id FROM mail_conversationshare WHERE mailbox_id = %s))
  FROM unnest(%s) one CROSS JOIN LATERAL (
    SELECT id_hash, conversation_id FROM mail_reference WHERE mailbox_id = (SELECT %s::bigint) AND id_hash = one OFFSET 0) r"""


def lock(mailbox_id: int) -> None:
    """Let nobody else store or thread letters of this mailbox until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s::int)", [_LOCK, mailbox_id % 2**31])


def try_lock(mailbox_id: int) -> bool:
    """Do the same if nobody else has it just now; False if somebody has."""
    return bool(ask("SELECT pg_try_advisory_xact_lock(%s, %s::int)", _LOCK, mailbox_id % 2**31)[0][0])


@dataclass
class Places:
    """The conversation of each letter, and the letters that shared conversations concern, by their numbers.

    shared: those that joined one; aside: those that stand aside of one, with that conversation.
    """

    conversations: list[int]
    shared: list[int]
    aside: dict[int, int]


def place_all(
    mailbox_id: int,
    letters: Sequence[Sequence[int]],
    joining: Callable[[int], Joining] | None = None,
) -> Places:
    """Return where each letter belongs, given by the keys of its ids; conversations are made or merged as needed.

    Several conversations that turn out to be one become the oldest of them. Keyed by mailbox, so a forged
    reference never joins another person's thread. Few statements, however many letters. `joining` tells what
    decides whether a letter may join a shared conversation; without it none does. To all others a shared
    conversation is not there.
    """
    lock(mailbox_id)  # the worker that sends must not thread this mailbox meanwhile
    known, shared = _known(mailbox_id, {h for many in letters for h in many})
    found = sort_out(letters, known, people_in(mailbox_id, shared), joining) if shared else Sorted()
    known |= found.own
    free = _free(letters, known, shared, found.joined) if shared else letters
    placed = _place(mailbox_id, free, known, found.joined)
    new = {h: pk for many, pk in zip(free, placed, strict=True) for h in many if h not in known}
    _remember(mailbox_id, new | found.own)
    return Places(placed, sorted(found.joined), found.aside)


def _free(
    letters: Sequence[Sequence[int]], known: dict[int, int], shared: set[int], joined: dict[int, int]
) -> list[Sequence[int]]:
    """The ids of each letter that are not a shared conversation's."""
    return [
        () if number in joined else [h for h in many if known.get(h) not in shared]
        for number, many in enumerate(letters)
    ]


def stay(mailbox_id: int, letters: Sequence[Sequence[int]], conversations: Sequence[int]) -> None:
    """Remember the ids of letters that stay in the conversations they are in, as far as they are not known."""
    new = {h: pk for many, pk in zip(letters, conversations, strict=True) for h in many}
    _remember(mailbox_id, new)


def _place(
    mailbox_id: int, letters: Sequence[Sequence[int]], known: dict[int, int], joined: dict[int, int]
) -> list[int]:
    """Return the conversation of each letter; those of `joined` have theirs."""
    groups = _Groups(len(letters))
    for number, many in enumerate(letters):
        for h in many:
            groups.join(number, ("id", h))
            if h in known:
                groups.join(number, ("conversation", known[h]))
    found: dict[int, set[int]] = {groups.of(n): set() for n in range(len(letters)) if n not in joined}
    for number, many in enumerate(letters):
        if number not in joined:
            found[groups.of(number)].update(known[h] for h in many if h in known)
    chosen = _choose(mailbox_id, found)
    return [joined[n] if n in joined else chosen[groups.of(n)] for n in range(len(letters))]


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


def _known(mailbox_id: int, hashes: set[int]) -> tuple[dict[int, int], set[int]]:
    """Return key -> conversation of the ids that are known, and which of these conversations are shared."""
    found = ask(_KNOWN, mailbox_id, column("bigint", sorted(hashes)), mailbox_id)
    return {h: pk for h, pk, _ in found}, {pk for _, pk, shared in found if shared}


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


def _remember(mailbox_id: int, new: dict[int, int]) -> None:
    """Write down in which conversations ids are, except those that are known."""
    pour(Reference, ("id_hash", "conversation_id"), sorted(new.items()), once=True, mailbox_id=mailbox_id)


def _merge(mailbox_id: int, others: list[int], chosen: int) -> None:
    # Not by mailbox, whose every letter would be read for it (postern.mail.bulk); conversations have one only.
    Message.objects.filter(conversation_id__in=others).update(conversation_id=chosen)
    for model in (Reference, Aside):
        rows = model._default_manager.filter(conversation_id__in=others)
        rows.update(conversation_id=chosen)
    Aside.objects.filter(mailbox_id=mailbox_id, stood_in__in=others).update(stood_in=chosen)
    Conversation.objects.filter(pk__in=others).delete()
