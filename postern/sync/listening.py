"""Hearing what web, outbox and the other sync processes announce in the database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from postern.sync import store
from postern.sync.store import Store

log = logging.getLogger(__name__)

CHANNELS = ("postern_mailboxes", "postern_errands", "postern_probes", store.CHANNEL)
AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Notice:
    """What was announced: a mailbox, or what another sync process says of itself."""

    channel: str
    mailbox: int = 0
    owner: str = ""
    word: str = ""


def read_notice(channel: str, payload: str) -> Notice | None:
    """Return the notice, None for what is none: anybody who may connect may also announce."""
    try:
        told = json.loads(payload)
        mailbox = int(told.get("mailbox") or 0)
        word = "free" if told.get("free") else str(told.get("say") or "")
        return Notice(channel, mailbox, str(told.get("owner") or ""), word)
    except (ValueError, AttributeError, TypeError):
        return None


async def listen(keeper: Store, hear: Callable[[Notice], None], listening: Callable[[], None]) -> None:
    """Hear for ever; while the database is away, try again every few seconds. `listening`: we hear from now on."""
    while True:
        try:
            address = await keeper.run(store.listening_address)
            async with await psycopg.AsyncConnection.connect(address, autocommit=True) as db:
                for channel in CHANNELS:
                    await db.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                listening()
                async for told in db.notifies():
                    notice = read_notice(told.channel, told.payload)
                    if notice is not None:
                        hear(notice)
        except (psycopg.Error, OSError) as error:
            log.warning("listening to the database: %s", type(error).__name__)
        await asyncio.sleep(AGAIN_SECONDS)
