"""A whole installation for one measurement: embedded PostgreSQL with durability on, one mailbox, a process that syncs.

Run as a program it is that process: it syncs the mailbox once and says in JSON how it went.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402


@contextlib.contextmanager
def installation() -> Iterator[Any]:
    """Set up an empty installation in a folder that goes away; yields the server. Django is ready, as superuser."""
    home = Path(
        tempfile.mkdtemp(prefix="postern-bench-", dir=os.environ.get("POSTERN_BENCH_DIR", "/var/tmp"))
    )
    home.chmod(0o755)  # as root the server is another user
    os.environ.update(
        DJANGO_SETTINGS_MODULE="postern.project.settings",
        POSTERN_DATA_DIR=str(home / "data"),
        POSTERN_SECRET_KEY_FILE=str(home / "secret.key"),
        POSTERN_MAIL_HOSTS="127.0.0.1,localhost",
    )
    os.environ.pop("POSTERN_DATABASE_URL", None)
    from postern.project.keyfile import ensure_key_file

    ensure_key_file(home / "secret.key")
    import django

    django.setup()
    from postern.project.database import Server, prepare

    try:
        with Server(home / "data") as server:
            prepare(server)
            _migrate()
            yield server
            _connections().close_all()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _connections() -> Any:
    from django.db import connections

    return connections


def _migrate() -> None:
    from postern.project.commands.migrate import migrate
    from postern.project.database import connection_settings

    for role in ("owner", "superuser"):
        _connections().databases["default"].update(connection_settings(role))
        if role == "owner":
            migrate(verbosity=0)
        _connections().close_all()


def people(number: int) -> None:
    """Customers with the addresses of every third sender of bench.corpus."""
    from bench.corpus import PEOPLE, person
    from postern.people.models import Address, Customer

    rows = [Customer.objects.create(name=f"Customer {n}") for n in range(0, min(number, PEOPLE), 3)]
    Address.objects.bulk_create(Address(customer=row, email=person(3 * n)) for n, row in enumerate(rows))


def mailbox(port: int, name: str) -> int:
    """Save a mailbox of a new person for the account `bench`, with all history wished; returns its id."""
    from postern.mail.access import viewing_as
    from postern.mailboxes.save import save_mailbox
    from postern.people.models import Staff

    owner = Staff.objects.create_staff(email=f"{name}@isp.example", name=name, password=None)
    data = {
        "address": owner.email,
        "imap_username": "bench",
        "imap_password": "secret",
        "imap_host": "localhost",
        "imap_port": port,
        "imap_security": "none",
        "sent_folder": "",
        "sending": "",
        "historic": True,
        "historic_since": "2000-01-01",
    }
    with viewing_as(owner):
        return save_mailbox(staff=owner, mailbox=None, data=data).pk


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU that a process and its living children used, and those it has waited for."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(process: psutil.Process) -> float:
    """Megabytes of memory that a process and its children hold now, shared pages counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total / 1e6


def sync(mailbox_id: int, *others: psutil.Process) -> dict[str, Any]:
    """Sync a mailbox in a process of its own. `others`: CPU seconds that these used meanwhile are told as `other`."""
    before = [cpu(one) for one in others]
    child = subprocess.Popen(
        [sys.executable, __file__, str(mailbox_id)],
        env={**os.environ, "POSTERN_ROLE": "sync", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    assert child.stdout
    process, peak, done = psutil.Process(child.pid), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            with contextlib.suppress(psutil.Error):
                peak[0] = max(peak[0], resident(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    line = child.stdout.readline()
    if not line:
        raise SystemExit("the sync failed")
    used, alone = cpu(process), process.cpu_times()
    spent = [cpu(one) - was for one, was in zip(others, before, strict=True)]
    done.set()
    watcher.join()
    child.stdin.close()
    child.wait()
    result: dict[str, Any] = json.loads(line)
    result["main"] = alone.user + alone.system - result["main_before"]
    return result | {"worker": used - result.pop("cpu_before"), "other": spent, "peak_mb": peak[0]}


async def _sync(mailbox_id: int) -> dict[str, Any]:
    from postern.sync import store
    from postern.sync.memory import Progress
    from postern.sync.store import Store
    from postern.sync.visit import open_visit
    from postern.wire.imap import open_session

    keeper, progress, first = Store(), Progress(), 0.0
    account = await keeper.run(store.load, mailbox_id)
    assert account is not None
    own = psutil.Process()
    cpu_before, begun = cpu(own), time.perf_counter()

    async def look() -> None:
        nonlocal first
        while not progress.stored:
            await asyncio.sleep(0.01)
        first = time.perf_counter() - begun

    looking = asyncio.create_task(look())
    session = await open_session(account.endpoint, account.policy, account.login)
    visit = await open_visit(session, keeper, account.mailbox, progress=progress)
    while await visit.round():
        pass
    seconds = time.perf_counter() - begun
    await session.logout()
    keeper.close()
    looking.cancel()
    return {
        "seconds": seconds,
        "first": first,
        "stored": progress.stored,
        "cpu_before": cpu_before,
        "main_before": cpu_before,
    }


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps(asyncio.run(_sync(int(sys.argv[1])))), flush=True)
    sys.stdin.read()  # until our CPU has been read off
