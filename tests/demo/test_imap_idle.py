"""What the demo's mail server adds to pymap: an IDLE always ends when the client says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from pymap.concurrent import Subsystem

from postern.demo.imap import Imap


def test_an_idle_that_ended_before_the_server_waits_again_is_answered_at_once() -> None:
    async def told() -> list[Any]:
        server = Imap()
        await server.add_account("marta@demo.example", "secret")
        box = await server._folder("marta@demo.example", "INBOX")
        done = Subsystem.for_asyncio().new_event()
        done.set()
        news: list[Any] = []
        client = SimpleNamespace(
            mod_sequence=box._mod_sequences.highest, add_updates=lambda new, gone: news.extend([*new, *gone])
        )
        await asyncio.wait_for(box.update_selected(client, wait_on=done), 10)
        await server.put("marta@demo.example", "INBOX", b"Subject: x\r\n\r\nx\r\n")
        await asyncio.wait_for(box.update_selected(client, wait_on=done), 10)
        return news

    assert len(asyncio.run(told())) == 1
