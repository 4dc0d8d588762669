"""What a page does when it shows mail: the line in the reader log, and nothing at all for a prefetch."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404, HttpRequest

from postern.mail.models import Message, Opening
from postern.mail.readerlog import note
from postern.people.models import Staff

What = Opening.What
# Sec-Purpose is the standard's; the others are what older Chromium, Safari and Firefox send. "prerender" comes with it.
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_AHEAD = ("prefetch", "preview", "prerender")


def prefetched(request: HttpRequest) -> bool:
    """True when a program asks ahead of the person, who may never look."""
    told = " ".join(request.headers.get(name, "") for name in _PURPOSES).lower()
    return any(word in told for word in _AHEAD) or request.headers.get("HX-Preloaded") == "true"


def opened(
    request: HttpRequest,
    messages: Sequence[Message],
    what: Opening.What,
    part: int | None = None,
    part_name: str = "",
) -> None:
    """Note an opening, before anything is shown. Raises Http404 for a prefetch of another's mail.

    A prefetch writes nothing, so it must not show anything either: with its header alone a reader would read
    unseen.
    """
    staff = request.user
    assert isinstance(staff, Staff)
    if prefetched(request):
        if any(message.mailbox.owner_id != staff.pk for message in messages):
            raise Http404
        return
    note(staff=staff, messages=messages, what=what, door=Opening.Door.PAGE, part=part, part_name=part_name)
