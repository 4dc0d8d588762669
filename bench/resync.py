"""What it costs to learn of 10 new, 10 flagged and 10 deleted letters, by the size of the mailbox.

Starts a Dovecot and an embedded PostgreSQL of its own and prints one line of JSON. The ledger of
the mailbox is written as rows, so that only the following is measured: a new connection, the folder
opened, everything followed and written. `find_bytes` is what the server says apart from the new letters
themselves and their sizes; the best of `--runs` counts. `flat` is the largest mailbox over the smallest.
`nothing_ms` is what it takes when nothing changed, and `server_ms` how long a bare client waits for the same EXAMINE: a
server opens a large folder more slowly than a small one, and that is not ours to mend.

    ./dev bench resync                              1,000, 10,000 and 100,000 letters by QRESYNC
    ./dev bench resync --ladder condstore+esearch   the same on a server without QRESYNC; condstore, plain
    ./dev bench resync --sizes 500 5000 --runs 1    small
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.installation import installation
from tests.faults import Proxy, Seen
from tests.servers.dovecot import Dovecot

USER = "marta@example.test"
CHANGES = 10
HIDDEN = {
    "qresync": set(),
    "condstore+esearch": {"QRESYNC"},
    "condstore": {"QRESYNC", "ESEARCH"},
    "plain": {"QRESYNC", "ESEARCH", "CONDSTORE"},
}


def letter(number: int) -> bytes:
    """A small letter of its own."""
    return (
        f"From: Greta <greta@brandt.example>\r\nTo: {USER}\r\nSubject: Letter {number}\r\n"
        f"Date: Mon, 23 Nov 2026 10:31:00 +0000\r\nMessage-ID: <{number}@resync.example>\r\n\r\nHello {number}.\r\n"
    ).encode()


def fill(server: Dovecot, letters: int) -> None:
    """Put so many letters into the INBOX: written as Maildir, then taken over into Dovecot's own format.

    In a Maildir itself Dovecot walks through all files at each look, which would be measured as well.
    """
    source = server.home / "source"
    for name in (source, *(source / part for part in ("tmp", "new", "cur"))):
        name.mkdir()
        server._give(name)
    for number in range(letters):
        raw = letter(number)
        path = source / "cur" / f"{1_700_000_000 + number}.M{number}P1.bench,S={len(raw)},W={len(raw)}:2,S"
        path.write_bytes(raw)
        server._give(path)
    server.doveadm("import", "-u", USER, f"maildir:{source}", "", "all")


@dataclass
class Counted:
    """Bytes that the server said, and of them those about new letters' contents and sizes."""

    seen: Seen
    letters: int = 0

    def wrap(self, session: Any) -> None:
        """Count apart what comes while letters and their sizes are fetched."""
        headers, bodies = session.uid_fetch_headers, session.uid_fetch_bodies

        async def counted_headers(uids: Any) -> Any:
            before = len(self.seen.down)
            found = await headers(uids)
            self.letters += len(self.seen.down) - before
            return found

        async def counted_bodies(uids: Any, **options: Any) -> Any:
            before = len(self.seen.down)
            async for one in bodies(uids, **options):
                yield one
            self.letters += len(self.seen.down) - before

        session.uid_fetch_headers, session.uid_fetch_bodies = counted_headers, counted_bodies


async def visit(mailbox: int, proxy: Proxy, ladder: str) -> dict[str, Any]:
    """Connect anew and read INBOX; what it took."""
    from postern.sync import store
    from postern.sync.store import Store
    from postern.sync.visit import open_visit
    from postern.wire.endpoint import Endpoint, Security
    from postern.wire.imap import open_session

    keeper = Store(1)
    try:
        account = await keeper.run(store.load, mailbox)
        assert account is not None
        endpoint = Endpoint(proxy.host, proxy.port, Security.NONE)
        session = await open_session(endpoint, account.policy, account.login)
        connection = session.connection
        connection.learn(connection.capabilities - HIDDEN[ladder])
        connection.enabled -= HIDDEN[ladder]
        assert session.ladder == ladder, session.ladder
        counted = Counted(proxy.connections[-1])
        counted.wrap(session)
        inbox = (await open_visit(session, keeper, account.mailbox)).readings[0]
        said, sent, begun = len(counted.seen.down), len(counted.seen.up), time.perf_counter()
        while await inbox.read():
            pass
        seconds = time.perf_counter() - begun
        all_bytes = len(counted.seen.down) - said
        up = len(counted.seen.up) - sent
        await session.logout()
        return {
            "find_bytes": all_bytes - counted.letters,
            "all_bytes": all_bytes,
            "sent_bytes": up,
            "ms": round(1000 * seconds, 1),
        }
    finally:
        keeper.close()


