"""What a reply or a forward begins with: subject, recipients, and the earlier letter quoted. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from postern.mime.addresses import normalise
from postern.mime.sanitize import sanitize

Person = list[str]
"""[name, address], as deliveries and messages keep it."""

# The words that mail programs of other languages put there; one of them is enough (RFC 5322 section 3.6.5).
_RE = re.compile(r"\s*(?:re|aw|sv|antw|odp|rif|vs|ynt)(?:\[\d{1,3}\])?\s?[:：]\s*", re.IGNORECASE)
_FWD = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|doorst|vl|i)\s?[:：]\s*", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WROTE = re.compile(r"On \d{1,2} \w+ \d{4} at \d\d:\d\d, .* wrote:\s*")
_QUOTE = "margin:0 0 0 0.8em;border-left:2px solid #cccccc;padding-left:0.8em"


def reply_subject(subject: str) -> str:
    """Return "Re: …" with that word once, whatever language it came in."""
    return f"Re: {_without(_RE, subject)}".strip()


def forward_subject(subject: str) -> str:
    """Return "Fwd: …" with that word once."""
    return f"Fwd: {_without(_FWD, subject)}".strip()


def _without(prefix: re.Pattern[str], subject: str) -> str:
    rest = _CONTROL.sub(" ", subject)
    while match := prefix.match(rest):
        rest = rest[match.end() :]
    return rest.strip()[:880]


def answer_to(
    *,
    outgoing: bool,
    author: Person,
    reply_to: Sequence[Person],
    to: Sequence[Person],
    cc: Sequence[Person],
    own: Iterable[str],
    to_all: bool,
) -> tuple[list[Person], list[Person]]:
    """Return (To, Cc) of the answer to a letter.

    An answer goes where Reply-To says, else to the author; an answer to one's own letter goes where that
    one went. `own` are the addresses to leave out, unless nobody else would be left.
    """
    first = list(to) if outgoing else list(reply_to) or [author]
    mine = {normalise(address) for address in own} - {""}
    everyone = [*first, *to] if to_all else first
    new_to = _unique(everyone, mine) or _unique(first, set())
    taken = mine | {normalise(address) for _, address in new_to}
    return new_to, (_unique(cc, taken) if to_all else [])


def _unique(people: Iterable[Person], without: set[str]) -> list[Person]:
    seen, kept = set(without), []
    for name, address in people:
        known = normalise(address)
        if known and known not in seen:
            seen.add(known)
            kept.append([_CONTROL.sub(" ", name).strip(), known])
    return kept


def quoted_reply(*, author: Person, when: datetime, html: str, text: str) -> str:
    """Return the html a reply starts with: room to write, who wrote when, and the letter below it."""
    intro = f"On {when:%-d %B %Y at %H:%M}, {_shown(author)} wrote:"
    return (
        f'<p><br></p><p>{escape(intro)}</p><blockquote style="{_QUOTE}">{_content(html, text)}</blockquote>'
    )


def own_words(text: str) -> str:
    """Return what the author of a reply wrote into it: its text without the quoted letter and the line above it."""
    # Not splitlines: what stands behind a form feed or U+2028 in a quoted line is quoted too.
    lines = text.replace("\r\n", "\n").split("\n")
    kept = [line for line in lines if not line.startswith(">") and not _WROTE.fullmatch(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def quoted_forward(
    *,
    author: Person,
    when: datetime,
    subject: str,
    to: Sequence[Person],
    cc: Sequence[Person],
    html: str,
    text: str,
) -> str:
    """Return the html a forward starts with: room to write, the letter's head, and the letter."""
    head = [
        ("From", _shown(author)),
        ("Date", f"{when:%-d %B %Y at %H:%M}"),
        ("Subject", _CONTROL.sub(" ", subject)),
        ("To", ", ".join(_shown(person) for person in to)),
        ("Cc", ", ".join(_shown(person) for person in cc)),
    ]
    lines = "".join(f"<br>{name}: {escape(value)}" for name, value in head if value)
    return (
        f"<p><br></p><p>---------- Forwarded message ----------{lines}</p><div>{_content(html, text)}</div>"
    )


def _shown(person: Person) -> str:
    name, address = person
    return _CONTROL.sub(" ", f"{name} <{address}>" if name else address)


def _content(html: str, text: str) -> str:
    """The letter itself, cleaned once more before it enters an editor (S-012)."""
    if html:
        clean = sanitize(html)
        if not clean.too_complex and clean.html.strip():
            return clean.html
    return "".join(f"<p>{escape(block).replace(chr(10), '<br>')}</p>" for block in _blocks(text))


def _blocks(text: str) -> list[str]:
    return [block.strip("\n") for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if block.strip()]
