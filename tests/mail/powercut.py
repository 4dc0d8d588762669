"""What a disk may hold after the power was cut, for the letters in files: only what was flushed is certain.

    with recording(tmp_path, monkeypatch) as tape:
        ...letters are stored...
    tape.moments                    # after each operation: what is certain, what is there, and which rows are committed

A file's bytes are certain as they were when it was last flushed, a name as it was when its folder was last flushed.
What was not flushed may be there or not: both disks are looked at.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.postgresql.base import DatabaseWrapper

from postern.mail.packing import unpack
from postern.project.database import libpq

Names = dict[str, int]  # path below the root -> number of the file (0: a folder)
_ROWS = "SELECT place, sha256 FROM mail_raw r JOIN mail_message m ON m.id = r.message_id"


@dataclass(frozen=True)
class Moment:
    """The power is cut just after `what`. `promised`: letters by place, with their SHA-256, whose row may be committed."""

    what: str
    flushed: Names
    there: Names
    bytes_of: dict[int, bytes]
    promised: dict[str, bytes]

    def disks(self) -> Iterator[dict[str, bytes]]:
        """What may be left: the names that are certain, or all of them; of each file what was flushed."""
        for names in (_reached(self.flushed), self.there):
            yield {path: self.bytes_of.get(file, b"") for path, file in names.items() if file}

    def lost(self) -> list[str]:
        """Letters whose row is committed and whose bytes may not be there whole."""
        return [
            place
            for place, digest in self.promised.items()
            if any(not _is(disk.get(place.partition(":")[2]), digest) for disk in self.disks())
        ]


def _reached(names: Names) -> Names:
    """Names whose folders are certain too, up to the root."""
    return {
        path: file
        for path, file in names.items()
        if all(str(up) in names for up in Path(path).parents if str(up) != ".")
    }


def _is(packed: bytes | None, digest: bytes) -> bool:
    try:
        return packed is not None and sha256(unpack(packed)).digest() == digest
    except Exception:  # cut off, or nothing at all
        return False


@dataclass
class Tape:
    """`root` is a folder that was there, and certain, before anything was stored; letters lie in `root`/`below`."""

    root: Path
    below: str
    forget: str = ""  # "file" or "folder": flushing those is left out
    moments: list[Moment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._guard = threading.RLock()
        self._flushed: dict[str, Names] = {}
        self._begun = count()
        self._flush_of: dict[str, int] = {}
        self._bytes: dict[int, bytes] = {}
        self._promised: dict[str, bytes] = {}

    def note(self, what: str) -> None:
        """Write down how things stand after an operation."""
        with self._guard:
            flushed = {path: file for names in self._flushed.values() for path, file in names.items()}
            there = {path: file for path, file in self._walk() if path}
            self.moments.append(
                Moment(
                    what, self._below(flushed), self._below(there), dict(self._bytes), dict(self._promised)
                )
            )

    def made(self, handle: int) -> None:
        """A file was opened for writing: nothing of it is certain any more."""
        with self._guard:
            self._bytes.pop(os.fstat(handle).st_ino, None)

    def flush(self, handle: int, really: Any) -> None:
        """fsync: what is certain is what was there when it began."""
        path, status = Path(os.readlink(f"/proc/self/fd/{handle}")), os.fstat(handle)
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
        if not path.is_relative_to(self.root) or kind == self.forget:
            return
        with self._guard:
            begun = next(self._begun)
            before: Any = dict(self._list(path)) if kind == "folder" else path.read_bytes()
        really(handle)
        with self._guard:
            if kind == "folder":
                # Of two at the same time the one that began later says more, whichever ends first.
                if begun > self._flush_of.get(str(path), -1):
                    self._flushed[str(path)], self._flush_of[str(path)] = before, begun
            else:
                self._bytes[status.st_ino] = before
        self.note(f"{kind} flushed")

    def promise(self, rows: dict[str, bytes]) -> None:
        """A transaction was committed: its rows may have been certain from when the commit began."""
        with self._guard:
            self._promised = rows
        self.note("committed")

    def _walk(self) -> Iterator[tuple[str, int]]:
        for folder, _, _ in os.walk(self.root):
            yield from self._list(Path(folder))

    def _list(self, folder: Path) -> Iterator[tuple[str, int]]:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                name = str(Path(entry.path).relative_to(self.root))
                yield name, 0 if entry.is_dir() else entry.inode()

    def _below(self, names: Names) -> Names:
        """Names below the letters' folder, provided that it is there itself."""
        top = f"{self.below}/"
        if self.below not in names:
            return {}
        return {path.removeprefix(top): file for path, file in names.items() if path.startswith(top)}


@contextlib.contextmanager
def recording(root: Path, below: str, monkeypatch: Any, *, forget: str = "") -> Iterator[Tape]:
    """Record what the process does to files below `root`, and each commit with the rows that it made."""
    tape = Tape(root, below, forget)
    fsync, opened, replace, mkdir, commit = (
        os.fsync,
        os.open,
        Path.replace,
        Path.mkdir,
        DatabaseWrapper._commit,
    )

    def noting_open(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        handle = opened(path, flags, *rest, **more)
        if flags & os.O_CREAT and Path(path).is_relative_to(root):
            tape.made(handle)
            tape.note("opened")
        return handle

    def noting_replace(self: Path, target: Any) -> Path:
        done = replace(self, target)
        tape.note("renamed")
        return done

    def noting_mkdir(self: Path, *options: Any, **more: Any) -> None:
        mkdir(self, *options, **more)
        tape.note("folder made")

    def noting_commit(self: Any) -> Any:
        # Rows may be certain as soon as the server was asked: the disk of this moment has to hold them.
        before = len(tape.moments)
        tape.note("commit begins")
        done = commit(self)
        with psycopg.connect(**libpq("superuser"), autocommit=True) as looking:
            rows = {place: bytes(digest) for place, digest in looking.execute(_ROWS)}
        begun = tape.moments[before]
        tape.moments[before] = Moment(begun.what, begun.flushed, begun.there, begun.bytes_of, rows)
        tape.promise(rows)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: tape.flush(handle, fsync))
        patch.setattr(os, "open", noting_open)
        patch.setattr(Path, "replace", noting_replace)
        patch.setattr(Path, "mkdir", noting_mkdir)
        patch.setattr(DatabaseWrapper, "_commit", noting_commit)
        yield tape
