"""Ids that somebody typed or sent, to a page or to the API."""


def typed_id(text: str | None) -> int:
    """Return an id, 0 (that no row has) for what is none: other scripts' digits, and more than a key can be."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
