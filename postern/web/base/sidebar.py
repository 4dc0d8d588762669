"""What the sidebar counts and says about the mailbox, for one member of staff.

Each function asks the rooms below through the wall and must stay cheap: it runs on every page.
"""

from dataclasses import dataclass
from typing import Any, Literal

Staff = Any


@dataclass(frozen=True)
class Health:
    """state: the colour of the dot; title: three words; age: "12 s ago"; detail: address or what to do."""

    state: Literal["ok", "warn", "bad", "off"]
    title: str
    age: str = ""
    detail: str = ""


def unread_count(staff: Staff) -> int:
    """Unread messages in the viewer's Inbox."""
    return 0


def unknown_count(staff: Staff) -> int:
    """Messages in the Inbox whose author is not found, waiting for a decision."""
    return 0


def drafts_count(staff: Staff) -> int:
    """The viewer's own drafts."""
    return 0


def health(staff: Staff) -> Health:
    """The worst of receive and send over the viewer's own mailboxes."""
    return Health("off", "No mailbox yet", detail="Connect one to send and receive")
