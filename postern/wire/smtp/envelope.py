"""Who a letter is from and for, as the wire carries it; judged before the first byte is sent. No sockets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import idna

from postern.wire import errors
from postern.wire.errors import MailError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 5321 section 4.1.2 (Dot-string, Quoted-string), with the wider characters of RFC 6531.
_ATOM = r"[^\s\x00-\x20\x7f\"(),:;<>@\[\\\].]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*\"")
_LITERAL = re.compile(r"\[[0-9A-Za-z:.]+\]")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Envelope:
    """A letter ready to offer. ``recipients`` holds pairs: as the caller wrote it, as the wire carries it."""

    sender: str
    recipients: tuple[tuple[str, str], ...]
    raw: bytes = field(repr=False)

    @classmethod
    def of(cls, sender: str, recipients: Sequence[str], raw: bytes) -> "Envelope":
        """Raises control_bytes or message_refused for what is no plain address (S-044, S-046)."""
        named = tuple((address, wire_address(address)) for address in dict.fromkeys(recipients))
        return cls(wire_address(sender) if sender else "", named, raw)

    @property
    def is_8bit(self) -> bool:
        """Whether the letter needs a server with 8BITMIME (RFC 6152)."""
        return not self.raw.isascii()

    @property
    def needs_utf8(self) -> bool:
        """Whether an address or the letter's head needs a server with SMTPUTF8 (RFC 6531)."""
        head = re.split(rb"\r?\n\r?\n", self.raw, maxsplit=1)[0]
        addresses = (self.sender, *(wire for _, wire in self.recipients))
        return not head.isascii() or not all(address.isascii() for address in addresses)

    @property
    def size(self) -> int:
        """Bytes with every line end as CRLF, without the doubled dots (RFC 1870 section 3)."""
        lone = self.raw.count(b"\r") + self.raw.count(b"\n") - 2 * self.raw.count(b"\r\n")
        unended = 0 if self.raw.endswith((b"\r", b"\n")) else 2
        return len(self.raw) + lone + unended


def wire_address(address: str) -> str:
    """``local@domain`` with the domain in ASCII; no display name, no comment, no route, no angle brackets."""
    if _CONTROL.search(address):
        raise errors.control_bytes("An address")
    local, at, domain = address.rpartition("@")
    if not at or len(address) > 320 or not _LOCAL_PART.fullmatch(local):
        raise _no_address(address)
    return f"{local}@{_wire_domain(domain, address)}"


def _wire_domain(domain: str, address: str) -> str:
    if _LITERAL.fullmatch(domain):
        return domain
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError:
            raise _no_address(address) from None
    if not all(_HOST_LABEL.fullmatch(label) for label in domain.split(".")):
        raise _no_address(address)
    return domain


def _no_address(address: str) -> MailError:
    return MailError(
        "message_refused",
        f"“{address[:320]}” is not an e-mail address.",
        "Correct it; nothing was sent to the server.",
        temporary=False,
    )
