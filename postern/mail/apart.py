"""A conversation that is shared by name never grows by itself into another (rule S-133). Pure but for one question.

A forged reference must not pull private letters before a colleague's eyes. So a letter joins a shared conversation
only when everything it refers to lies in that one and its people are in it already; every other letter stands
aside until the owner of the mailbox adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from postern.mail.bulk import ask, column

_PEOPLE = """
SELECT DISTINCT m.conversation_id, a.address FROM mail_message m,
  LATERAL (SELECT m.from_address UNION SELECT e->>1 FROM jsonb_array_elements(m."to" || m.cc) e) a (address)
 WHERE m.mailbox_id = (SELECT %s::bigint) AND m.conversation_id = ANY (%s)"""


@dataclass(frozen=True, slots=True)
class Joining:
    """What decides about a letter: the key of its own Message-ID (None without one), and addresses.

    people: who must be in the conversation already, the author of a letter received, every recipient of one sent.
    everybody: who is in it once the letter has joined.
    """

    own: int | None
    people: frozenset[str]
    everybody: frozenset[str]


@dataclass
class Sorted:
    """The letters of a batch that concern shared conversations, by their numbers, with that conversation.

    own: the keys of the Message-IDs of those that join, likewise.
    """

    joined: dict[int, int] = field(default_factory=dict)
    aside: dict[int, int] = field(default_factory=dict)
    own: dict[int, int] = field(default_factory=dict)


def people_in(mailbox_id: int, conversations: Collection[int]) -> dict[int, set[str]]:
    """Return who wrote or got a letter of each conversation, by address."""
    found: dict[int, set[str]] = {pk: set() for pk in conversations}
    for pk, address in ask(_PEOPLE, mailbox_id, column("bigint", sorted(conversations))):
        found[pk].add(address)
    return found


def sort_out(
    letters: Sequence[Sequence[int]],
    known: Mapping[int, int],
    people: Mapping[int, set[str]],
    joining: Callable[[int], Joining] | None,
) -> Sorted:
    """Say which letters join a shared conversation and which stand aside of one.

    letters: the keys of each one's ids; known: key -> conversation; people: who is in each shared conversation;
    joining: what decides about the letter of a number, None when no letter joins. Their order does not matter.
    """
    found, known = Sorted(), dict(known)
    people = {pk: set(addresses) for pk, addresses in people.items()}
    before = -1
    while joining and before != len(found.joined):  # a letter that joins may let in one that answers it
        before = len(found.joined)
        for number in range(len(letters)):
            if number not in found.joined and _touches(letters[number], known, people):
                one = joining(number)
                conversation = _lets_in(letters[number], one, known, people)
                if conversation is not None:
                    found.joined[number] = conversation
                    people[conversation] |= one.everybody
                    if one.own is not None:
                        known[one.own] = found.own[one.own] = conversation
    for number, many in enumerate(letters):
        if number not in found.joined and (touched := _touches(many, known, people)):
            found.aside[number] = touched[-1]
    return found


def _touches(many: Sequence[int], known: Mapping[int, int], shared: Collection[int]) -> list[int]:
    """The shared conversations that a letter names, in its order: the last is the one it answers."""
    return [known[h] for h in many if h in known and known[h] in shared]


def _lets_in(
    many: Sequence[int], one: Joining, known: Mapping[int, int], people: Mapping[int, set[str]]
) -> int | None:
    """The shared conversation that takes a letter. An id that nobody knows yet lies in none."""
    places = {known.get(h) for h in many if h != one.own or h in known}
    chosen = places.pop() if len(places) == 1 else None
    if chosen is None or chosen not in people:
        return None
    return chosen if one.people and one.people <= people[chosen] else None
