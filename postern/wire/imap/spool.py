"""Where a large literal goes while it comes: into its final place in memory, or into a file nobody else sees.

A letter above ``SPOOL_FROM`` bytes lies in an unlinked file and is handed on as a read-only ``mmap``: it
costs disk, and memory only for the pages somebody looks at. The file is gone with the last reference.
"""

import contextlib
import mmap
import os
import tempfile
from io import BytesIO
from typing import BinaryIO, cast

from postern.wire.errors import MailError

# A whole letter as it came. Both can be sliced, searched, hashed and given to ``memoryview``.
Raw = bytes | mmap.mmap

IN_PLACE_FROM = 64 * 1024
SPOOL_FROM = 1 << 20
# The largest letter taken from a server at all; a larger one ends the connection. Whoever lists sizes
# first (sync does) asks for the header of such a letter instead.
LARGEST_LETTER = 256 << 20


class Spooled(bytes):
    """Stands, empty, in a response for a literal that lies in a file."""

    raw: mmap.mmap


class InMemory:
    """A literal received straight into the ``bytes`` it becomes."""

    def __init__(self, length: int) -> None:
        self.missing = length
        # BytesIO lends its own buffer for writing and gives the same object away at the end: no copy.
        self._held = BytesIO(bytes(length))
        self._view = self._held.getbuffer()
        self.length = length

    def room(self, scratch: memoryview) -> memoryview:
        """Where the next bytes should be put."""
        return self._view[self.length - self.missing :]

    def got(self, count: int, scratch: memoryview) -> None:
        """``count`` bytes of ``room`` have been filled: of our own buffer, which may be larger than ``scratch``."""
        self.missing -= count

    def write(self, data: memoryview) -> None:
        """Take bytes that came elsewhere; at most what is missing."""
        at = self.length - self.missing
        self._view[at : at + len(data)] = data
        self.missing -= len(data)

    def value(self) -> bytes:
        """The whole literal, once nothing is missing."""
        self._view.release()
        return self._held.getvalue()

    def discard(self) -> None:
        """It will never be whole."""


class Spool:
    """A literal written to an unlinked file piece by piece. Raises ``MailError`` disk_full."""

    def __init__(self, length: int) -> None:
        self.missing = length
        self.length = length
        try:
            # Not named "with": it lives as long as the literal is on its way.
            self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=_folder(), buffering=0))  # noqa: SIM115
        except OSError as error:
            raise _disk_full() from error

    def room(self, scratch: memoryview) -> memoryview:
        """Where the next bytes should be put."""
        return scratch[: self.missing]

    def got(self, count: int, scratch: memoryview) -> None:
        """``count`` bytes of ``room``, a beginning of ``scratch``, have been filled."""
        self.write(scratch[:count])

    def write(self, data: memoryview) -> None:
        """Take bytes; at most what is missing."""
        self.missing -= len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise _disk_full() from error

    def value(self) -> Spooled:
        """The whole literal, once nothing is missing."""
        found = Spooled()
        found.raw = mmap.mmap(self._file.fileno(), self.length, access=mmap.ACCESS_READ)
        self._file.close()
        return found

    def discard(self) -> None:
        """It will never be whole."""
        with contextlib.suppress(OSError):
            self._file.close()


def begin(length: int) -> InMemory | Spool:
    """The right place for a literal of ``length`` bytes."""
    return Spool(length) if length > SPOOL_FROM else InMemory(length)


def _folder() -> str | None:
    """Not /tmp, which is memory on many systems; TMPDIR says otherwise."""
    roomy = "/var/tmp"  # noqa: S108 the file has no name there
    return None if os.environ.get("TMPDIR") or not os.access(roomy, os.W_OK) else roomy


def _disk_full() -> MailError:
    return MailError(
        "disk_full",
        "There is no room on Postern's disk for a large letter.",
        "Whoever runs Postern must make room; then it goes on by itself.",
        temporary=True,
    )
