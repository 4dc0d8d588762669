"""The sync process: `python -m postern.sync.run`, started by `postern up` with the database role sync."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postern.sync.store import Account, Held, Store

ANSWER_SECONDS = 60.0


async def supervise() -> None:
    """Run the supervisor until SIGTERM or SIGINT."""
    from django.conf import settings

    from postern.sync.hosts import Hosts, read_budgets
    from postern.sync.store import Store
    from postern.sync.supervisor import Supervisor

    keeper = Store()
    hosts = Hosts(read_budgets(settings.IMAP_CONNECTIONS))
    supervisor = Supervisor(keeper, poll_seconds=settings.POLL_SECONDS, hosts=hosts)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    try:
        await supervisor.run()
    finally:
        keeper.close()


def sync_once(mailbox_id: int) -> str:
    """Visit one mailbox now and return a sentence about it; for the command line, which runs as sync."""
    return asyncio.run(_sync_once(mailbox_id))


async def _sync_once(mailbox_id: int) -> str:
    from postern.sync import store
    from postern.sync.leases import lease_of
    from postern.sync.store import Store
    from postern.wire.errors import MailError

    keeper = Store(1)
    try:
        account = await keeper.run(store.load, mailbox_id)
        if account is None:
            return f"Mailbox {mailbox_id} has no IMAP account set up."
        if not account.mailbox.tracking:
            return f"Inbox processing of mailbox {mailbox_id} is switched off."
        async with lease_of(keeper, mailbox_id) as held:
            if held is None:
                return await _ask_for_a_look(keeper, mailbox_id)
            stored = await _visit(held, account)
        return f"Mailbox {mailbox_id} is in sync; {stored} new messages."
    except MailError as error:
        return f"Mailbox {mailbox_id}: {error}"
    finally:
        keeper.close()


async def _visit(held: Held, account: Account) -> int:
    """Connect, go round until nothing is left to do, leave; how many messages are new."""
    from postern.sync.memory import Progress
    from postern.sync.visit import open_visit
    from postern.wire.imap import open_session

    session = await open_session(account.endpoint, account.policy, account.login)
    try:
        progress = Progress()
        visit = await open_visit(session, held, account.mailbox, progress=progress)
        while await visit.round():
            pass
        return progress.stored
    finally:
        await session.logout()


async def _ask_for_a_look(keeper: Store, mailbox_id: int) -> str:
    """A sync process is at the mailbox already: two would do everything twice, so it is asked to look now."""
    from postern.sync import store

    before = await keeper.run(store.last_look, mailbox_id)
    await keeper.run(store.ask_for_a_look, mailbox_id)
    for _ in range(int(ANSWER_SECONDS / 0.2)):
        await asyncio.sleep(0.2)
        if await keeper.run(store.last_look, mailbox_id) != before:
            return f"Mailbox {mailbox_id} is in sync; a sync process watches it and has looked just now."
    return f"Mailbox {mailbox_id} is watched by a sync process, which was asked to look; it is still busy."


def main() -> None:
    """Set Django up as the role sync and supervise."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")
    os.environ.setdefault("POSTERN_ROLE", "sync")
    import django
    import uvloop

    django.setup()
    # A tenth less CPU for downloads in clear: `./dev bench fetch`.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(supervise())


if __name__ == "__main__":
    main()
