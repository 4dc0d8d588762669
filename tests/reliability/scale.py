"""How much of a test: a little in `./dev test`, all in `./dev soak`, a part of it with POSTERN_SOAK=0.1.

`.ci/run` plays another share of what is too long for one run each time (POSTERN_SHARE=k/n).
"""

from __future__ import annotations

import os
import random

SOAK = float(os.environ.get("POSTERN_SOAK") or 0)


def amount(short: int, long: int) -> int:
    """How many: `short` of them, or that share of `long` that POSTERN_SOAK names."""
    return max(short, round(long * SOAK)) if SOAK else short


def turn(number: int, of: int = 12) -> bool:
    """Whether this run plays that one of many: all in soak, else the share that POSTERN_SHARE=k/n names, else the first."""
    part, _, parts = (os.environ.get("POSTERN_SHARE") or f"0/{of}").partition("/")
    return bool(SOAK) or number % int(parts) == int(part) % int(parts)


def some(things: list[int], short: int, seed: int) -> list[int]:
    """That many of the things, the same each time without soak; all in a whole soak."""
    count = min(len(things), amount(short, len(things)))
    return sorted(random.Random(seed if not SOAK else None).sample(things, count))
