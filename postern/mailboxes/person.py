"""A member of staff as this floor knows them: by the user-model setting, without an import of people."""

from __future__ import annotations

from typing import Protocol


class Person(Protocol):
    """Whoever is signed in, or is given access."""

    @property
    def pk(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def is_super(self) -> bool: ...
