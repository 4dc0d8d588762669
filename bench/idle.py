"""What thousands of waiting mailboxes cost: IDLE over TLS in one process, against scripted servers in others.

    ./dev bench idle                            5,000 connections
    ./dev bench idle --count 300 --seconds 3    the same, small

Prints one line of JSON: memory for each connection, CPU while nothing happens (in percent of one core), and
how long news takes from a server's write to the return of ``idle``, beside a bare client (one blocking TLS
socket in a process of its own) at the same servers while all the others wait.

``measure`` takes any way of watching a mailbox, so that a supervisor's own state can be measured the same way.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import random
import resource
import socket
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path

import uvloop

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, open_session
from tests.certs import Authority

SERVERS = 2
AT_ONCE = 40
Heard = Callable[[str], None]
# Begins to watch the mailbox of a user at an endpoint and calls Heard with the user's name at each piece of news;
# returns when the watch stands. What must live on is kept in the list.
Start = Callable[[Endpoint, Policy, str, Heard, list[object]], Awaitable[None]]


class Server:
    """Speaks as much IMAP as a waiting client needs. One process of its own, told by a pipe whom to bring news."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.StreamWriter] = {}
        self.letters = 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        user = ""
        writer.write(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        idling = b""
        try:
            while line := await reader.readline():
                tag, _, words = line.strip().partition(b" ")
                word = words.split(b" ")[0].upper()
                if tag.upper() == b"DONE":
                    tag = idling
                elif word == b"IDLE":
                    idling = tag
                    self.waiting[user] = writer
                    writer.write(b"+ idling\r\n")
                    continue
                elif word == b"LOGIN":
                    user = words.split(b" ")[1].strip(b'"').decode()
                elif word == b"CAPABILITY":
                    writer.write(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
                elif word in (b"SELECT", b"EXAMINE"):
                    writer.write(b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n* OK [UIDNEXT 2] .\r\n")
                elif word == b"STATUS":
                    writer.write(b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n")
                writer.write(tag + b" OK .\r\n")
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self.waiting.pop(user, None)
            writer.close()

    def news(self, told: Connection) -> None:
        """Somebody gets a letter. The time is taken right before the write."""
        user = told.recv()
        writer = self.waiting.get(user)
        told.send(time.monotonic() if writer else 0.0)
        if writer is not None:
            self.letters += 1
            writer.write(b"* %d EXISTS\r\n" % self.letters)


def server_process(cert: str, key: str, told: Connection) -> None:
    """Run a server until the process is ended."""

    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.num_tickets = 0
        server = Server()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context, backlog=1000)
        told.send(listening.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(told.fileno(), server.news, told)
        await listening.serve_forever()

    _many_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def bare_process(cafile: str, port: int, heard: Connection) -> None:
    """One blocking socket that does nothing but wait."""
    link = socket.create_connection(("localhost", port))
    tls = ssl.create_default_context(cafile=cafile).wrap_socket(link, server_hostname="localhost")
    tls.sendall(b"a LOGIN bare secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
    seen = b""
    while b"+ idling\r\n" not in seen:
        seen += tls.recv(65536)
    heard.send(True)
    while tls.recv(65536):
        heard.send(time.monotonic())


def _many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _resident() -> int:
    """This process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def watch(endpoint: Endpoint, policy: Policy, user: str, heard: Heard, kept: list[object]) -> None:
    """The wire alone: one session and one task that waits again and again."""
    session = await open_session(endpoint, policy, Login(user, "secret"), timeout=120)
    await session.select("INBOX", readonly=True)

    async def wait() -> None:
        while True:
            if await session.idle(seconds=session.longest_idle):
                heard(user)

    kept.append(asyncio.get_running_loop().create_task(wait()))


async def measure(
    ports: list[int],
    tell: list[Connection],
    bare: Connection,
    count: int,
    seconds: float,
    start: Start = watch,
) -> dict[str, object]:
    """Watch ``count`` mailboxes by ``start``; memory in kB for each, CPU in percent, latency in ms."""
    kept: list[object] = []
    arrived: dict[str, asyncio.Future[float]] = {}
    policy = Policy(frozenset({"localhost"}))
    gate = asyncio.Semaphore(AT_ONCE)

    def heard(user: str) -> None:
        waiting = arrived.pop(user, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(time.monotonic())

    async def begin(number: int) -> None:
        async with gate:
            endpoint = Endpoint("localhost", ports[number % len(ports)], Security.SSL)
            await start(endpoint, policy, f"u{number}", heard, kept)

    for number in range(AT_ONCE):  # what is needed once: modules, buffers, the context
        await begin(number)
    gc.collect()
    before, begun = _resident(), time.perf_counter()
    await asyncio.gather(*(begin(number) for number in range(AT_ONCE, count + AT_ONCE)))
    opening = time.perf_counter() - begun
    await asyncio.sleep(1)
    gc.collect()
    each = (_resident() - before) / count
    cpu, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    idle = (time.process_time() - cpu) / (time.perf_counter() - begun)
    ours, theirs = [], []
    for turn in range(200):
        number = random.randrange(count)
        arrived[f"u{number}"] = future = asyncio.get_running_loop().create_future()
        sent = await _news(tell[number % len(ports)], f"u{number}")
        if sent:  # else it was just between two waits
            ours.append(await asyncio.wait_for(future, 30) - sent)
        sent = await _news(tell[0], "bare")
        theirs.append(await asyncio.to_thread(bare.recv) - sent)
        await asyncio.sleep(0.02 if turn % 10 else 0.1)
    told = _percentiles(ours), _percentiles(theirs)
    return {
        "connections": count,
        "kb_per_connection": round(each / 1024, 1),
        "resident_mb": round(_resident() / 1e6),
        "idle_cpu_percent": round(100 * idle, 2),
        "opened_per_second": round(count / opening),
        "arrival_ms_p50_p95": told[0],
        "bare_client_ms_p50_p95": told[1],
        "added_ms_p95": round(told[0][1] - told[1][1], 2),
    }


async def _news(tell: Connection, user: str) -> float:
    tell.send(user)
    return float(await asyncio.to_thread(tell.recv))


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=20)
    return round(cuts[9] * 1000, 2), round(cuts[18] * 1000, 2)


def run_loop(
    loop: str, cafile: str, count: int, seconds: float, answer: Connection, start: Start = watch
) -> None:
    """In a process of its own: start the servers, measure on this event loop, end the servers."""
    os.environ["SSL_CERT_FILE"] = cafile
    _many_files()
    context = multiprocessing.get_context("spawn")
    folder = Path(cafile).parent
    tell, ports, children = [], [], []
    for _ in range(SERVERS):
        here, there = context.Pipe()
        children.append(_child(context, server_process, folder / "cert.pem", folder / "key.pem", there))
        ports.append(here.recv())
        tell.append(here)
    bare_here, bare_there = context.Pipe()
    children.append(_child(context, bare_process, cafile, ports[0], bare_there))
    bare_here.recv()
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            answer.send(runner.run(measure(ports, tell, bare_here, count, seconds, start)))
    finally:
        for child in children:
            child.terminate()


def _child(
    context: SpawnContext, target: Callable[..., None], *words: object
) -> multiprocessing.process.BaseProcess:
    child = context.Process(target=target, args=tuple(str(w) if isinstance(w, Path) else w for w in words))
    child.start()
    return child


def certificate(folder: Path) -> str:
    """Make a certificate for localhost in ``folder``; the file of its authority."""
    authority = Authority(folder)
    made = authority.issue("localhost")
    made.cert_file.rename(folder / "cert.pem")
    made.key_file.rename(folder / "key.pem")
    return str(authority.cert_file)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the idle CPU is watched")
    parser.add_argument("--loops", default="asyncio,uvloop")
    wanted = parser.parse_args()
    result: dict[str, object] = {"bench": "idle"}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        cafile = certificate(Path(folder))
        for loop in wanted.loops.split(","):
            here, there = context.Pipe()
            child = context.Process(target=run_loop, args=(loop, cafile, wanted.count, wanted.seconds, there))
            child.start()
            there.close()
            result[loop] = here.recv()
            child.join(60)
    result["platform"] = Path("/proc/sys/kernel/osrelease").read_text().strip()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
