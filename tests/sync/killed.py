"""Visits one mailbox and kills itself at a durable step: `python -m tests.sync.killed MAILBOX STEP`.

Durable steps are a transaction that was committed and a command that changed the mail server. The process
dies by SIGKILL right after step STEP; with 0 it lives and prints how many steps there were.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from unittest.mock import patch


def main() -> None:
    """Count, and die in time."""
    import django

    django.setup()
    mailbox, last = int(sys.argv[1]), int(sys.argv[2])

    def die(steps: int) -> None:
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    print(visit(mailbox, die))


def visit(mailbox: int, step: Callable[[int], None] = lambda _: None) -> int:
    """Visit under a lease, as a process that remembers nothing; `step` is told each durable step's number. How many."""
    from postern.sync import store
    from postern.sync.leases import lease_of
    from postern.sync.run import _visit
    from postern.sync.store import Store, pool
    from postern.wire.imap import Session

    steps = count(1)
    inside = pool._on_connection

    def on_connection(function, *arguments, **options):
        done = inside(function, *arguments, **options)
        step(next(steps))
        return done

    async def story() -> None:
        keeper = Store(2)
        account = await keeper.run(store.load, mailbox)
        async with lease_of(keeper, mailbox) as held:
            await _visit(held, account)
        keeper.close()

    with ExitStack() as stack:
        stack.enter_context(patch.object(pool, "_on_connection", on_connection))
        for name in ("append", "uid_store", "uid_move"):
            counted = _counted(getattr(Session, name), lambda: step(next(steps)))
            stack.enter_context(patch.object(Session, name, counted))
        asyncio.run(story())
    return next(steps) - 1


def _counted(method, step):
    async def counted(self, *arguments, **options):
        done = await method(self, *arguments, **options)
        step()
        return done

    return counted


if __name__ == "__main__":
    main()
