"""A world with one conversation to share and one to keep, and ways to look at what a share shows."""

from __future__ import annotations

from postern.mail import lists, sharing
from postern.mail.access import viewing_as
from postern.mail.models import (
    ConversationShare,
    Message,
)
from postern.people.models import Staff
from tests.world import World, arrive, letter, make_world

GRETA, PAUL = "Greta Brandt <greta@brandt-bakery.example>", "Paul <paul@else.example>"


def mail(mid: str, *references: str, **more: str) -> bytes:
    """A letter with a known Message-ID that refers to others."""
    line = f"References: {' '.join(f'<{one}@x.example>' for one in references)}\r\n" if references else ""
    return letter(mid=f"{mid}@x.example", subject=mid, headers=line + more.pop("headers", ""), **more)


def shared_world(acting_as) -> World:
    """The owner has a thread with Greta (a, b, the answer c) and a private one with Paul (p, q)."""
    world = make_world(acting_as)
    blind = "Bcc: secret@else.example\r\n"
    arrive(
        acting_as, world.inbox, mail("a"), mail("b", "a"), mail("p", sender=PAUL), mail("q", "p", sender=PAUL)
    )
    arrive(
        acting_as,
        world.sent,
        mail("c", "a", "b", sender="owner@isp.example", to="greta@brandt-bakery.example", headers=blind),
    )
    return world


THREAD, PRIVATE = {"a", "b", "c"}, {"p", "q"}


def conversation_of(world: World, subject: str) -> int:
    """The number of the conversation of the letter with this subject."""
    with viewing_as(world.owner):
        return Message.objects.get(subject=subject).conversation_id


def share(world: World, who: Staff | None = None, of: str = "a", **more: object) -> ConversationShare:
    """Share a conversation, as its owner does."""
    with viewing_as(world.owner):
        return sharing.share(
            staff=world.owner,
            conversation=conversation_of(world, of),
            colleague=who or world.colleague,
            **more,  # type: ignore[arg-type]
        )


def take_back(world: World, who: Staff | None = None) -> None:
    """End that share."""
    with viewing_as(world.owner):
        colleague = (who or world.colleague).pk
        sharing.take_back(staff=world.owner, conversation=conversation_of(world, "a"), colleague=colleague)


def behind(viewer: Staff) -> set[str]:
    """What the row policies alone show."""
    with viewing_as(viewer):
        return set(Message.objects.values_list("subject", flat=True))


def found(viewer: Staff, word: str) -> set[str]:
    """Subjects of the hits of a search."""
    with viewing_as(viewer):
        page = lists.inbox_page(viewer, lists.Filter(text=word))
        return {message.subject for message in page.messages}


def threads(world: World) -> set[frozenset[str]]:
    """The subjects of each conversation, as sets."""
    groups: dict[int, set[str]] = {}
    with viewing_as(world.owner):
        for subject, conversation in Message.objects.values_list("subject", "conversation_id"):
            groups.setdefault(conversation, set()).add(subject)
    return {frozenset(group) for group in groups.values()}


def hint(world: World, subject: str, viewer: Staff | None = None) -> sharing.StandsAside | None:
    """What is told of a letter that stands aside; None for one that does not."""
    viewer = viewer or world.owner
    with viewing_as(viewer):
        messages = list(Message.objects.filter(subject=subject))
        return next(iter(sharing.stand_aside(viewer, messages).values()), None)
