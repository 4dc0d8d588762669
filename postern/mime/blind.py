"""A letter without its blind copies, every other byte as it was: what anybody but its owner may have of it."""

from __future__ import annotations

import re

from postern.mime.headers import beginning, read_headers
from postern.mime.parts import rooted

_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BLIND = (b"bcc", b"resent-bcc")


def without_bcc(raw: bytes) -> bytes:
    """Return the letter without its Bcc headers (RFC 5322 section 3.6.3).

    The header ends, and a field begins, where our reader says so: what it takes for a blind copy is none of the rest.
    A broken line below a Bcc goes with it.
    """
    data = bytes(rooted(raw))
    _, body = read_headers(data, 0, len(data), lambda defect: None)
    start, dropping = beginning(data, 0, body), False
    kept = [raw[:start]]
    while start < body:
        end = data.find(b"\n", start, body) + 1 or body
        name = _NAME.match(data, start, end)
        if name:
            dropping = name[1].lower() in _BLIND
        if not dropping or not data[start:end].strip():
            kept.append(raw[start:end])
        start = end
    return b"".join(kept) + raw[body:]
