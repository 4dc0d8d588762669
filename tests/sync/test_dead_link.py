"""Packets that are dropped without a word while we wait in IDLE: noticed by keep-alive, and the mail appears (R-028)."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from postern.sync import watcher as watching

from .box import USER, letter
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-028")]
TABLE = "inet postern_test_dead_link"
OURS_TAKES = 600
"""Seconds within which a dead link is noticed with the product's own settings."""


def nft(rules: str) -> str:
    """Run rules; what went wrong, '' when nothing did."""
    return subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True).stderr


@contextlib.contextmanager
def dropped(*ports: int) -> Iterator[None]:
    """Every packet of the connections from these ports of this machine vanishes, both ways."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed (Debian's package nftables)")
    them = ", ".join(map(str, ports))
    rules = f"tcp sport {{ {them} }} drop; tcp dport {{ {them} }} drop;\n"
    refused = nft(f"table {TABLE} {{ chain vanish {{ type filter hook input priority 0; {rules} }}\n}}")
    assert "syntax" not in refused, refused
    if refused:
        pytest.skip(f"no packets can be dropped here: {refused.strip()}")
    try:
        yield
    finally:
        nft(f"delete table {TABLE}")


@pytest.mark.parametrize(
    "own_settings",
    [
        pytest.param(False, id="keep-alive after seconds"),
        pytest.param(True, id="as it is", marks=pytest.mark.soak),
    ],
)
def test_a_link_that_died_in_silence(box, dovecot, monkeypatch, own_settings):
    box.change(sent_folder="")
    sockets: list[Any] = []
    opened = watching.open_session

    async def open_session(*arguments: Any) -> Any:
        session = await opened(*arguments)
        sock = session.connection.link.transport.get_extra_info("socket")
        sockets.append(sock)
        if not own_settings:
            for name, value in (("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3)):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return session

    monkeypatch.setattr(watching, "open_session", open_session)
    # The safety look and the renewal of IDLE would notice as well; here keep-alive is alone.
    monkeypatch.setattr("postern.wire.imap.session.LONGEST_IDLE", 3600.0)
    monkeypatch.setattr("postern.sync.visit.LOOK_SECONDS", 3600.0)

    async def story() -> float:
        async with box.watched():
            await until(in_sync(box))
            await asyncio.sleep(3)  # it waits in its second, long IDLE now
            assert len(sockets) == 1
            with dropped(sockets[0].getsockname()[1]):
                begun = time.monotonic()
                dovecot.deliver(USER, letter("into the void"))
                await until(lambda: box.subjects() == ["into the void"], OURS_TAKES if own_settings else 60)
                return time.monotonic() - begun

    took = asyncio.run(story())
    assert len(sockets) == 2, "it came over a new connection"
    assert took > 2, "the packets were not dropped"
