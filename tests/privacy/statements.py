"""What the database was asked meanwhile: each statement's shape, since who asks the same takes the same time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

_CHANGING = [
    (re.compile(r'(SAVEPOINT ")\w+'), r"\1x"),
    (re.compile(r"%s(?:, %s)+"), "%s, ..."),  # as many as there are of them
]


@contextmanager
def asked() -> Iterator[list[str]]:
    """The statements of this thread's connection, in order, without their values."""
    shapes: list[str] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        shape = str(sql)
        for pattern, kept in _CHANGING:
            shape = pattern.sub(kept, shape)
        shapes.append(shape)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield shapes
