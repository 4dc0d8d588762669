"""Letters as files: whole or not at all, also when the power goes."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from postern.mail.letterstore import LetterMissing, LetterStoreDown

# Folders that this process knows to be certain; beyond so many they are flushed once more.
_MOST_CERTAIN = 10_000
_NAME = re.compile(r"\d{1,12}/[0-9a-f]{2}/[0-9a-f]{64}\.zst(\.\d+\.partial)?")  # none leaves the folder


class Files:
    """Letters below one folder that only Postern's user can read.

    folder: an absolute path; made when it is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._certain: set[str] = set()

    def put(self, name: str, packed: bytes) -> None:
        """Write beside the final name, flush to the disk, rename, flush the folder (R-010)."""
        path = self._path(name)
        try:
            self._write(path, packed)
        except OSError as error:
            raise LetterStoreDown(
                f"no letter can be written below {self.folder}: {error.strerror}"
            ) from error

    def _write(self, path: Path, packed: bytes) -> None:
        self._make(path.parent)
        partial = path.with_name(f"{path.name}.{threading.get_native_id()}.partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _flush(path.parent)

    def get(self, name: str) -> bytes:
        """Return the file's bytes."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise LetterMissing(f"the letter {name} is not below {self.folder}") from error
        except OSError as error:
            raise LetterStoreDown(f"the letter {name} cannot be read: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Unlink the file."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[tuple[str, float]]:
        """Each file, half-written ones too (their names end in .partial)."""
        for path in sorted(self.folder.glob("*/??/*")):
            yield str(path.relative_to(self.folder)), path.stat().st_mtime

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise LetterMissing(f"{name!r} is no letter's name")
        return self.folder / name

    def _make(self, folder: Path) -> None:
        """Make the folders of a letter and flush each into its parent, once a process.

        That one is there says nothing: who made it may be about to flush it, or have been killed before.
        """
        if str(folder) in self._certain and folder.is_dir():
            return
        new = [up for up in self.folder.parents if not up.exists()]
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in (*reversed(new), self.folder, folder.parent, folder):
            made.mkdir(mode=0o700, exist_ok=True)
            if made == self.folder and not os.access(made.parent, os.R_OK):
                continue  # another's folder that we may not open: whoever prepared it answers for it
            _flush(made.parent)
        if len(self._certain) >= _MOST_CERTAIN:
            self._certain.clear()
        self._certain.add(str(folder))


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
