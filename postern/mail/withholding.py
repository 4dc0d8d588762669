"""A letter of which only the header comes in: the whole is too large, or its server cannot hand it over (R-022).

It is a message like any other, filed, threaded and shown; `withheld` says why the rest is not here. The
raw store holds the header as it stands on the server, so everything can be made from it anew.
"""

from __future__ import annotations

import re
from dataclasses import replace
from mmap import mmap

from postern.mail.packing import pack
from postern.mail.preparing import Arrival, Prepared, prepare
from postern.wire.imap import HEADER_BYTES

HEADER_ONLY = "Only the header is here."
NOBODYS = "This mailbox stores only customers’ mail, and nobody here knows who this is from or to."
STRANGER = f"{NOBODYS} Pair the sender, and the whole message is brought in."
"""Why only the header of a stranger's letter is here: the one reason that somebody can take away."""
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
# What the column holds; a server may claim more bytes than there are on Earth.
_MOST_SIZE = 2**31 - 1


def header_only(arrival: Arrival, *, size: int, reason: str, outgoing: bool = False) -> Prepared:
    """Make a letter ready of which `arrival` has the header only; `size`: bytes of the whole, `reason`: a sentence."""
    one = prepare(arrival, outgoing=outgoing)
    if one.broken:
        return one
    nothing = pack(b"")
    return replace(
        one,
        size=min(size, _MOST_SIZE),
        withheld=reason,
        preview=f"{HEADER_ONLY} {reason}",
        # A header announces parts that are not here: no file of no bytes is listed, no defect blamed on it.
        files=(),
        defects=(),
        text=nothing,
        html=nothing,
    )


def header_of(raw: bytes | mmap) -> bytes:
    """Return the header of a whole letter with its blank line, as BODY.PEEK[HEADER] gives it (RFC 3501)."""
    beginning = bytes(raw[:HEADER_BYTES])
    end = _BLANK_LINE.search(beginning)
    return beginning[: end.end()] if end else beginning
