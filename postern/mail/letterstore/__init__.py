"""Where packed raw letters lie when not in the database: files, or a bucket that speaks S3.

A letter's *place* is one text in its row, `files:7/3f/3f09….zst`. The part before the colon names the store,
so that changing POSTERN_LETTERS later leaves every earlier letter where it is and readable.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Protocol

from django.conf import settings

DATABASE = "database"


class LetterMissing(Exception):
    """A letter's row is here and its bytes are not, or are damaged; the message names the place."""


class LetterStoreDown(Exception):
    """The store does not answer or is full: nothing was kept under the name, and later it may work."""


class BadLetters(ValueError):
    """POSTERN_LETTERS makes no sense; the message says what it may be."""


class LetterStore(Protocol):
    """Bytes by name. A name is `mailbox/xx/sha256.zst`: the same letter always gets the same one."""

    def put(self, name: str, packed: bytes) -> None:
        """Keep `packed` under `name`, durably before this returns; again under the same name is harmless.

        Raises LetterStoreDown.
        """

    def get(self, name: str) -> bytes:
        """Return what was put. Raises LetterMissing or LetterStoreDown."""

    def remove(self, name: str) -> None:
        """Forget it; a name that is not there is no error."""

    def names(self) -> Iterator[tuple[str, float]]:
        """Each name with the time it was last put, in seconds since 1970."""


def name_of(mailbox_id: int, sha256: bytes) -> str:
    """The name of a letter: per mailbox, because the same bytes in two mailboxes are two copies (row 32)."""
    digest = sha256.hex()
    return f"{mailbox_id}/{digest[:2]}/{digest}.zst"


def chosen() -> tuple[str, LetterStore] | None:
    """The scheme and store that new letters go to by POSTERN_LETTERS; None: into the database."""
    scheme, _, where = settings.LETTERS.partition(":")
    return None if scheme == DATABASE else (scheme, _open(scheme, where))


def put(mailbox_id: int, sha256: bytes, packed: bytes) -> str:
    """Keep a packed letter outside the database and return its place; '' when it belongs into the row."""
    store = chosen()
    if store is None:
        return ""
    name = name_of(mailbox_id, sha256)
    store[1].put(name, packed)
    return f"{store[0]}:{name}"


def get(place: str) -> bytes:
    """Return the packed letter of this place. Raises LetterMissing or LetterStoreDown."""
    scheme, _, name = place.partition(":")
    return holding(scheme).get(name)


def holding(scheme: str) -> LetterStore:
    """The store of this scheme: the chosen one, or where the default of that kind lies."""
    mine, _, where = settings.LETTERS.partition(":")
    return _open(scheme, where if mine == scheme else "")


@cache
def _open(scheme: str, where: str) -> LetterStore:
    if scheme == "files":
        from postern.mail.letterstore.files import Files

        return Files(where or settings.LETTERS_DIR)
    if scheme == "s3":
        from postern.mail.letterstore.bucket import Bucket

        return Bucket(where.removeprefix("//"))
    raise BadLetters(
        f"POSTERN_LETTERS may be database, files, files:/a/folder or s3://bucket/prefix, not {scheme!r}"
    )
