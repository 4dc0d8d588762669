"""Letters are read and cleaned in processes of their own while many arrive, with a limit of memory and time.

A letter that kills its process or takes too long is told as broken, which quarantines it; the others go on.
The processes know no password, no database and no Django; they end when nobody needs them.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import marshal
import os
import queue
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import IO, Any

from postern.mail.flags import flag_letters
from postern.mail.preparing import Arrival, File, Prepared, prepare, unread
from postern.mail.tray import Tray

log = logging.getLogger(__name__)

MANY = 20
"""Letters from which a batch is worth another process."""
LARGE = 1024 * 1024
"""Bytes from which a letter is read elsewhere although it comes alone."""
LETTER_SECONDS = 20.0
TOO_MUCH = f"Reading it took more than {LETTER_SECONDS:.0f} seconds, or more memory than a letter may use."
MEMORY = 768 * 1024 * 1024
"""Of addresses. 30 MB are Python, 100 MB the largest letter, once in the tray and once in memory, and up to 50 MB its
packed form; the worst of tests/mime/bombs.py wants 450 MB together, and 530 after many others. The rest is room.
"""
IDLE_SECONDS = 60.0
PIPE = 1024 * 1024
TOGETHER = 512 * 1024
"""Bytes of answers that come back at once: each wake-up of the other side costs as much as a short letter."""
COMMAND = (sys.executable, "-m", "postern.mail.preparers")
MOST_PROCESSES = 4
_LENGTH = struct.Struct(">Q")
TRAY = "POSTERN_TRAY"
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# What the server said of a letter stays here; date and files travel in a form of their own.
_HERE = ("uid", "seen", "received_at", "flags", "date", "files")
assert Prepared.__slots__[: len(_HERE)] == _HERE
_facts = attrgetter(*Prepared.__slots__[len(_HERE) :])
_file = attrgetter(*File.__slots__)


class Preparers:
    """A few processes that prepare letters, started when they are wanted. Safe to use from several threads."""

    def __init__(
        self, most: int | None = None, *, idle: float = IDLE_SECONDS, command: Sequence[str] = COMMAND
    ) -> None:
        self._command = command
        self.most = most or min(os.cpu_count() or 1, MOST_PROCESSES)
        self._idle = idle
        self._free: queue.LifoQueue[_Process] = queue.LifoQueue()
        self.running = 0
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None

    def prepare_many(
        self, arrivals: Sequence[Arrival], *, outgoing: bool = False, wait: bool = False
    ) -> list[Prepared]:
        """Prepare letters, in the order given.

        Here when they are few, or when no process is ready yet (`wait` waits for one); a large letter always
        waits. Never raises for a letter: see Prepared.broken.
        """
        large = any(len(one.raw) > LARGE for one in arrivals)
        if len(arrivals) < MANY and not large:
            return [prepare(one, outgoing=outgoing) for one in arrivals]
        process = self._take(wait=wait or large)
        if process is None:
            return [prepare(one, outgoing=outgoing) for one in arrivals]
        done: list[Prepared] = []
        deadly = len(arrivals)  # the letter over which a process died; those before it are asked for again
        try:
            while len(done) < len(arrivals):
                if len(done) == deadly:
                    done.append(unread(arrivals[deadly], TOO_MUCH))
                    deadly = len(arrivals)
                elif process.ask(arrivals[len(done) : deadly], outgoing):
                    deadly = self._collect(process, arrivals, done, deadly)
                elif process.new:  # not one can be started here: never blame the letters
                    done += [prepare(one, outgoing=outgoing) for one in arrivals[len(done) :]]
                    break
                if process.dead:
                    process.end()
                    process = _Process(self._command)
        finally:
            self._give_back(process)
        return done

    def close(self) -> None:
        """End the processes that have nothing to do."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._end(self._free.get_nowait())

    def _start_another(self) -> None:
        with self._guard:
            if not self._free.empty() or self.running >= self.most:
                return
            self.running += 1
        self._free.put(_Process(self._command))

    def _take(self, *, wait: bool) -> _Process | None:
        while True:
            self._start_another()
            with contextlib.suppress(queue.Empty):  # others use them all, or they were just ended as idle
                process = self._free.get(timeout=0.5)
                break
        if wait or process.ready():
            return process
        self._free.put(process)
        return None

    def _collect(
        self, process: _Process, arrivals: Sequence[Arrival], done: list[Prepared], until: int
    ) -> int:
        """Take the answers up to a number of letter; return `until`, or the letter over which the process died."""
        begun = len(done)
        try:
            while len(done) < until:
                done += process.answers(arrivals[len(done) : until])
        except (OSError, EOFError, ValueError, TypeError) as error:
            log.warning("a process died over a letter: %s", type(error).__name__)
            process.dead = True
            return min(max(len(done), begun + process.reading()), until - 1)
        return until

    def _give_back(self, process: _Process) -> None:
        if process.dead:
            self._end(process)
            return
        process.idle()
        self._free.put(process)
        with self._guard:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._idle, self.close)
            self._timer.daemon = True
            self._timer.start()

    def _end(self, process: _Process) -> None:
        process.end()
        with self._guard:
            self.running -= 1


