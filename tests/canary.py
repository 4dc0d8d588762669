"""The shapes in which a secret slips out: a test looks for all of them in what somebody may read."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus


def shapes(secret: str, *users: str) -> set[bytes]:
    """Return the secret raw, escaped, in hexadecimal, in base64 at any offset, in SASL words, and for a URL."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote_plus(secret).encode(), raw.hex().encode()}
    found |= {json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode(), repr(raw)[2:-1].encode()}
    for shift in range(3):  # whatever stands before it: the characters that are made of the secret alone
        whole = base64.b64encode(b"\0" * shift + raw)
        found |= {whole[4 if shift else 0 : len(whole) // 4 * 4 - 4], base64.urlsafe_b64encode(whole)}
    for user in users:
        for words in (
            f"\0{user}\0{secret}",
            f"{user}\0{user}\0{secret}",
            f"user={user}\1auth=Bearer {secret}\1\1",
        ):
            found.add(base64.b64encode(words.encode()))
    return {shape for shape in found if len(shape) >= 8}


def leaks(secret: str, text: bytes | str, *users: str) -> list[bytes]:
    """Return the shapes of the secret that are in `text`."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return sorted(shape for shape in shapes(secret, *users) if shape in data)
