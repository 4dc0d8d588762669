"""A place for clusters of their own: short path, open enough for the user PostgreSQL drops to."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory that every user may pass through."""
    path = Path(tempfile.mkdtemp(prefix="postern-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
