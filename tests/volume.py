"""A disk of its own, some megabytes large, that a test may fill to the last byte."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


@contextlib.contextmanager
def mounted(place: Path, megabytes: int) -> Iterator[Path]:
    """Memory as a disk at an empty folder that other users reach; the test is skipped where nothing can be mounted."""
    for folder in (place, *place.parents[:3]):
        folder.chmod(0o755)  # PostgreSQL is another user and must get through
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "none", str(place)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        pytest.skip(f"no volume can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class Filler:
    """A file that takes all the room there is, but for some bytes."""

    def __init__(self, volume: Path) -> None:
        self.path = volume / "filler"

    def fill(self, *, leave: int = 0) -> None:
        """Take what is free now."""
        with contextlib.suppress(OSError), self.path.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        with self.path.open("r+b") as file:
            file.truncate(max(0, self.path.stat().st_size - leave))

    def free(self) -> None:
        """Give all of it back."""
        self.path.unlink()
