"""How fast letters come: ``uid_fetch_bodies`` against a bare client that reads the same bytes and looks at nothing.

Starts a Dovecot of its own on loopback and prints one line of JSON. The bare client is written in C
(``drain.c``) where a compiler is at hand, else in Python; ``reference`` says which. Ours and the bare one
take turns, and the best of ``--runs`` counts; ``x_limit`` is our time over the bare one's.

    ./dev bench fetch                                    20,000 letters of about 35 KB, plain and TLS
    ./dev bench fetch --letters 1000 --runs 1            the same, small

Besides: one letter of ``--huge`` MB, and what it costs in memory while it comes; ``--far`` small letters
over a line with a round trip of 40 ms.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, Session, open_session
from tests.servers.dovecot import Dovecot

LINE = (b"All work and no play makes a dull letter. " * 2)[:76] + b"\r\n"
ROUND_TRIP_MS = 40


@dataclass(frozen=True)
class Run:
    """One download: wall time and CPU time in seconds, bytes."""

    seconds: float
    cpu: float
    total: int


def fill(server: Dovecot, user: str, letters: int, size: int) -> int:
    """Deliver the letters, a quarter to seven quarters of ``size`` bytes each; their bytes in all."""
    total = 0
    for number in range(letters):
        head = b"Message-ID: <%d@bench>\r\nSubject: Letter %d\r\n\r\n" % (number, number)
        raw = head + LINE * ((size // 4 + (number * 7919) % (size * 3 // 2)) // len(LINE) + 1)
        server.deliver(user, raw)
        total += len(raw)
    return total


class Bare:
    """The client that looks at nothing."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "drain"
        self.tls = self.reference = "python"
        source = Path(__file__).with_name("drain.c")
        build = [shutil.which("cc") or "cc", "-O2", "-o", str(self.program), str(source)]
        for extra, name in ((["-DWITH_TLS", "-lssl", "-lcrypto"], "OpenSSL in C"), ([], "")):
            with contextlib.suppress(OSError):
                if subprocess.run([*build, *extra], capture_output=True).returncode == 0:
                    self.reference, self.tls = "C", name or "python"
                    return

    def run(self, port: int, user: str, letters: int, *, tls: bool = False) -> Run:
        """Download once."""
        if (self.tls if tls else self.reference) == "python":
            return drain(port, user, letters, tls=tls)
        words = [self.program, str(port), user, "secret", str(letters), *(["tls"] if tls else [])]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        return Run(float(said[0]), float(said[2]), int(said[1]))


def drain(port: int, user: str, letters: int, *, tls: bool) -> Run:
    """``drain.c`` in Python."""
    link = socket.create_connection(("127.0.0.1", port))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link = context.wrap_socket(link)
    scratch = bytearray(256 * 1024)

    def until(mark: bytes) -> int:
        total, end = 0, b""
        while mark not in end:
            count = link.recv_into(scratch)
            total += count
            end = end[-128:] + scratch[max(0, count - 128) : count]
        return total

    link.sendall(b"a LOGIN %s secret\r\na EXAMINE INBOX\r\nb NOOP\r\n" % user.encode())
    until(b"b OK NOOP completed")
    begun, cpu = time.perf_counter(), time.process_time()
    for start in range(1, letters + 1, 200):
        last = min(start + 199, letters)
        link.sendall(b"c UID FETCH %d:%d (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n" % (start, last))
    link.sendall(b"z NOOP\r\n")
    total = until(b"z OK NOOP completed")
    run = Run(time.perf_counter() - begun, time.process_time() - cpu, total)
    link.close()
    return run


async def _open(port: int, user: str, security: Security) -> Session:
    endpoint = Endpoint("localhost", port, security, skip_validation=security is Security.SSL)
    session = await open_session(
        endpoint, Policy.from_setting(f"localhost:{port}", unchecked=True), Login(user, "secret")
    )
    await session.select("INBOX", readonly=True)
    return session


async def fetch(port: int, user: str, letters: int, security: Security = Security.NONE) -> Run:
    """Download once with our own client."""
    session = await _open(port, user, security)
    begun, cpu, total, count = time.perf_counter(), time.process_time(), 0, 0
    async for letter in session.uid_fetch_bodies(range(1, letters + 1)):
        total += len(letter.raw)
        count += 1
    run = Run(time.perf_counter() - begun, time.process_time() - cpu, total)
    await session.logout()
    if count != letters:
        raise SystemExit(f"only {count} of {letters} letters came")
    return run


def ours(port: int, user: str, letters: int, security: Security, loop: str) -> Run:
    """``fetch`` on asyncio's own loop or on uvloop."""
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(fetch(port, user, letters, security))
    return asyncio.run(fetch(port, user, letters, security))


