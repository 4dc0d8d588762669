"""Visits one mailbox and kills itself at a durable step: `python -m tests.sync.killed MAILBOX STEP`.

Durable steps are a transaction that was committed and a command that changed the mail server. The process
dies by SIGKILL right after step STEP; with 0 it lives and prints how many steps there were.
"""

import asyncio
import os
import signal
import sys


def main() -> None:
    """Count, and die in time."""
    import django

    django.setup()
    from postern.sync import store
    from postern.sync.leases import lease_of
    from postern.sync.run import _visit
    from postern.sync.store import Store, pool
    from postern.wire.imap import Session

    mailbox, last = int(sys.argv[1]), int(sys.argv[2])
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    inside = pool._on_connection

    def on_connection(function, *arguments, **options):
        done = inside(function, *arguments, **options)
        step()
        return done

    pool._on_connection = on_connection
    for name in ("append", "uid_store", "uid_move"):
        setattr(Session, name, _counted(getattr(Session, name), step))

    async def visit() -> None:
        keeper = Store(2)
        account = await keeper.run(store.load, mailbox)
        async with lease_of(keeper, mailbox) as held:
            await _visit(held, account)
        keeper.close()

    asyncio.run(visit())
    print(steps)


def _counted(method, step):
    async def counted(self, *arguments, **options):
        done = await method(self, *arguments, **options)
        step()
        return done

    return counted


if __name__ == "__main__":
    main()
