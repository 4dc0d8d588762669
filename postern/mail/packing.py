"""Bytes made small with zstd, and back."""

from __future__ import annotations

import threading
from mmap import mmap

import zstandard

_LEVEL = 1  # level 3 saves 2 % of the room and takes a quarter more time
_own = threading.local()


def pack(data: bytes | mmap) -> bytes:
    """Compress. The compressor is made once a thread: making one costs as much as a short letter."""
    if not hasattr(_own, "pack"):
        _own.pack = zstandard.ZstdCompressor(level=_LEVEL).compress
    packed: bytes = _own.pack(data)
    return packed


def unpack(data: bytes) -> bytes:
    """Return what `pack` was given. Raises zstandard.ZstdError for anything else."""
    if not hasattr(_own, "unpack"):
        _own.unpack = zstandard.ZstdDecompressor().decompress
    whole: bytes = _own.unpack(data)
    return whole
