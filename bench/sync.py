"""The whole job: letters from a Dovecot on loopback into an installation with durability on, as a first sync does it.

    python bench/sync.py [--letters 20000]

Download, parse, match, thread, index, raw letters, ledger. Prints one line of JSON: letters a second, CPU in
milliseconds a letter of the worker (its helpers included) and of PostgreSQL, Dovecot apart; the worker's peak of
memory; and mbsync's bare download of the same letters into a Maildir beside it, where Debian's isync is installed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from bench.corpus import letters  # noqa: E402
from bench.installation import installation, mailbox, people, sync  # noqa: E402
from tests.servers.dovecot import Dovecot  # noqa: E402

CONFIG = """\
IMAPAccount bench
Host 127.0.0.1
Port {port}
User bench
Pass secret
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path {home}/
Inbox {home}/INBOX

Channel all
Far :far:INBOX
Near :near:INBOX
Sync Pull
Create Near
SyncState *
"""


def fill(server: Dovecot, count: int) -> int:
    """Deliver the letters; their bytes in all."""
    total = 0
    for raw in letters(count):
        server.deliver("bench", raw)
        total += len(raw)
    server.doveadm("index", "-u", "bench", "INBOX")
    return total


def mbsync(server: Dovecot) -> dict[str, object]:
    """mbsync's bare download into a Maildir on the same disk."""
    program = shutil.which("mbsync")
    if program is None:
        return {"mbsync": "not installed (Debian: apt-get install isync)"}
    home = server.home / "near"
    home.mkdir()
    config = server.home / "mbsyncrc"
    config.write_text(CONFIG.format(port=server.port, home=home))
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([program, "-q", "-c", str(config), "all"], check=True)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    count = sum(1 for _ in (home / "INBOX").glob("*/*"))
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "mbsync_letters": count,
        "mbsync_letters_per_second": round(count / seconds),
        "mbsync_cpu_ms_per_letter": round(spent * 1000 / count, 3),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--without-mbsync", action="store_true")
    wanted = parser.parse_args()
    count = wanted.letters
    with Dovecot({"bench": "secret"}) as server, installation() as database:
        total = fill(server, count)
        people(count)
        box = mailbox(server.port, "owner")
        assert server.process
        assert database.process
        done = sync(box, psutil.Process(database.process.pid), psutil.Process(server.process.pid))
        beside = {} if wanted.without_mbsync else mbsync(server)
    if done["stored"] != count:
        raise SystemExit(f"only {done['stored']} of {count} letters were stored")
    worker, postgres, dovecot = (round(s * 1000 / count, 3) for s in (done["worker"], *done["other"]))
    result = {
        "bench": "sync",
        "letters": count,
        "megabytes": round(total / 1e6, 1),
        "letters_per_second": round(count / done["seconds"]),
        "cpu_ms_per_letter": round(worker + postgres, 3),
        "worker_cpu_ms": worker,
        "of_it_main_process_ms": round(done["main"] * 1000 / count, 3),
        "postgres_cpu_ms": postgres,
        "dovecot_cpu_ms": dovecot,
        "worker_peak_mb": round(done["peak_mb"]),
        "first_letters_after_s": round(done["first"], 2),
        "load": os.getloadavg()[0],
        **beside,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
