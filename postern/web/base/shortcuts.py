"""The keys (DESIGN.md section 6). The page draws this table; keys.js reads the drawn table, so both agree."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcut:
    """keys: names of KeyboardEvent.key, parted by a space for a sequence; do: the data-action it presses."""

    keys: str
    shown: tuple[str, ...]
    label: str
    do: str
    also: str = ""
    single: bool = True


SHORTCUTS = (
    Shortcut("j", ("J",), "Next message", "next", also="ArrowDown"),
    Shortcut("k", ("K",), "Previous message", "previous", also="ArrowUp"),
    Shortcut("Enter", ("Enter",), "View message", "open"),
    Shortcut("p", ("P",), "Pair to a customer", "pair"),
    Shortcut("a", ("A",), "Add a customer", "add"),
    Shortcut("b", ("B",), "Block email", "block"),
    Shortcut("#", ("#",), "Delete message", "delete"),
    Shortcut("u", ("U",), "Mark unread", "unread"),
    Shortcut("c", ("C",), "Send email", "compose"),
    Shortcut("r", ("R",), "Reply", "reply"),
    Shortcut("f", ("F",), "Forward", "forward"),
    Shortcut("z", ("Z",), "Undo", "undo"),
    Shortcut("/", ("/",), "Search", "search"),
    Shortcut("[", ("[",), "Previous conversation", "previous-conversation"),
    Shortcut("]", ("]",), "Next conversation", "next-conversation"),
    Shortcut("g i", ("G", "I"), "Go to Inbox", "go-inbox"),
    Shortcut("g s", ("G", "S"), "Go to Sent", "go-sent"),
    Shortcut("g c", ("G", "C"), "Go to Customers", "go-customers"),
    Shortcut("g d", ("G", "D"), "Dark or light theme", "theme"),
    Shortcut("?", ("?",), "All shortcuts", "shortcuts"),
    Shortcut("Control+k", ("Ctrl", "K"), "Search or jump", "palette", single=False),
    Shortcut("Control+Enter", ("Ctrl", "Enter"), "Send", "send", single=False),
    Shortcut("Escape", ("Esc",), "Back to list, close", "back", single=False),
)
