"""The deny list: parsing what the owner typed, and deciding whether a sender is denied. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from postern.mime.addresses import domain_of, normalise

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
LIMIT = 10_000


@dataclass(frozen=True)
class DenyLine:
    """One line: `pattern` is a normalised address, a domain, or '' for a line with a comment only."""

    pattern: str
    comment: str = ""


class DenyListError(ValueError):
    """Some lines are neither an address nor a domain; `lines` maps line number to the reason."""

    def __init__(self, lines: dict[int, str]) -> None:
        self.lines = lines
        super().__init__(" ".join(f"Line {number}: {reason}" for number, reason in lines.items()))


def parse_pattern(text: str) -> str:
    """Return the normalised pattern of one entry; ValueError says what is wrong with it.

    `*@example.com`, `@example.com` and `example.com` are the domain; IDN becomes its ASCII form.
    """
    pattern = text.strip().removeprefix("*@").removeprefix("@")
    if "@" in pattern:
        address = normalise(pattern)
        if not address:
            raise ValueError(f"“{text}” is not an e-mail address.")
        return address
    domain = domain_of(normalise(f"x@{pattern}"))
    labels = domain.split(".")
    if len(labels) < 2 or not all(_LABEL.match(label) for label in labels):
        raise ValueError(f"“{text}” is neither an e-mail address nor a domain.")
    return domain


def parse(text: str) -> list[DenyLine]:
    """Return the lines of a deny list as typed; blank lines and repeated patterns are dropped.

    Raises DenyListError naming each bad line with its number (from 1).
    """
    lines: list[DenyLine] = []
    bad: dict[int, str] = {}
    seen: set[str] = set()
    for number, raw in enumerate(text.splitlines(), 1):
        entry, mark, comment = raw.partition("#")
        if not entry.strip():
            if mark:
                lines.append(DenyLine("", comment.strip()[:500]))
            continue
        try:
            pattern = parse_pattern(entry)
        except ValueError as error:
            bad[number] = str(error)
            continue
        if pattern not in seen:
            seen.add(pattern)
            lines.append(DenyLine(pattern, comment.strip()[:500]))
    if len(seen) > LIMIT:
        bad[LIMIT + 1] = f"A deny list holds at most {LIMIT:,} entries."
    if bad:
        raise DenyListError(bad)
    return lines


class DenyList:
    """Answers "is this sender denied?" in time that does not grow with the list."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = frozenset(p for p in patterns if p)

    def matches(self, *senders: str) -> str:
        """Return the pattern that denies one of the addresses, or ''. A domain covers its subdomains."""
        for sender in senders:
            address = normalise(sender)
            if not address:
                continue
            if address in self._patterns:
                return address
            domain = domain_of(address)
            while domain:
                if domain in self._patterns:
                    return domain
                domain = domain.partition(".")[2]
        return ""
