"""The way to a mail server: ask for its addresses once, check every one, connect to a checked one.

The name is resolved exactly once per connection and the socket goes to the address that was checked,
so that a name service that changes its answer in between gains nothing (S-024).
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import TypeVar

from postern.wire import errors
from postern.wire.errors import MailError
from postern.wire.reachable import MAIL_PORTS, address_is_forbidden, name_is_forbidden, normal_host
from postern.wire.tls import (
    CertificateSeen,
    check_certificate,
    client_context,
    secure,
    start_tls,
)

__all__ = [
    "CertificateSeen",
    "Endpoint",
    "Policy",
    "Resolved",
    "Security",
    "attach",
    "check_certificate",
    "client_context",
    "connect",
    "open_socket",
    "resolve",
    "start_tls",
]

P = TypeVar("P", bound=asyncio.BaseProtocol)

# RFC 8305 section 5: how long one address may stay silent before the next is tried as well.
_NEXT_ADDRESS_AFTER_SECONDS = 0.25
_MOST_ADDRESSES = 8


class Security(StrEnum):
    """How a connection is encrypted; STARTTLS is mandatory when chosen, NONE only where the operator says so."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True)
class Endpoint:
    """A server as a user described it. ``pinned_sha256`` counts only together with ``skip_validation``."""

    host: str
    port: int
    security: Security
    pinned_sha256: str = ""
    skip_validation: bool = False

    @property
    def unchecked(self) -> bool:
        """Whether it shows a certificate that nobody checks; it is pinned, which is less."""
        return self.skip_validation and self.security is not Security.NONE


@dataclass(frozen=True)
class Policy:
    """What is allowed beyond public addresses, the five mail ports, encryption and checked certificates.

    ``"host:port"`` allows that port of a host and no other; ``"host"`` allows all of its ports, which
    says more than it seems where the host runs other services too. ``unchecked``: certificates may go
    unchecked, whatever the host (S-039).
    """

    allowed: frozenset[str] = frozenset()
    unchecked: bool = False

    @classmethod
    def from_setting(cls, text: str, *, unchecked: bool = False) -> "Policy":
        """Read ``"localhost:1143, mail.lan, [::1]:143"``. Raises ValueError for what is no host."""
        entries = (entry.strip() for entry in text.split(","))
        return cls(frozenset(_normal_entry(entry) for entry in entries if entry), unchecked)

    def exempts(self, host: str, port: int) -> bool:
        """Whether the operator allows this host (in its normal spelling) on this port."""
        return not self._normal.isdisjoint((host, f"{host}:{port}"))

    @property
    def _normal(self) -> frozenset[str]:
        return frozenset(_normal_entry(entry) for entry in self.allowed)


@dataclass(frozen=True)
class Resolved:
    """An endpoint and the addresses its name had when it was checked, in the order in which they are tried."""

    endpoint: Endpoint
    addresses: tuple[str, ...]


def _normal_entry(entry: str) -> str:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return f"{normal_host(host)}:{int(port)}"
    return normal_host(entry)


def check_target(endpoint: Endpoint, policy: Policy) -> tuple[str, bool]:
    """Judge name, port and security before anybody is asked; returns the normal host and whether it is exempt.

    Raises address_refused, port_refused, host_not_found (no possible name), tls_failed (no encryption) or
    unchecked_refused.
    """
    try:
        host = normal_host(endpoint.host)
    except ValueError:
        if any(ord(char) < 32 or ord(char) == 127 for char in endpoint.host):
            raise errors.control_bytes("The server's name") from None
        if ":" in endpoint.host or "%" in endpoint.host:
            raise _address_refused(endpoint) from None
        raise errors.host_not_found(endpoint.host, temporary=False) from None
    exempt = policy.exempts(host, endpoint.port)
    if not exempt and name_is_forbidden(host):
        raise _address_refused(endpoint)
    if not exempt and endpoint.port not in MAIL_PORTS:
        raise MailError(
            "port_refused",
            f"Port {endpoint.port} is not a port for mail.",
            "Use 993 or 143 for IMAP, 465, 587 or 25 for SMTP; whoever runs Postern can allow another.",
            temporary=False,
        )
    if not exempt and endpoint.security is Security.NONE:
        raise MailError(
            "tls_failed",
            f"A connection to “{endpoint.host}” without encryption is not allowed.",
            "Choose SSL/TLS or STARTTLS; whoever runs Postern can make an exception for a host.",
            temporary=False,
        )
    if endpoint.unchecked and not policy.unchecked:
        raise errors.unchecked_refused(endpoint.host)
    return host, exempt