def change(server: Dovecot, number: int) -> None:
    """Ten letters come, ten are flagged, ten are deleted."""
    uids = server.uids(USER)
    step = max(1, len(uids) // (3 * CHANGES))
    flagged, deleted = uids[1 : CHANGES * step : step], uids[step // 2 + CHANGES * step :: step][:CHANGES]
    server.doveadm("flags", "add", "-u", USER, "\\Flagged", "mailbox", "INBOX", "uid", _set(flagged))
    server.doveadm("flags", "remove", "-u", USER, "\\Seen", "mailbox", "INBOX", "uid", _set(flagged))
    server.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "uid", _set(deleted))
    for n in range(CHANGES):
        server.append(USER, "INBOX", letter(10_000_000 + 100 * number + n))


def _set(uids: list[int]) -> str:
    return ",".join(map(str, uids))


def ledger(mailbox: int, server: Dovecot) -> None:
    """Write the ledger of a mailbox that was read to the end."""
    from django.db import connection

    from postern.mailboxes.models import Folder, Mailbox

    status = server.status(USER)
    folder = Folder.objects.create(
        mailbox=Mailbox.objects.get(pk=mailbox),
        name="INBOX",
        role="inbox",
        uidvalidity=status["UIDVALIDITY"],
        next_uid=status["UIDNEXT"],
        exists=len(server.uids(USER)),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_sighting (mailbox_id, folder_id, uidvalidity, uid, outcome, reason)"
            " SELECT %s, %s, %s, uid, 'imported', '' FROM unnest(%s::bigint[]) uid",
            [mailbox, folder.pk, folder.uidvalidity, server.uids(USER)],
        )
        cursor.execute("ANALYZE mail_sighting")


async def measure(mailbox: int, server: Dovecot, ladder: str, runs: int) -> dict[str, Any]:
    """The best of some runs, and what it takes when nothing changed."""
    async with Proxy(server.port) as proxy:
        await visit(mailbox, proxy, ladder)  # learns MODSEQ; Dovecot writes its index
        results = []
        for run in range(runs):
            await asyncio.to_thread(change, server, run)
            results.append(await visit(mailbox, proxy, ladder))
        nothing, server_ms = [], []
        for _ in range(runs):
            nothing.append(await visit(mailbox, proxy, ladder))
            server_ms.append(await asyncio.to_thread(bare, server))
    best: dict[str, Any] = {key: min(one[key] for one in results) for key in results[0]}
    return best | {
        "nothing_bytes": min(one["all_bytes"] for one in nothing),
        "nothing_ms": min(one["ms"] for one in nothing),
        "server_ms": min(server_ms),
    }


def bare(server: Dovecot) -> float:
    """Milliseconds that a bare client waits for the answer to EXAMINE on a new connection."""
    with server.session(USER) as link:
        begun = time.perf_counter()
        link.select(readonly=True)
        return round(1000 * (time.perf_counter() - begun), 1)


def check(mailbox: int, server: Dovecot) -> None:
    """What was measured must also be right."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT uid FROM mail_sighting WHERE mailbox_id = %s AND gone_at IS NULL", [mailbox])
        assert {uid for (uid,) in cursor.fetchall()} == set(server.uids(USER)), "the ledger is not true"


def mailbox_of(server: Dovecot, name: str) -> int:
    """Save a mailbox that points to the server, for an owner of its own."""
    from postern.mail.access import viewing_as
    from postern.mailboxes.save import save_mailbox
    from postern.people.models import Staff

    owner = Staff.objects.create_staff(email=f"{name}@isp.example", name=name, password=None)
    data = {
        "address": USER,
        "imap_username": USER,
        "imap_password": server.passwords[USER],
        "imap_host": "127.0.0.1",
        "imap_port": server.port,
        "imap_security": "none",
        "sending": "",
    }
    with viewing_as(owner):
        return int(save_mailbox(staff=owner, mailbox=None, data=data).pk)


def one_size(letters: int, ladder: str, runs: int) -> dict[str, Any]:
    """A mailbox of so many letters, in an installation of its own."""
    with Dovecot(storage="mdbox") as server:
        fill(server, letters)
        mailbox = mailbox_of(server, f"marta{letters}")
        ledger(mailbox, server)
        result = asyncio.run(measure(mailbox, server, ladder, runs))
        check(mailbox, server)
    return {"letters": letters} | result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--ladder", choices=list(HIDDEN), default="qresync")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with installation():
        rows = [one_size(size, options.ladder, options.runs) for size in options.sizes]
    first, last = rows[0], rows[-1]
    flat = {key: round(last[key] / first[key], 2) for key in ("find_bytes", "ms", "nothing_ms", "server_ms")}
    print(json.dumps({"bench": "resync", "ladder": options.ladder, "sizes": rows, "flat": flat}))


if __name__ == "__main__":
    main()