def compare(
    server: Dovecot, bare: Bare, letters: int, runs: int, security: Security, loops: Sequence[str]
) -> dict[str, object]:
    """Bare and ours in turns."""
    tls = security is Security.SSL
    port = server.tls_port if tls else server.port
    bare.run(port, "bench", letters, tls=tls)  # Dovecot builds its index once
    drained: list[Run] = []
    fetched: dict[str, list[Run]] = {loop: [] for loop in loops}
    for _ in range(runs):
        drained.append(bare.run(port, "bench", letters, tls=tls))
        for loop in loops:
            fetched[loop].append(ours(port, "bench", letters, security, loop))
    limit = min(run.seconds for run in drained)
    told: dict[str, object] = {
        "reference": bare.tls if tls else bare.reference,
        "reference_letters_per_second": round(letters / limit),
        "reference_cpu_us_per_letter": round(min(run.cpu for run in drained) * 1e6 / letters, 1),
    }
    for loop in loops:
        best = min(run.seconds for run in fetched[loop])
        told[loop] = {
            "letters_per_second": round(letters / best),
            "x_limit": round(best / limit, 2),
            "cpu_us_per_letter": round(min(run.cpu for run in fetched[loop]) * 1e6 / letters, 1),
        }
    return told


def _memory() -> dict[str, int]:
    """This process's memory in kB as the kernel names it."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[0].startswith(("VmHWM", "Rss"))}


def huge(port: int, megabytes: int, answer: "multiprocessing.Queue[dict[str, float]]") -> None:
    """In a process of its own: what one huge letter adds to the peak of memory while it comes."""

    async def work() -> None:
        session = await _open(port, "huge", Security.NONE)
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of starting up
        before, begun = _memory()["VmHWM"], time.perf_counter()
        async for letter in session.uid_fetch_bodies([1]):
            seconds = time.perf_counter() - begun
            answer.put(
                {
                    "megabytes": round(len(letter.raw) / 1e6, 1),
                    "peak_rss_grew_mb": round((_memory()["VmHWM"] - before) / 1024, 2),
                    "megabytes_per_second": round(len(letter.raw) / 1e6 / seconds),
                }
            )
        session.abort()

    asyncio.run(work())


def measure_huge(server: Dovecot, megabytes: int) -> dict[str, float]:
    """See ``huge``."""
    server.deliver("huge", b"Subject: huge\r\n\r\n" + LINE * (megabytes * 1_000_000 // len(LINE)))
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.Queue[dict[str, float]] = context.Queue()
    child = context.Process(target=huge, args=(server.port, megabytes, answer))
    child.start()
    told = answer.get(timeout=120)
    child.join(10)
    return told


@contextlib.contextmanager
def far_away(port: int) -> Iterator[int]:
    """The port of a proxy that makes the server stand 40 ms away."""
    words = [sys.executable, "-m", "bench.far", str(port), str(ROUND_TRIP_MS)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as proxy:
        assert proxy.stdout is not None
        yield int(proxy.stdout.readline())
        proxy.terminate()


def measure_far(server: Dovecot, bare: Bare, letters: int, runs: int) -> dict[str, object]:
    """Small letters from a server far away; the bare client asks for all of them at once."""
    fill(server, "far", letters, 1200)
    asyncio.run(fetch(server.port, "far", letters))
    ours, theirs = [], []
    with far_away(server.port) as port:
        for _ in range(runs):
            theirs.append(bare.run(port, "far", letters).seconds)
            ours.append(asyncio.run(fetch(port, "far", letters)).seconds)
    return {
        "letters": letters,
        "round_trip_ms": ROUND_TRIP_MS,
        "letters_per_second": round(letters / min(ours)),
        "reference_letters_per_second": round(letters / min(theirs)),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--kilobytes", type=int, default=35)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--huge", type=int, default=100, metavar="MB", help="0: leave it out")
    parser.add_argument("--far", type=int, default=10_000, metavar="LETTERS", help="0: leave it out")
    parser.add_argument("--loops", default="asyncio,uvloop")
    wanted = parser.parse_args()
    loops = wanted.loops.split(",")
    users = {"bench": "secret", "huge": "secret", "far": "secret"}
    with tempfile.TemporaryDirectory() as folder, Dovecot(users) as server:
        bare = Bare(Path(folder))
        total = fill(server, "bench", wanted.letters, wanted.kilobytes * 1024)
        result: dict[str, object] = {
            "bench": "fetch",
            "letters": wanted.letters,
            "megabytes": round(total / 1e6, 1),
            "plain": compare(server, bare, wanted.letters, wanted.runs, Security.NONE, loops),
            "tls": compare(server, bare, wanted.letters, wanted.runs, Security.SSL, loops),
        }
        if wanted.huge:
            result["huge"] = measure_huge(server, wanted.huge)
        if wanted.far:
            result["far"] = measure_far(server, bare, wanted.far, wanted.runs)
    result["load_before"] = round(os.getloadavg()[2], 1)
    result["platform"] = Path("/proc/sys/kernel/osrelease").read_text().strip()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
