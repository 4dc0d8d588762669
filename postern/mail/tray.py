"""Letters laid where another process of this machine can read them, without a copy through a pipe.

A file without a name that lives in memory where the system can do that. Who lays letters down never maps
it: whatever the reading process does to the file, nothing here can break over it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, PAGESIZE, mmap
from typing import Self

KEPT = 8 * 1024 * 1024
"""Bytes that stay for the next letters; more is given back at once."""
_BUFFERS = 512  # handed to the system in one call; Linux takes 1,024
_NUMBER = struct.Struct(">Q")


class Tray:
    """One such file, by its descriptor. It begins with the number of the letter that is being read."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def new(cls) -> Self:
        """Return an empty one. Raises OSError when the system has no room for it."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("letters"))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def lay(self, letters: Sequence[bytes | mmap]) -> list[int]:
        """Put letters in, in place of those before; return their lengths, which `read` wants. Raises OSError."""
        self.note(0)
        place = PAGESIZE
        for start in range(0, len(letters), _BUFFERS):
            place = self._write(letters[start : start + _BUFFERS], place)
        return [len(letter) for letter in letters]

    def _write(self, letters: Sequence[bytes | mmap], place: int) -> int:
        wanted, written = place + sum(map(len, letters)), os.pwritev(self.fd, letters, place)
        while place + written < wanted:  # one call moves at most 2 GB
            rest = memoryview(b"".join(letters))[written:]
            written += os.pwrite(self.fd, rest, place + written)
        return wanted

    def clear(self) -> None:
        """Give memory back that only large letters needed."""
        with contextlib.suppress(OSError):
            if os.fstat(self.fd).st_size > KEPT:
                os.ftruncate(self.fd, KEPT)

    def read(self, lengths: Sequence[int]) -> Iterator[bytes]:
        """Yield the letters one by one, and note which is being read."""
        if not lengths:
            return
        place = PAGESIZE
        with mmap(self.fd, place + sum(lengths), access=ACCESS_READ) as area:
            for number, length in enumerate(lengths):
                self.note(number)
                yield area[place : place + length]
                place += length

    def note(self, number: int) -> None:
        """Write down which letter is being read, for when the process dies over it."""
        os.pwrite(self.fd, _NUMBER.pack(number), 0)

    def noted(self) -> int:
        """Return which letter was being read; a number that cannot be is 0."""
        found = os.pread(self.fd, _NUMBER.size, 0)
        return int(_NUMBER.unpack(found)[0]) if len(found) == _NUMBER.size else 0

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)
