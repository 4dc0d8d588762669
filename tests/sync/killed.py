"""Visits one mailbox and kills itself at a durable step: `python -m tests.sync.killed MAILBOX STEP`.

Durable steps are a transaction that was committed and a command that changed the mail server, each command by itself.
The process dies by SIGKILL right after step STEP, a number, or the first of that name ("UID COPY"); with 0 it lives
and prints how many steps there were.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from unittest.mock import patch

CHANGES = {"APPEND", "UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE"}
TRANSACTION = "transaction"
Step = Callable[[int, str], None]


def main() -> None:
    """Count, and die in time."""
    import django

    django.setup()
    print(visit(int(sys.argv[1]), dying_at(sys.argv[2])))


def dying_at(last: str) -> Step:
    """What is told each step, and dies at one."""

    def die(number: int, name: str) -> None:
        if last in (str(number), name):
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def visit(mailbox: int, step: Step = lambda *_: None) -> int:
    """Visit under a lease, as a process that remembers nothing; `step` is told each durable step. How many there were."""
    from postern.sync import store
    from postern.sync.leases import lease_of
    from postern.sync.run import _visit
    from postern.sync.store import Store, pool
    from postern.wire.imap.connection import Exchange

    steps = count(1)
    inside, judge = pool._on_connection, Exchange._judge

    def on_connection(function, *arguments, **options):
        done = inside(function, *arguments, **options)
        if function is not store.renew:  # which the clock does, at any moment
            step(next(steps), TRANSACTION)
        return done

    def judged(self, event):
        left = judge(self, event)  # None: the server said OK, and it is done
        if left is None and self._command.name in CHANGES:
            step(next(steps), self._command.name)
        return left

    async def story() -> None:
        keeper = Store(2)
        account = await keeper.run(store.load, mailbox)
        async with lease_of(keeper, mailbox) as held:
            await _visit(held, account)
        keeper.close()

    with patch.object(pool, "_on_connection", on_connection), patch.object(Exchange, "_judge", judged):
        asyncio.run(story())
    return next(steps) - 1


if __name__ == "__main__":
    main()
