"""What it looks like when the database, or the store of raw letters, does not answer (R-008), or has no room (R-009)."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError
from psycopg.errors import DiskFull

from postern.mail.letterstore import LetterStoreDown

AWAY = (OperationalError, InterfaceError, LetterStoreDown)
RETRY_SECONDS = 10
"""After so long whoever asked may ask again."""


def no_room(fault: BaseException | None) -> bool:
    """Whether the disk of the database is full: that passes when somebody makes room, not by itself."""
    return isinstance(fault, OperationalError) and isinstance(fault.__cause__, DiskFull)
