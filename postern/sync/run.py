"""The sync process: `python -m postern.sync.run`, started by `postern up` with the database role sync."""

from __future__ import annotations

import asyncio
import os
import signal


async def supervise() -> None:
    """Run the supervisor until SIGTERM or SIGINT."""
    from django.conf import settings

    from postern.sync.store import Store
    from postern.sync.supervisor import Supervisor

    keeper = Store()
    supervisor = Supervisor(keeper, poll_seconds=settings.POLL_SECONDS)
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
    from postern.sync.memory import Progress
    from postern.sync.store import Store
    from postern.sync.visit import open_visit
    from postern.wire.errors import MailError
    from postern.wire.imap import open_session

    keeper = Store(1)
    try:
        account = await keeper.run(store.load, mailbox_id)
        if account is None:
            return f"Mailbox {mailbox_id} has no IMAP account set up."
        if not account.mailbox.tracking:
            return f"Inbox processing of mailbox {mailbox_id} is switched off."
        session = await open_session(account.endpoint, account.policy, account.login)
        try:
            progress = Progress()
            visit = await open_visit(session, keeper, account.mailbox, progress=progress)
            while await visit.round():
                pass
        finally:
            await session.logout()
        return f"Mailbox {mailbox_id} is in sync; {progress.stored} new messages."
    except MailError as error:
        return f"Mailbox {mailbox_id}: {error}"
    finally:
        keeper.close()


def main() -> None:
    """Set Django up as the role sync and supervise."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")
    os.environ.setdefault("POSTERN_ROLE", "sync")
    import django

    django.setup()
    asyncio.run(supervise())


if __name__ == "__main__":
    main()
