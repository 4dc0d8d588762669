"""What it looks like when the database, or the store of raw letters, does not answer: it passes by itself (R-008)."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError

from postern.mail.letterstore import LetterStoreDown

AWAY = (OperationalError, InterfaceError, LetterStoreDown)
RETRY_SECONDS = 10
"""After so long whoever asked may ask again."""
