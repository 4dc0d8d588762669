"""COMPRESS=DEFLATE (RFC 4978): for slow links only, since a server compresses slower than a fast link carries.

Off unless asked for: Dovecot falls to some 32 MB/s. What a few bytes inflate to is limited in pieces, so
that memory stays bounded, and in proportion, so that nobody keeps us busy for nothing (S-114).
"""

import zlib

from postern.wire.imap.grammar import ProtocolError

CAPABILITY = "COMPRESS=DEFLATE"
# Raw deflate without a header, as the RFC has it.
_WINDOW = -15
_SMALL_WINDOW = -10
_PIECE = 64 * 1024
# Deflate reaches 1:1032. Mail reaches 1:10, an empty disk image sent by somebody some 1:300.
FREE_BYTES = 64 << 20
MOST_RATIO = 250


class Codec:
    """Both directions of one connection. ``held`` are compressed bytes that wait to be inflated."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_WINDOW)
        # Our own words are short: zlib's usual window would cost 260 KB for each waiting connection.
        self._deflater = zlib.compressobj(wbits=_SMALL_WINDOW, memLevel=1)
        self.held = b""
        self.taken = 0
        self.given = 0

    def take(self, data: memoryview) -> None:
        """Take compressed bytes from the server."""
        self.taken += len(data)
        self.held += data

    def inflate(self) -> bytes:
        """The next piece of what they mean, at most 64 KB; empty when more must come.

        Raises ``ProtocolError`` for what is no deflate stream, for its end (IMAP has none) and for a bomb.
        """
        try:
            piece = self._inflater.decompress(self.held, _PIECE)
        except zlib.error:
            raise ProtocolError("compressed data that cannot be unpacked") from None
        self.held = self._inflater.unconsumed_tail
        self.given += len(piece)
        if self._inflater.eof:
            raise ProtocolError("the compressed data came to an end")
        if self.given > FREE_BYTES and self.given > MOST_RATIO * self.taken:
            raise ProtocolError("compressed data that would fill the memory")
        return piece

    def deflate(self, data: bytes) -> bytes:
        """Our own words compressed, so that the server can read all of them now."""
        return self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
