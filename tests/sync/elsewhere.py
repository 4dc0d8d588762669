"""A second, empty installation, for what the database that all tests share cannot go through."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import connections

from postern.project.database import Server, connection_settings, prepare


@contextlib.contextmanager
def second_installation(monkeypatch: Any, *, fast: bool) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Its server, and what turns the environment and Django to it until the end; fast: without durability."""
    place = Path(tempfile.mkdtemp(prefix="postern-"))
    place.chmod(0o755)  # PostgreSQL is another user and must get through
    before = dict(connections.databases["default"])

    def turn() -> None:
        monkeypatch.delenv("POSTERN_DATABASE_URL", raising=False)
        monkeypatch.setenv("POSTERN_DATA_DIR", str(place / "data"))
        connections.close_all()
        connections.databases["default"].update(connection_settings("superuser"))

    try:
        with Server(place / "data", fast=fast) as server:
            prepare(server)
            try:
                yield server, turn
            finally:
                connections.close_all()
                connections.databases["default"].update(before)
    finally:
        shutil.rmtree(place)