async def resolve(endpoint: Endpoint, policy: Policy, *, timeout: float = 10) -> Resolved:
    """The checked addresses of an endpoint; nothing is connected.

    One forbidden address among several refuses them all (S-024). Raises what ``check_target`` raises,
    host_not_found, address_refused or timeout.
    """
    host, exempt = check_target(endpoint, policy)
    # The standard library's own call, whatever loop runs: uvloop's would be a second way of reading "127.1".
    asking = asyncio.to_thread(socket.getaddrinfo, host, endpoint.port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(asking, timeout)
    except TimeoutError:
        raise errors.timed_out(f"Looking up “{endpoint.host}”", timeout) from None
    except socket.gaierror as error:
        raise errors.host_not_found(endpoint.host, temporary=error.errno == socket.EAI_AGAIN) from None
    except (OSError, UnicodeError):
        raise errors.host_not_found(endpoint.host, temporary=False) from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise errors.host_not_found(endpoint.host, temporary=False)
    if not exempt and any(address_is_forbidden(address) for address in addresses):
        raise _address_refused(endpoint)
    return Resolved(endpoint, _by_turns(addresses)[:_MOST_ADDRESSES])


def _by_turns(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """IPv6 and IPv4 in turn, else in their order: where one is dead, the other is not last (RFC 8305 section 4)."""
    families = [
        [one for one in addresses if (":" in one) is v6]
        for v6 in (":" in addresses[0], ":" not in addresses[0])
    ]
    return tuple(one for pair in zip_longest(*families) for one in pair if one is not None)


async def connect(
    resolved: Resolved, protocol_factory: Callable[[], P], *, timeout: float = 15
) -> tuple[asyncio.Transport, P]:
    """Connect to a checked address, encrypted at once for ``Security.SSL``.

    Raises connect_failed, timeout, tls_failed, certificate_invalid or certificate_changed.
    """
    sock = await open_socket(resolved, timeout=timeout)
    return await attach(sock, resolved.endpoint, protocol_factory, timeout=timeout)


async def open_socket(resolved: Resolved, *, timeout: float = 15) -> socket.socket:
    """The first TCP connection to succeed; a silent address does not hold up the next (RFC 8305)."""
    starts = [
        asyncio.create_task(_dial(address, resolved.endpoint.port, number * _NEXT_ADDRESS_AFTER_SECONDS))
        for number, address in enumerate(resolved.addresses)
    ]
    try:
        return await asyncio.wait_for(_first_success(starts), timeout)
    except TimeoutError:
        raise errors.timed_out(f"Connecting to “{resolved.endpoint.host}”", timeout) from None
    except OSError:
        raise MailError(
            "connect_failed",
            f"“{resolved.endpoint.host}” does not answer on port {resolved.endpoint.port}.",
            "Check the port and the security mode; the server may also be down.",
            temporary=True,
        ) from None
    finally:
        _give_up(starts)


async def attach(
    sock: socket.socket, endpoint: Endpoint, protocol_factory: Callable[[], P], *, timeout: float = 15
) -> tuple[asyncio.Transport, P]:
    """Put a protocol on a connected socket, with the handshake and certificate check for ``Security.SSL``.

    Takes over the socket, also when it fails. Raises as ``connect`` does.
    """
    if endpoint.security is not Security.SSL:
        return await asyncio.get_running_loop().create_connection(protocol_factory, sock=sock)
    protocol = protocol_factory()
    transport = await secure(sock, protocol, endpoint, timeout=timeout)
    protocol.connection_made(transport)
    return transport, protocol


async def _dial(address: str, port: int, delay: float) -> socket.socket:
    await asyncio.sleep(delay)
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_success(starts: list[asyncio.Task[socket.socket]]) -> socket.socket:
    waiting = set(starts)
    failure: BaseException = OSError("no address")
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        won = [task for task in done if task.exception() is None]
        if won:
            starts.remove(won[0])  # The winner's socket must survive _give_up.
            return won[0].result()
        failure = next(iter(done)).exception() or failure
    raise failure


def _give_up(starts: list[asyncio.Task[socket.socket]]) -> None:
    for task in starts:
        if not task.cancel() and not task.cancelled() and task.exception() is None:
            with contextlib.suppress(OSError):
                task.result().close()


def _address_refused(endpoint: Endpoint) -> MailError:
    # One text for every forbidden target: which of them exist behind the firewall is nobody's business (S-025).
    return MailError(
        "address_refused",
        f"Postern does not connect to “{endpoint.host}”.",
        "Only public mail servers can be used; whoever runs Postern can allow another by name.",
        temporary=False,
    )