class _Process:
    """One of them: letters lie in a tray that both see, the words about them and the answers go through pipes."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PATH": os.environ.get("PATH", ""),
        }
        self._tray = Tray.new()
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, TRAY: str(self._tray.fd)},
            pass_fds=(self._tray.fd,),
        )
        assert self._child.stdin
        assert self._child.stdout
        self._to, self._from = self._child.stdin, self._child.stdout
        _widen(self._from)
        self.new = True
        self.dead = False

    def ready(self) -> bool:
        """True when it has come up and would begin at once."""
        import select

        return not self.new or bool(select.select([self._from], [], [], 0)[0])

    def ask(self, arrivals: Sequence[Arrival], outgoing: bool) -> bool:
        """Send letters; False when the process is gone, which no letter is to blame for."""
        try:
            if self.new:
                _receive(self._from)
                self.new = False
            _send(self._to, (outgoing, self._tray.lay([one.raw for one in arrivals])))
        except (OSError, EOFError, ValueError) as error:
            log.warning("a process that reads letters is gone: %s", type(error).__name__)
            self.dead = True
        return not self.dead

    def answers(self, arrivals: Sequence[Arrival]) -> list[Prepared]:
        """Return the next letters', in the order given. Raises EOFError when the process died before they were done."""
        return [
            _answered(arrival, told) for arrival, told in zip(arrivals, _receive(self._from), strict=False)
        ]

    def reading(self) -> int:
        """Return which of the letters asked for it is reading, or was when it died."""
        return self._tray.noted()

    def idle(self) -> None:
        """Keep no more memory than the next letters will want."""
        self._tray.clear()

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._tray.close()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                pipe.close()


def _answered(arrival: Arrival, told: tuple[Any, ...]) -> Prepared:
    date, files, *facts = told
    return Prepared(
        arrival.uid,
        arrival.seen,
        arrival.internaldate,
        flag_letters(arrival.flags),
        datetime.fromisoformat(date) if date else None,
        tuple(File(*one) for one in files),
        *facts,
    )


def _widen(pipe: IO[bytes]) -> None:
    """Room for many letters in the pipe, where the system allows it: each wake-up costs as much as a letter."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)


def _send(pipe: IO[bytes], value: Any) -> None:
    data = marshal.dumps(value, 2)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """marshal and not pickle: what comes from a process that reads strangers' letters must not run code."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(head)[0]
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return marshal.loads(data)  # noqa: S302 see above


def serve(requests: IO[bytes], answers: IO[bytes], tray: Tray) -> None:
    """The process: prepare what comes until the pipe is closed. An alarm ends it when a letter takes too long."""
    gc.freeze()
    gc.disable()  # letters leave hardly any cycles: once a batch is a tenth cheaper than all the time
    _send(answers, "ready")
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            outgoing, lengths = _receive(requests)
            gc.collect()
            some: list[tuple[Any, ...]] = []
            size = 0
            for raw in tray.read(lengths):
                signal.setitimer(signal.ITIMER_REAL, LETTER_SECONDS)
                one = prepare(Arrival(0, frozenset(), _EPOCH, raw), outgoing=outgoing)
                some.append(_told(one))
                size += len(one.raw) + len(one.text) + len(one.html) + len(one.vector)
                if size > TOGETHER:
                    _send(answers, some)
                    some, size = [], 0
            signal.setitimer(signal.ITIMER_REAL, 0)
            if some:
                _send(answers, some)


def _told(one: Prepared) -> tuple[Any, ...]:
    date = one.date.isoformat() if one.date else ""
    return (date, [_file(file) for file in one.files], *_facts(one))


def main() -> None:
    """Serve this process's owner, within the limits."""
    os.nice(5)  # the process that stores letters, and mail that arrives just now, go first
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C: our owner closes the pipe
    serve(sys.stdin.buffer, sys.stdout.buffer, Tray(int(os.environ[TRAY])))


if __name__ == "__main__":
    main()
