"""What a watched mailbox costs with all that the supervisor keeps of it: the servers and figures of ``bench idle``.

    ./dev bench watch                            5,000 mailboxes
    ./dev bench watch --count 300 --seconds 5    the same, small

Each mailbox has its watcher, visit, folder, memory and host as in the sync process; the database is replaced
by one that answers from memory, so its threads are not measured. Folders are looked at ``--faster`` times
as often as in life while the idle CPU is taken, and the figure is divided by it; `looks` says how many.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import idle
from postern.wire.endpoint import Endpoint, Policy
from postern.wire.imap import Login

LOOK_SECONDS = 540.0
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")


def watching(looks_after: float) -> Any:
    """Return a way to begin watching, for ``idle.measure``."""
    import django

    django.setup()
    from postern.mailboxes.models import Folder, Mailbox, MailboxHealth
    from postern.sync import store, visit, watcher
    from postern.sync.hosts import Hosts
    from postern.sync.plan import Remembered
    from postern.sync.store import Account, Held, Place, Store, Watched
    from postern.sync.watcher import Watcher

    watcher.LOOK_SECONDS = visit.LOOK_SECONDS = looks_after
    beneath = Store(1)
    hosts = Hosts(starting=idle.AT_ONCE)
    listeners: dict[int, tuple[str, idle.Heard]] = {}
    really_wait = visit.Visit.wait

    async def wait(self: Any, *arguments: Any, **options: Any) -> bool:
        news = await really_wait(self, *arguments, **options)
        user, heard = listeners[self._mailbox_id]
        if news:
            heard(user)
        return news

    visit.Visit.wait = wait  # type: ignore[method-assign]

    class InMemory(Held):
        """A leased mailbox whose database answers from memory."""

        def __init__(self, number: int, account: Account, standing: asyncio.Event) -> None:
            super().__init__(beneath, number, 1, float("inf"))
            self.account, self.standing = account, standing

        async def run(self, function: Any, *arguments: Any, **options: Any) -> Any:
            if function is store.load:
                return self.account
            if function is store.places:
                folder = Folder(pk=self.mailbox_id, mailbox_id=self.mailbox_id, name="INBOX", role="inbox")
                return [Place(folder, Remembered(7, 2, 2, exists=1))]
            if function is store.note_health:
                self.standing.set()
            if function is store.due_errands:
                return []
            return None

    async def start(
        endpoint: Endpoint, policy: Policy, user: str, heard: idle.Heard, kept: list[object]
    ) -> None:
        number = int(user[1:]) + 1
        listeners[number] = (user, heard)
        mailbox = Mailbox(
            pk=number, address=f"{user}@example.test", imap_host="localhost", imap_username=user
        )
        account = Account(mailbox, endpoint, Login(user, "secret"), policy, MailboxHealth(mailbox=mailbox))
        standing = asyncio.Event()
        keeper = InMemory(number, account, standing)
        one = Watcher(Watched(number, "localhost", user, True, "0" * 32), keeper, hosts)
        kept.append((one, asyncio.get_running_loop().create_task(one.run())))
        await standing.wait()
        del keeper.standing

    return start


def run_loop(loop: str, cafile: str, count: int, seconds: float, faster: float, answer: Any) -> None:
    """``idle.run_loop`` with watchers in place of bare sessions."""
    idle.run_loop(loop, cafile, count, seconds, answer, watching(LOOK_SECONDS / faster))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=54.0)
    parser.add_argument("--faster", type=float, default=20.0)
    parser.add_argument("--loop", default="uvloop")
    wanted = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        cafile = idle.certificate(Path(folder))
        here, there = context.Pipe()
        arguments = (wanted.loop, cafile, wanted.count, wanted.seconds, wanted.faster, there)
        child = context.Process(target=run_loop, args=arguments)
        child.start()
        there.close()
        result = here.recv()
        child.join(60)
    result["idle_cpu_percent"] = round(result["idle_cpu_percent"] / wanted.faster, 2)
    result["looks"] = round(wanted.count * wanted.seconds * wanted.faster / LOOK_SECONDS)
    print(json.dumps({"bench": "watch", "loop": wanted.loop} | result))


if __name__ == "__main__":
    main()
