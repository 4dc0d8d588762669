"""Encryption: which server we trust, and in plain words why we do not trust another (S-033 to S-039)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from cryptography import x509

from postern.wire import errors
from postern.wire.encrypted import EncryptedTransport, encrypt
from postern.wire.errors import MailError
from postern.wire.reachable import normal_host

if TYPE_CHECKING:
    from postern.wire.endpoint import Endpoint

# OpenSSL's verification codes (X509_V_ERR_*) in the words of somebody setting up a mailbox.
_REASONS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "it is signed by an authority this computer does not know",
    20: "it is signed by an authority this computer does not know",
    21: "it is signed by an authority this computer does not know",
    23: "it has been revoked",
    62: "it belongs to another server name",
    64: "it belongs to another address",
}


@dataclass(frozen=True)
class CertificateSeen:
    """What a server showed: SHA-256 of the DER certificate (lower-case hex), end of validity, subject."""

    sha256: str
    not_after: datetime | None
    subject: str
    tls_version: str


class CertificateChanged(MailError):
    """The server shows another certificate than the one remembered; ``sha256`` is the one it shows now."""

    def __init__(self, host: str, sha256: str, pinned: str) -> None:
        super().__init__(
            "certificate_changed",
            f"“{host}” shows another certificate than at the first connection "
            f"(fingerprint {sha256}, expected {pinned}).",
            "If the server's certificate was renewed on purpose, confirm the new fingerprint.",
            temporary=False,
        )
        self.sha256 = sha256


class _HasExtraInfo(Protocol):
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...


# Authorities that this computer trusts from now on are noticed within this time.
_CONTEXT_SECONDS = 3600


def client_context(endpoint: Endpoint) -> ssl.SSLContext:
    """A context for one endpoint: TLS 1.2 or newer, validating unless the endpoint pins instead.

    Many connections share one: each would hold all the authorities that this computer knows, and take
    milliseconds to read them.
    """
    trusted = tuple(os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _context(endpoint.skip_validation, trusted, int(time.monotonic() // _CONTEXT_SECONDS))


@lru_cache(maxsize=4)
def _context(skip_validation: bool, trusted: tuple[str, ...], hour: int) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if skip_validation:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def check_certificate(
    peer: _HasExtraInfo | ssl.SSLObject | ssl.SSLSocket, endpoint: Endpoint
) -> CertificateSeen:
    """What the peer of a finished handshake showed; ``peer`` is a transport or its SSL object.

    Raises certificate_changed when the endpoint pins another fingerprint. With validation on, the
    handshake itself has judged the certificate and the pin is not looked at: honest servers renew.
    """
    tls = peer if isinstance(peer, ssl.SSLObject | ssl.SSLSocket) else peer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        raise MailError("certificate_invalid", f"“{endpoint.host}” showed no certificate.", temporary=False)
    sha256 = hashlib.sha256(der).hexdigest()
    if endpoint.skip_validation and endpoint.pinned_sha256:
        _require_same(sha256, endpoint)
    subject, not_after = _read_der(der)
    return CertificateSeen(sha256, not_after, subject, cast(str, tls.version() or ""))


async def start_tls(
    transport: asyncio.WriteTransport, protocol: asyncio.BaseProtocol, endpoint: Endpoint, *, timeout: float
) -> asyncio.Transport:
    """Upgrade a clear connection after the server agreed to STARTTLS; returns the encrypted transport.

    The caller must have made sure that no byte arrived between the server's agreement and this call,
    and must forget all it learned before (RFC 3207 section 4.2, RFC 9051 section 6.2.1).
    Raises tls_failed, certificate_invalid, certificate_changed or timeout; the connection is then closed.
    """
    return await secure(_taken_from(transport), protocol, endpoint, timeout=timeout)


async def secure(
    sock: socket.socket, protocol: asyncio.BaseProtocol, endpoint: Endpoint, *, timeout: float
) -> EncryptedTransport:
    """Encrypt a connected socket, which is taken over, and put ``protocol`` on it; its ``connection_made`` is the caller's.

    Raises tls_failed, certificate_invalid, certificate_changed or timeout; the connection is then closed.
    """
    context, name = client_context(endpoint), server_name(endpoint)
    try:
        return await asyncio.wait_for(
            encrypt(sock, context, name, protocol, lambda secured: check_certificate(secured, endpoint)),
            timeout,
        )
    except BaseException as error:
        refusal = refused(error, endpoint, timeout)
        if refusal is None:
            raise
        raise refusal from error


def _taken_from(transport: asyncio.WriteTransport) -> socket.socket:
    """The connection under a clear transport, which ends here without a word to anybody."""
    sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    sock.setblocking(False)
    transport.set_protocol(asyncio.Protocol())
    transport.abort()
    return sock


def server_name(endpoint: Endpoint) -> str:
    """The name the certificate must be valid for."""
    return normal_host(endpoint.host)


def refused(error: BaseException, endpoint: Endpoint, timeout: float) -> MailError | None:
    """The MailError for a handshake that failed; None for what is no failure of the handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_refused(error, endpoint)
    hung_up = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if isinstance(error, ssl.SSLError) and not hung_up:
        return _handshake_refused(error, endpoint)
    if isinstance(error, TimeoutError):
        return errors.timed_out(f"Securing the connection to “{endpoint.host}”", timeout)
    if isinstance(error, OSError | EOFError):
        return MailError(
            "tls_failed",
            f"“{endpoint.host}” closed the connection while it was being secured.",
            "The server may not offer encryption here; check the port and the security mode.",
            temporary=True,
        )
    return None


def _certificate_refused(error: ssl.SSLCertVerificationError, endpoint: Endpoint) -> MailError:
    reason = _REASONS.get(error.verify_code, error.verify_message or "it could not be checked")
    return MailError(
        "certificate_invalid",
        f"The certificate of “{endpoint.host}” is not accepted: {reason}.",
        "Check the server's name, or ask whoever runs the server for a valid certificate.",
        temporary=False,
    )


def _handshake_refused(error: ssl.SSLError, endpoint: Endpoint) -> MailError:
    reason = error.reason or ""
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason or "HTTP_REQUEST" in reason:
        message = f"“{endpoint.host}” does not begin with encryption on port {endpoint.port}."
        advice = "Choose STARTTLS, or the port for SSL/TLS (993 for IMAP, 465 for SMTP)."
    elif "PROTOCOL" in reason or "VERSION" in reason:
        message = f"“{endpoint.host}” offers only encryption older than TLS 1.2."
        advice = "The server must be brought up to date; older encryption is not safe."
    else:
        message = f"The connection to “{endpoint.host}” could not be secured."
        advice = "Check the port and the security mode."
    return MailError("tls_failed", message, advice, temporary=False)


def _require_same(sha256: str, endpoint: Endpoint) -> None:
    pinned = endpoint.pinned_sha256.replace(":", "").lower()
    if sha256 != pinned:
        raise CertificateChanged(endpoint.host, sha256, pinned)


def _read_der(der: bytes) -> tuple[str, datetime | None]:
    """Subject and end of validity; a certificate nobody validated may be unreadable, and still be pinned."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        not_after = certificate.not_valid_after_utc.astimezone(UTC)
        return certificate.subject.rfc4514_string(), not_after
    except Exception:
        return "", None
