"""Waiting for news: IDLE for the open folder, NOTIFY for others besides (RFC 2177, RFC 5465)."""

import asyncio
import contextlib
from collections.abc import Collection, Coroutine

from postern.wire.errors import MailError
from postern.wire.imap import commands
from postern.wire.imap.commands import Command, Literal, command
from postern.wire.imap.connection import OVERFLOW, Connection, Exchange
from postern.wire.imap.link import Deadline
from postern.wire.imap.responses import Continuation, Count, Event, Fetch, FolderStatus, Line, Vanished

# So long a server may take to say "+". One that never does would cost the whole patience for a command.
BEGIN_SECONDS = 10.0
UNANSWERED = "idle_unanswered"


async def idle(connection: Connection, *, seconds: float, wake: asyncio.Event | None) -> bool:
    """True as soon as something changed in the open folder or one that is watched, False after ``seconds``.

    News that came with the answers to other commands counts at once. ``wake`` ends the waiting early and
    politely, so that the session stays usable. A server without IDLE is asked once, in the end. Raises
    MailError, with the code UNANSWERED where the server never says that it waits; the connection is over then.
    """
    if connection.news or connection.elsewhere:
        connection.news = connection.elsewhere = False
        return True
    if "IDLE" not in connection.capabilities:
        return await _ask_later(connection, seconds, wake)
    async with connection.exchange(Command("IDLE", [b"IDLE"], flow="idle")) as exchange:
        changed = await _until_news(connection, exchange, seconds, wake)
        await exchange.done()
        for event in await exchange.end():
            changed = _is_change(event) or changed
    changed = changed or connection.news or connection.elsewhere
    connection.news = connection.elsewhere = False
    return changed


async def watch(connection: Connection, folders: Collection[bytes | Literal]) -> bool:
    """Have the server tell of these folders too while another is open; False when it cannot or will not.

    Their counts then come unasked, now and with each change, and end ``idle``. Whatever the refusal
    ([BADEVENT], a NO for the moment), there is IDLE and STATUS without it.
    """
    if "NOTIFY" not in connection.capabilities:
        return False
    try:
        await connection.do(commands.notify(folders))
    except MailError:
        if connection.closed:
            raise
        return False
    connection.watching = True
    return True


async def _ask_later(connection: Connection, seconds: float, wake: asyncio.Event | None) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for((wake or asyncio.Event()).wait(), seconds)
    events = await connection.do(command("NOOP"))
    changed, connection.news = connection.news or any(map(_is_change, events)), False
    return changed


async def _until_news(
    connection: Connection, exchange: Exchange, seconds: float, wake: asyncio.Event | None
) -> bool:
    changed = False
    until = Deadline.after(min(BEGIN_SECONDS, connection.timeout), "")
    while not isinstance(event := await exchange.poll(_left(until)), Continuation):
        if event is None:
            raise MailError(UNANSWERED, "The mail server does not answer IDLE.", temporary=True)
        changed = changed or _is_change(event) or connection.news  # quirk exists_before_idle_plus
    until = Deadline.after(seconds, "")
    while not changed:
        event = await _unless(wake, exchange.poll(_left(until)))
        if event is None:
            return False
        changed = _is_change(event) or connection.news
    return changed


def _left(until: Deadline) -> float:
    return max(0.0, until.at - Deadline.after(0, "").at)


def _is_change(event: Event | None) -> bool:
    """EXISTS counts where it is held against what was there before; the end of NOTIFY is news as well."""
    if isinstance(event, Line):
        return event.code == OVERFLOW
    return isinstance(event, Fetch | Vanished | FolderStatus) or (
        isinstance(event, Count) and event.what == "EXPUNGE"
    )


async def _unless(wake: asyncio.Event | None, waiting: Coroutine[None, None, Event | None]) -> Event | None:
    """What ``waiting`` gives, or None as soon as ``wake`` is set. Waiting for an event loses nothing when cut."""
    if wake is None:
        return await waiting
    tasks = asyncio.ensure_future(waiting), asyncio.ensure_future(wake.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
