"""Whom we trust, and the reason given when we do not (S-038, S-039)."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest

from postern.wire.endpoint import (
    Endpoint,
    Policy,
    Resolved,
    Security,
    check_certificate,
    client_context,
    connect,
    resolve,
)
from postern.wire.errors import MailError
from postern.wire.tls import CertificateSeen
from tests.certs import Authority, Made


def visit(
    made: Made,
    *,
    pin: str = "",
    skip: bool = False,
    host: str = "localhost",
) -> CertificateSeen:
    """Connect to a server that shows ``made``."""

    async def scenario() -> CertificateSeen:
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=made.server_context()
        )
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(host, port, Security.SSL, pinned_sha256=pin, skip_validation=skip)
        try:
            resolved = await resolve(endpoint, Policy(frozenset({host}), unchecked=True))
            transport, _ = await connect(resolved, asyncio.Protocol, timeout=5)
            seen = check_certificate(transport, endpoint)
            transport.abort()
            return seen
        finally:
            server.close()

    return asyncio.run(scenario())


def refusal(made: Made, **how: object) -> MailError:
    with pytest.raises(MailError) as caught:
        visit(made, **how)  # type: ignore[arg-type]
    return caught.value


def test_a_good_certificate(authority: Authority, trusting: Path) -> None:
    made = authority.issue("localhost")
    seen = visit(made)
    assert seen.sha256 == made.sha256
    assert seen.subject == "CN=localhost"
    assert seen.tls_version == "TLSv1.3"
    assert seen.not_after == made.certificate.not_valid_after_utc
    assert seen.not_after.tzinfo is dt.UTC


def test_a_certificate_for_an_address(authority: Authority, trusting: Path) -> None:
    assert visit(authority.issue("127.0.0.1"), host="127.0.0.1").subject == "CN=127.0.0.1"


def test_a_final_dot_does_not_matter(authority: Authority, trusting: Path) -> None:
    assert visit(authority.issue("localhost"), host="localhost.").subject == "CN=localhost"


@pytest.mark.parametrize(
    ("names", "lasts", "self_signed", "reason"),
    [
        (["localhost"], -dt.timedelta(minutes=1), False, "it has expired"),
        (["mail.example"], dt.timedelta(hours=1), False, "it belongs to another server name"),
        (["localhost"], dt.timedelta(hours=1), True, "it is self-signed"),
    ],
)
def test_s038_refused_with_the_reason(
    authority: Authority,
    trusting: Path,
    names: list[str],
    lasts: dt.timedelta,
    self_signed: bool,
    reason: str,
) -> None:
    error = refusal(authority.issue(*names, lasts=lasts, self_signed=self_signed))
    assert (error.code, error.temporary) == ("certificate_invalid", False)
    assert reason in error.message


def test_s038_an_unknown_issuer(authority: Authority, trusting: Path, tmp_path: Path) -> None:
    error = refusal(Authority(tmp_path, "Somebody else").issue("localhost"))
    assert error.code == "certificate_invalid"
    assert "an authority this computer does not know" in error.message


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_s038_old_encryption(authority: Authority, trusting: Path) -> None:
    context = authority.issue("localhost").server_context(newest=ssl.TLSVersion.TLSv1_1)

    def serve(listener: socket.socket) -> None:  # Blocking: asyncio's server would not say why it hangs up.
        with listener.accept()[0] as sock, contextlib.suppress(OSError):
            context.wrap_socket(sock, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        endpoint = Endpoint("localhost", listener.getsockname()[1], Security.SSL)
        with pytest.raises(MailError) as caught:
            asyncio.run(connect(Resolved(endpoint, ("127.0.0.1",)), asyncio.Protocol, timeout=5))
    assert (caught.value.code, caught.value.temporary) == ("tls_failed", False)
    assert "older than TLS 1.2" in caught.value.message


def test_s038_no_context_goes_below_tls_1_2() -> None:
    for skip in (False, True):
        context = client_context(Endpoint("a", 993, Security.SSL, skip_validation=skip))
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert (context.verify_mode is ssl.CERT_NONE) is skip
        assert context.check_hostname is not skip


def test_s039_the_first_certificate_is_reported_for_pinning(authority: Authority) -> None:
    made = authority.issue("other.example", lasts=-dt.timedelta(minutes=1), self_signed=True)
    seen = visit(made, skip=True)
    assert (seen.sha256, seen.subject) == (made.sha256, "CN=other.example")


def test_s039_the_pinned_certificate_is_taken(authority: Authority) -> None:
    made = authority.issue("localhost", self_signed=True)
    assert visit(made, skip=True, pin=made.sha256).sha256 == made.sha256
    spelled = ":".join(made.sha256[i : i + 2] for i in range(0, 64, 2)).upper()
    assert visit(made, skip=True, pin=spelled).sha256 == made.sha256


def test_s039_a_changed_certificate_is_refused(authority: Authority, trusting: Path) -> None:
    first, second = authority.issue("localhost"), authority.issue("localhost")
    error = refusal(second, skip=True, pin=first.sha256)
    assert (error.code, error.temporary) == ("certificate_changed", False)
    assert second.sha256 in error.message


def test_a_pin_does_not_replace_validation(authority: Authority, trusting: Path) -> None:
    made = authority.issue("localhost", self_signed=True)
    assert refusal(made, pin=made.sha256).code == "certificate_invalid"


def test_a_pin_does_not_forbid_renewal_where_certificates_are_validated(
    authority: Authority, trusting: Path
) -> None:
    assert visit(authority.issue("localhost"), pin="0" * 64).sha256


@pytest.mark.parametrize(
    ("greeting", "code", "words"),
    [
        (b"* OK Welcome to the clear side\r\n", "tls_failed", "does not begin with encryption"),
        (b"", "tls_failed", "closed the connection"),
        (None, "timeout", "longer than"),
    ],
)
def test_no_encryption_here(greeting: bytes | None, code: str, words: str) -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if greeting is None:
                await reader.read(-1)
            else:
                writer.write(greeting)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], Security.SSL)
        try:
            await connect(
                await resolve(endpoint, Policy(frozenset({"127.0.0.1"}))), asyncio.Protocol, timeout=0.5
            )
        finally:
            server.close()

    with pytest.raises(MailError) as caught:
        asyncio.run(scenario())
    assert caught.value.code == code
    assert words in caught.value.message
    assert "Welcome" not in str(caught.value)
