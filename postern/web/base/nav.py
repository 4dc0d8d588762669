"""The places of the sidebar. A place whose URL name does not exist yet is not shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True)
class Place:
    """key: what a view puts in `nav`; url_name: its URL's name; query: a filter; count: which of the sidebar's numbers."""

    key: str
    label: str
    icon: str
    group: str
    url_name: str
    query: str = ""
    count: str = ""
    hot: bool = False
    short: str = ""
    roles: frozenset[str] = frozenset()
    shortcut: str = ""


PLACES = (
    Place("inbox", "Inbox", "inbox", "Messages", "inbox", count="unread", hot=True, shortcut="G I"),
    Place(
        "unknown",
        "Author not found",
        "user-round-search",
        "Messages",
        "inbox",
        query="?show=unknown",
        count="unknown",
        short="Not found",
    ),
    Place("drafts", "Drafts", "file-pen-line", "Messages", "drafts", count="drafts"),
    Place("sent", "Sent", "send", "Messages", "sent", shortcut="G S"),
    Place("blocked", "Blocked", "ban", "Messages", "blocked"),
    Place("customers", "Customers", "users-round", "Customers", "customers", shortcut="G C"),
    Place("leads", "Leads", "sprout", "Customers", "leads"),
    Place("config", "Config", "settings", "Administration", "config", roles=frozenset({"super"})),
)


def link(url_name: str, query: str = "", args: tuple[int, ...] = ()) -> str:
    """The address of a place, or "" when no page of that name exists."""
    try:
        return reverse(url_name, args=args) + query
    except NoReverseMatch:
        return ""


@dataclass(frozen=True)
class Entry:
    """A place as this viewer sees it."""

    place: Place
    url: str
    count: int

    @property
    def counted(self) -> bool:
        """True when its number is shown."""
        return bool(self.place.count)


def entries(staff: Any, numbers: Mapping[str, int]) -> list[Entry]:
    """Every place this member of staff may go to, in order, with its count."""
    found = []
    for place in PLACES:
        url = link(place.url_name, place.query)
        allowed = not place.roles or getattr(staff, "role", "") in place.roles
        if url and allowed:
            found.append(Entry(place, url, numbers.get(place.count, 0)))
    return found
