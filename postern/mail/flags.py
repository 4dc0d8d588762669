"""A letter's flags on the server as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable

_LETTERS = {"\\seen": "S", "\\answered": "A", "\\flagged": "F", "\\deleted": "D", "\\draft": "T"}


def flag_letters(flags: Iterable[str]) -> str:
    """Return S(een) A(nswered) F(lagged) D(eleted) T (draft) in alphabetical order; others are left out."""
    return "".join(sorted({_LETTERS[flag.lower()] for flag in flags if flag.lower() in _LETTERS}))
