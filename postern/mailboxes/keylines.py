"""What stands in the key file: one key a line, 32 bytes in hexadecimal.

The first line is the key that passwords are encrypted with now. The others only open what was encrypted
before. A line that begins with `next:` is a key that will come into use. Knows no Django: settings read it.
"""

from __future__ import annotations

from dataclasses import dataclass

NEXT = "next:"


@dataclass(frozen=True)
class KeyLines:
    """The keys in hexadecimal. `coming`: '' when none is prepared."""

    current: str
    older: tuple[str, ...] = ()
    coming: str = ""

    @classmethod
    def parse(cls, text: str) -> KeyLines:
        """Read the file's text. Raises ValueError for anything but 32-byte keys, the first of them current."""
        lines = text.split()
        plain = [line for line in lines if not line.startswith(NEXT)]
        coming = [line.removeprefix(NEXT) for line in lines if line.startswith(NEXT)]
        if not plain or lines[0] != plain[0] or len(coming) > 1:
            raise ValueError("no current key")
        if any(len(bytes.fromhex(line)) != 32 for line in (*plain, *coming)):
            raise ValueError("a key has 32 bytes")
        return cls(plain[0], tuple(plain[1:]), "".join(coming))

    @property
    def all(self) -> tuple[str, ...]:
        """Every key that opens something, the current one first."""
        return (self.current, *self.older, *([self.coming] if self.coming else []))

    def text(self) -> str:
        """Return the file's text."""
        coming = [NEXT + self.coming] if self.coming else []
        return "\n".join((self.current, *self.older, *coming)) + "\n"
