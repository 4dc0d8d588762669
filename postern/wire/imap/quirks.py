"""Where servers differ, as data: one row each, with who does it, how it is recognised and since when we know.

A row is in force when every pattern it names is found: ``capability`` among the capabilities after
sign-in, ``greeting`` in the greeting or the ID answer, ``host`` in the server's name. A row that names
none holds for every server. ``tests/wire/imap/test_imap_quirks.py`` has a transcript of the same name.
"""

import re
from dataclasses import dataclass

from postern.wire.errors import MailError


@dataclass(frozen=True)
class Quirk:
    """``name`` is what the code asks for; ``differs`` tells people what happens and what we do about it."""

    name: str
    server: str
    since: str
    differs: str
    capability: str = ""
    greeting: str = ""
    host: str = ""


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "nul_padding",
        "unnamed servers met by imapflow",
        "2021",
        "NUL bytes stand before a response; they are dropped.",
    ),
    Quirk(
        "bare_unavailable",
        "Exchange, Microsoft 365",
        "2022",
        "Says “Server Unavailable.” without a tag and goes away; told as a busy server.",
    ),
    Quirk(
        "exists_before_idle_plus",
        "Exchange",
        "2017",
        "EXISTS may come before the + of IDLE; it counts as a change.",
    ),
    Quirk(
        "store_echo",
        "Gmail",
        "2014",
        "Answers STORE .SILENT with FETCH all the same; the answers are read and dropped.",
    ),
    Quirk(
        "signed_in_not_connected",
        "Exchange, Microsoft 365",
        "2019",
        "Accepts the sign-in and then refuses every command with “User is authenticated but not connected”;"
        " NAMESPACE is asked right after the sign-in to find out.",
        greeting=r"Microsoft Exchange",
        capability="NAMESPACE",
    ),
    Quirk(
        "shared_mailbox_by_login",
        "Exchange",
        "2021",
        "A shared mailbox (user\\shared) opens only by LOGIN, not by AUTHENTICATE PLAIN.",
        greeting=r"Microsoft Exchange",
    ),
    Quirk(
        "short_idle",
        "Gmail",
        "2019",
        "Forgets an IDLE after some minutes without a word; it is renewed every 5 minutes.",
        capability="X-GM-EXT-1",
    ),
    Quirk(
        "one_fetch_at_a_time",
        "Exchange, Microsoft 365",
        "2021",
        "Slows a client down that asks for much at once and says how long to wait; letters are asked for by"
        " one command at a time.",
        greeting=r"Microsoft Exchange",
    ),
    Quirk(
        "id_before_select",
        "NetEase (163.com, 126.com, yeah.net)",
        "2019",
        "Refuses SELECT as “Unsafe Login” without an ID; it is sent although not always offered.",
        host=r"(?:^|\.)(?:163|126|yeah)\.(?:com|net)$",
    ),
)


def quirks_of(*, capabilities: frozenset[str], greeting: str, host: str) -> frozenset[str]:
    """The names of the rows that hold for this server."""
    return frozenset(quirk.name for quirk in QUIRKS if _holds(quirk, capabilities, greeting, host))


def _holds(quirk: Quirk, capabilities: frozenset[str], greeting: str, host: str) -> bool:
    return (
        (not quirk.capability or quirk.capability in capabilities)
        and (not quirk.greeting or re.search(quirk.greeting, greeting, re.IGNORECASE) is not None)
        and (not quirk.host or re.search(quirk.host, host, re.IGNORECASE) is not None)
    )


def busy_line(line: bytes) -> MailError | None:
    """Quirk ``bare_unavailable``: the line without a tag as the error it means."""
    if not re.match(rb"\s*server (?:is )?unavailable", line, re.IGNORECASE):
        return None
    return MailError(
        "server_busy",
        "The mail server says that it is not available.",
        "This usually passes by itself; Postern tries again.",
        temporary=True,
        server_text=line[:200].decode("ascii", "replace").strip(),
    )
