"""A shared cache between browsers and the pages, as eager as RFC 9111 lets it be: whatever may be kept is kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Origin = Callable[[dict[str, str]], "Answer"]
"""Asks the server, with these request headers."""

# RFC 9110 section 15.1: what may be kept by a guess where nothing is said.
GUESSABLE = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}
GUESS_SECONDS = 600.0


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def directives(self) -> dict[str, str]:
        """Cache-Control as name -> argument ('' without one)."""
        found = re.findall(r'([\w-]+)(?:="?([^",]*)"?)?', self.headers.get("cache-control", "").lower())
        return dict(found)


@dataclass
class _Kept:
    answer: Answer
    asked_with: dict[str, str]
    good_until: float


@dataclass
class SharedCache:
    """`get` answers a GET, from what it keeps where it may. `hits`: the targets it answered by itself."""

    hits: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, list[_Kept]] = field(default_factory=dict)

    @property
    def kept(self) -> set[str]:
        """The targets of which something is kept."""
        return set(self._kept)

    def get(self, target: str, headers: Mapping[str, str], origin: Origin) -> Answer:
        """Answer one request; header names in lower case."""
        asked = dict(headers)
        found = next((one for one in self._kept.get(target, ()) if _selects(one, asked)), None)
        if found and self.clock() < found.good_until and "no-cache" not in found.answer.directives():
            self.hits.append(target)
            return found.answer
        answer = origin(asked | (_validators(found.answer) if found else {}))
        if found and answer.status == 304:
            self.hits.append(target)
            return found.answer
        if _may_be_kept(answer, asked):
            one = _Kept(answer, asked, self.clock() + _lifetime(answer))
            self._kept.setdefault(target, []).insert(0, one)
        return answer


def _selects(one: _Kept, asked: Mapping[str, str]) -> bool:
    """Section 4.1: every header that Vary names is as it was."""
    names = [name.strip().lower() for name in one.answer.headers.get("vary", "").split(",") if name.strip()]
    return "*" not in names and all(one.asked_with.get(name) == asked.get(name) for name in names)


def _validators(answer: Answer) -> dict[str, str]:
    pairs = (("etag", "if-none-match"), ("last-modified", "if-modified-since"))
    return {ask: answer.headers[name] for name, ask in pairs if name in answer.headers}


def _may_be_kept(answer: Answer, asked: Mapping[str, str]) -> bool:
    """Sections 3 and 3.5, for a shared cache."""
    said = answer.directives()
    if "no-store" in said or "private" in said:
        return False
    if "authorization" in asked and not {"public", "s-maxage", "must-revalidate"} & said.keys():
        return False
    explicit = {"public", "max-age", "s-maxage"} & said.keys() or "expires" in answer.headers
    return bool(explicit) or answer.status in GUESSABLE


def _lifetime(answer: Answer) -> float:
    said = answer.directives()
    for name in ("s-maxage", "max-age"):
        if said.get(name, "").isdigit():
            return float(said[name])
    return 0.0 if "expires" in answer.headers else GUESS_SECONDS
