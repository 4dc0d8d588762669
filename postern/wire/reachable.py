"""Which hosts, addresses and ports a mailbox may be reached at. Pure decisions, no sockets (S-023, S-026).

A mailbox's server name is typed by a user, so a connection to it must not become a way into the
network Postern itself lives in. What the operator has allowed by name is decided in ``endpoint.Policy``.
"""

import ipaddress
import re

import idna

MAIL_PORTS = frozenset({25, 143, 465, 587, 993})

# Names that mean "this machine" or "the cloud's own secrets", whatever a name service says about them.
_FORBIDDEN_NAMES = frozenset({"localhost", "metadata", "metadata.google.internal", "metadata.goog"})
_FORBIDDEN_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain")

# RFC 6052: IPv6-only networks reach IPv4 servers through this prefix; the IPv4 address inside decides.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Prefixes that carry an IPv4 address or a site-local one and have no honest mail server behind them.
_FORBIDDEN_NETWORKS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10")
)
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def normal_host(host: str) -> str:
    """The one spelling of a host used for comparing, asking the name service and checking certificates.

    Lower case, without a final dot or IPv6 brackets, international names in their ASCII form.
    Raises ValueError when it can be neither a name nor an address.
    """
    text = host.strip().lower()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "%" in text:
        raise ValueError("a zone id belongs to this machine's own links")
    if ":" in text:
        return str(ipaddress.IPv6Address(text))
    text = text[:-1] if text.endswith(".") else text
    if not text.isascii():
        text = idna.encode(text, uts46=True).decode("ascii")
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError("not a host name")
    return text


def name_is_forbidden(host: str) -> bool:
    """Whether a host in its normal spelling is refused before anybody is asked for its address."""
    if host in _FORBIDDEN_NAMES or host.endswith(_FORBIDDEN_SUFFIXES):
        return True
    return _looks_numeric(host) and not _is_address(host)


def address_is_forbidden(text: str) -> bool:
    """Whether an IP address, as a name service gave it, is anything but a public one."""
    if "%" in text:
        return True  # A zone id exists only for addresses of the local link.
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        return _v6_is_forbidden(address)
    return _v4_is_forbidden(address)


def _v4_is_forbidden(address: ipaddress.IPv4Address) -> bool:
    return not address.is_global or address.is_multicast or address.is_reserved


def _v6_is_forbidden(address: ipaddress.IPv6Address) -> bool:
    if address.ipv4_mapped is not None:
        return _v4_is_forbidden(address.ipv4_mapped)
    if address in _NAT64:
        return _v4_is_forbidden(ipaddress.IPv4Address(address.packed[-4:]))
    if any(address in network for network in _FORBIDDEN_NETWORKS):
        return True
    return not address.is_global or address.is_multicast or address.is_reserved


def _looks_numeric(host: str) -> bool:
    """Whether the C library may read this as a number: 127.1, 0177.0.0.1, 2130706433, 0x7f000001."""
    last = host.rpartition(".")[2]
    return last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
