"""How fast letters come: ``uid_fetch_bodies`` against a bare socket that reads the same bytes and looks at nothing.

Starts a Dovecot of its own on loopback and prints one line of JSON. ``x_limit`` is our time over the bare
drain's, each the best of ``--runs``.

    python -m bench.fetch --letters 5000 --kilobytes 35
"""

import argparse
import asyncio
import json
import resource
import socket
import time
from pathlib import Path

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, Session, open_session
from tests.servers.dovecot import Dovecot


def fill(server: Dovecot, letters: int, size: int) -> int:
    """Deliver the letters, a quarter to seven quarters of ``size`` bytes each; their bytes in all."""
    line = (b"All work and no play makes a dull letter. " * 2)[:76] + b"\r\n"
    total = 0
    for number in range(letters):
        head = b"Message-ID: <%d@bench>\r\nSubject: Letter %d\r\n\r\n" % (number, number)
        raw = head + line * ((size // 4 + (number * 7919) % (size * 3 // 2)) // len(line) + 1)
        server.deliver("bench", raw)
        total += len(raw)
    return total


def _connect(server: Dovecot) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", server.port))
    link.sendall(b"a LOGIN bench secret\r\nb SELECT INBOX\r\n")
    seen = b""
    while b"\r\nb OK" not in seen:
        seen += link.recv(65536)
    return link


def drain(server: Dovecot, letters: int) -> float:
    """Seconds to read the same commands' answers and throw them away."""
    link = _connect(server)
    scratch = bytearray(256 * 1024)
    begun = time.perf_counter()
    for start in range(1, letters + 1, 200):
        last = min(start + 199, letters)
        link.sendall(b"c UID FETCH %d:%d (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n" % (start, last))
        end = b""
        while b"\r\nc OK" not in end:
            count = link.recv_into(scratch)
            end = (end + bytes(scratch[max(0, count - 200) : count]))[-300:]
    spent = time.perf_counter() - begun
    link.close()
    return spent


async def _open(server: Dovecot) -> Session:
    endpoint = Endpoint("localhost", server.port, Security.NONE)
    policy = Policy.from_setting(f"localhost:{server.port}")
    session = await open_session(endpoint, policy, Login("bench", "secret"))
    await session.select("INBOX", readonly=True)
    return session


async def fetch(server: Dovecot, letters: int) -> tuple[float, float, int]:
    """(seconds, seconds of CPU, bytes) of our own client."""
    session = await _open(server)
    begun, cpu, total, count = time.perf_counter(), time.process_time(), 0, 0
    async for letter in session.uid_fetch_bodies(range(1, letters + 1)):
        total += len(letter.raw)
        count += 1
    spent = time.perf_counter() - begun, time.process_time() - cpu
    await session.logout()
    if count != letters:
        raise SystemExit(f"only {count} of {letters} letters came")
    return *spent, total


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=5000)
    parser.add_argument("--kilobytes", type=int, default=35)
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    with Dovecot({"bench": "secret"}) as server:
        fill(server, wanted.letters, wanted.kilobytes * 1024)
        drain(server, wanted.letters)  # Dovecot builds its index once
        bare = min(drain(server, wanted.letters) for _ in range(wanted.runs))
        ours = min(asyncio.run(fetch(server, wanted.letters)) for _ in range(wanted.runs))
    seconds, cpu, total = ours
    result = {
        "bench": "fetch",
        "letters": wanted.letters,
        "megabytes": round(total / 1e6, 1),
        "letters_per_second": round(wanted.letters / seconds),
        "bare_letters_per_second": round(wanted.letters / bare),
        "x_limit": round(seconds / bare, 2),
        "cpu_us_per_letter": round(cpu * 1e6 / wanted.letters, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "platform": Path("/proc/sys/kernel/osrelease").read_text().strip(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
