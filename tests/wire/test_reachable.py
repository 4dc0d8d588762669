"""Which hosts, addresses and ports are forbidden (S-023)."""

import pytest

from postern.wire.reachable import address_is_forbidden, name_is_forbidden, normal_host

FORBIDDEN_ADDRESSES = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "not an address",
    "",
]
PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2a00:1450:4001:829::200e",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_s023_a_forbidden_address(address: str) -> None:
    assert address_is_forbidden(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address(address: str) -> None:
    assert not address_is_forbidden(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "mail.localhost",
        "metadata.google.internal",
        "metadata.google.internal.",
        "printer.local",
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0",
        "127.0.0.1.",
    ],
)
def test_s023_a_forbidden_name(host: str) -> None:
    normal = normal_host(host)
    assert name_is_forbidden(normal) or address_is_forbidden(normal)


@pytest.mark.parametrize("host", ["imap.example.org", "example.org.", "mail", "8.8.8.8", "localhost.example"])
def test_a_usable_name(host: str) -> None:
    assert not name_is_forbidden(normal_host(host))


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        (" Imap.Example.ORG. ", "imap.example.org"),
        ("Müller.example", "xn--mller-kva.example"),
        ("[2A00:1450::1]", "2a00:1450::1"),
        ("2a00:1450:0::1", "2a00:1450::1"),
    ],
)
def test_one_spelling(host: str, normal: str) -> None:
    assert normal_host(host) == normal


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "a b",
        "a\r\nb",
        "a\0b",
        "-a.org",
        "a@b",
        "a/b",
        "x" * 64,
        "a." * 130,
        "fe80::1%eth0",
        "[::1",
    ],
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError):
        normal_host(host)
