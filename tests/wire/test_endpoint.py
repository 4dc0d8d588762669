"""Resolving, refusing and connecting (S-023 to S-026)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from postern.wire.endpoint import Endpoint, Policy, Resolved, Security, connect, resolve
from postern.wire.errors import MailError

NOBODY = Policy()


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Make the name service answer with these addresses in turn; returns the list of names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def refusal(endpoint: Endpoint, policy: Policy = NOBODY) -> MailError:
    with pytest.raises(MailError) as caught:
        asyncio.run(resolve(endpoint, policy, timeout=1))
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "0",
        "0.0.0.0",
        "127.0.0.1",
        "::1",
        "[::1]",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fec0::1",
        "fe80::1%eth0",
        "fe80::1",
        "fc00::1",
        "100.64.0.1",
        "169.254.169.254",
        "localhost",
        "localhost.",
        "metadata.google.internal",
        "10.0.0.1",
        "192.168.0.1",
    ],
)
def test_s023_refused_before_anything_is_connected(host: str) -> None:
    error = refusal(Endpoint(host, 993, Security.SSL))
    assert (error.code, error.temporary, error.server_text) == ("address_refused", False, "")


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["fe80::1%lo"], ["::ffff:127.0.0.1"]],
)
def test_s023_s024_one_forbidden_address_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    names(monkeypatch, addresses)
    assert refusal(Endpoint("127-0-0-1.nip.io", 993, Security.SSL)).code == "address_refused"


def test_a_public_name_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = names(monkeypatch, ["8.8.8.8", "8.8.4.4", "8.8.8.8"])
    endpoint = Endpoint("IMAP.Example.org.", 993, Security.SSL)
    assert asyncio.run(resolve(endpoint, NOBODY)).addresses == ("8.8.8.8", "8.8.4.4")
    assert asked == ["imap.example.org"]


def test_s025_every_forbidden_target_gets_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    first = refusal(Endpoint("localhost", 993, Security.SSL))
    names(monkeypatch, ["10.0.0.1"])
    second = refusal(Endpoint("inside.example", 993, Security.SSL))
    assert str(first).replace("localhost", "inside.example") == str(second)


def test_s024_the_name_is_asked_once_and_the_checked_address_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> list[str]:
        greeted = asyncio.Event()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            greeted.set()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        asked = names(monkeypatch, ["127.0.0.1"], ["127.66.66.66"])
        endpoint = Endpoint("mail.example", port, Security.NONE)
        resolved = await resolve(endpoint, Policy(frozenset({f"mail.example:{port}"})))
        transport, _ = await connect(resolved, asyncio.Protocol)
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        await asyncio.wait_for(greeted.wait(), 2)
        transport.abort()
        server.close()
        return asked

    assert asyncio.run(scenario()) == ["mail.example"]


@pytest.mark.parametrize("port", [22, 80, 6379, 2525, 0, 70000])
def test_s026_other_ports_are_refused(port: int) -> None:
    assert refusal(Endpoint("8.8.8.8", port, Security.SSL)).code == "port_refused"


@pytest.mark.parametrize("port", [25, 143, 465, 587, 993])
def test_the_mail_ports_are_allowed(port: int) -> None:
    assert asyncio.run(resolve(Endpoint("8.8.8.8", port, Security.STARTTLS), NOBODY)).addresses == (
        "8.8.8.8",
    )


def test_no_encryption_only_where_the_operator_says_so() -> None:
    endpoint = Endpoint("8.8.8.8", 143, Security.NONE)
    assert refusal(endpoint).code == "tls_failed"
    assert asyncio.run(resolve(endpoint, Policy(frozenset({"8.8.8.8:143"})))).addresses == ("8.8.8.8",)


@pytest.mark.parametrize(
    ("setting", "host", "port", "allowed"),
    [
        ("", "localhost", 143, False),
        ("localhost", "localhost", 143, True),
        ("localhost", "LOCALHOST.", 1143, True),
        ("localhost", "mail.localhost", 143, False),
        ("localhost:1143", "localhost", 1143, True),
        ("localhost:1143", "localhost", 143, False),
        (" Mail.Lan , ", "mail.lan", 993, True),
        ("mail.lan", "evil-mail.lan", 993, False),
        ("[::1]:143", "::1", 143, True),
        ("[::1]:143", "::1", 993, False),
        ("::1", "[::1]", 993, True),
        ("127.0.0.1", "2130706433", 143, False),
    ],
)
def test_the_operators_exceptions(setting: str, host: str, port: int, allowed: bool) -> None:
    from postern.wire.reachable import normal_host

    assert Policy.from_setting(setting).exempts(normal_host(host), port) is allowed


def test_a_setting_that_is_no_host_is_said_at_once() -> None:
    with pytest.raises(ValueError):
        Policy.from_setting("mail lan")


@pytest.mark.rule("S-039")
@pytest.mark.parametrize("security", [Security.SSL, Security.STARTTLS])
def test_no_unchecked_certificate_unless_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, security: Security
) -> None:
    asked = names(monkeypatch, ["8.8.8.8"])
    endpoint = Endpoint("imap.example.org", 143, security, "ab" * 32, skip_validation=True)
    error = refusal(endpoint)
    assert (error.code, error.temporary, asked) == ("unchecked_refused", False, [])
    excepted = Policy.from_setting("imap.example.org")
    with pytest.raises(MailError):  # the operator's exceptions are about other things
        asyncio.run(resolve(endpoint, excepted))
    assert asyncio.run(resolve(endpoint, Policy(unchecked=True))).addresses == ("8.8.8.8",)
    in_clear = Endpoint("imap.example.org", 143, Security.NONE, skip_validation=True)
    assert asyncio.run(resolve(in_clear, excepted)).addresses == ("8.8.8.8",)


@pytest.mark.rule("R-031")
@pytest.mark.parametrize(
    ("errno", "temporary"), [(socket.EAI_AGAIN, True), (socket.EAI_NONAME, False), (socket.EAI_FAIL, False)]
)
def test_a_name_nobody_knows(monkeypatch: pytest.MonkeyPatch, errno: int, temporary: bool) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(errno, "")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = refusal(Endpoint("nowhere.example", 993, Security.SSL))
    assert (error.code, error.temporary) == ("host_not_found", temporary)


@pytest.mark.rule("R-031")
def test_a_slow_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.4))
    with pytest.raises(MailError) as caught:
        asyncio.run(resolve(Endpoint("slow.example", 993, Security.SSL), NOBODY, timeout=0.05))
    assert (caught.value.code, caught.value.temporary) == ("timeout", True)


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("a\r\nb", "control_bytes"),
        ("a\0b", "control_bytes"),
        ("a b", "host_not_found"),
        ("", "host_not_found"),
    ],
)
def test_what_is_no_host(host: str, code: str) -> None:
    assert refusal(Endpoint(host, 993, Security.SSL)).code == code


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_nobody_answers() -> None:
    resolved = Resolved(Endpoint("mail.example", closed_port(), Security.NONE), ("127.0.0.1", "127.0.0.2"))
    with pytest.raises(MailError) as caught:
        asyncio.run(connect(resolved, asyncio.Protocol))
    assert (caught.value.code, caught.value.temporary) == ("connect_failed", True)


@pytest.mark.rule("R-031")
def test_a_dead_address_does_not_hold_up_the_next() -> None:
    async def scenario() -> str:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        resolved = Resolved(Endpoint("mail.example", port, Security.NONE), ("127.0.0.2", "127.0.0.1"))
        transport, _ = await connect(resolved, asyncio.Protocol, timeout=2)
        peer = str(transport.get_extra_info("peername")[0])
        transport.abort()
        server.close()
        return peer

    assert asyncio.run(scenario()) == "127.0.0.1"


@pytest.mark.rule("R-031")
def test_a_silent_address_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    from postern.wire import endpoint as module

    dial = module._dial
    hanging: list[str] = []

    async def silent_first(address: str, port: int, delay: float) -> socket.socket:
        if address == "127.0.0.2":
            hanging.append(address)
            try:
                await asyncio.sleep(60)
            finally:
                hanging.remove(address)
        return await dial(address, port, delay)

    async def scenario() -> float:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(module, "_dial", silent_first)
        begun = time.monotonic()
        resolved = Resolved(Endpoint("mail.example", port, Security.NONE), ("127.0.0.2", "127.0.0.1"))
        transport, _ = await connect(resolved, asyncio.Protocol, timeout=5)
        transport.abort()
        server.close()
        await asyncio.sleep(0)
        return time.monotonic() - begun

    assert asyncio.run(scenario()) < 2
    assert hanging == []


@contextlib.contextmanager
def silent_v6() -> Iterator[int]:
    """A port of ::1 that answers nobody, as behind a firewall that drops: its queue is full."""
    try:
        deaf = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=0)
    except OSError as error:
        pytest.skip(f"NO IPv6 ON THIS MACHINE, dead IPv6 is not tested: {error}")
    port = deaf.getsockname()[1]
    with contextlib.ExitStack() as open_until_the_end, deaf:
        for _ in range(64):
            caller = open_until_the_end.enter_context(socket.socket(socket.AF_INET6))
            caller.settimeout(0.3)
            try:
                caller.connect(("::1", port))
            except TimeoutError:
                break
        else:
            pytest.fail("the queue is never full")
        yield port


async def reach(monkeypatch: pytest.MonkeyPatch, found: list[str], port: int) -> tuple[str, float]:
    """Resolve a name that has these addresses and connect; returns who answered, and after how long."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    names(monkeypatch, found)
    begun = time.monotonic()
    resolved = await resolve(
        Endpoint("mail.example", port, Security.NONE), Policy(frozenset({"mail.example"}))
    )
    transport, _ = await connect(resolved, asyncio.Protocol, timeout=5)
    took = time.monotonic() - begun
    peer = str(transport.get_extra_info("peername")[0])
    transport.abort()
    server.close()
    return peer, took


@pytest.mark.rule("R-031")
def test_a_dead_ipv6_address_does_not_hold_up_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_v6() as port:
        peer, took = asyncio.run(reach(monkeypatch, ["::1", "127.0.0.1"], port))
    assert peer == "127.0.0.1"
    assert took < 3  # its own silence would have lasted the whole five


@pytest.mark.rule("R-031")
def test_an_ipv6_address_that_leads_nowhere_does_not_hold_up_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """100::/64 is for discarding (RFC 6666): no route at all, or silence, as the machine is set up."""
    assert asyncio.run(reach(monkeypatch, ["100::1", "127.0.0.1"], 0))[0] == "127.0.0.1"


@pytest.mark.rule("R-031")
def test_however_many_ipv6_addresses_are_dead_ipv4_is_tried_second(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = [f"2001:4860:4860::{number:x}" for number in range(1, 12)]
    names(monkeypatch, [*dead, "8.8.8.8", "8.8.4.4"])
    found = asyncio.run(resolve(Endpoint("imap.example.org", 993, Security.SSL), NOBODY)).addresses
    assert found == (dead[0], "8.8.8.8", dead[1], "8.8.4.4", *dead[2:6])
