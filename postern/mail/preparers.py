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

log = logging.getLogger(__name__)

MANY = 20
"""Letters from which a batch is worth another process."""
LARGE = 1024 * 1024
"""Bytes from which a letter is read elsewhere although it comes alone."""
LETTER_SECONDS = 20.0
TOO_MUCH = f"Reading it took more than {LETTER_SECONDS:.0f} seconds, or more memory than a letter may use."
MEMORY = 1536 * 1024 * 1024
IDLE_SECONDS = 60.0
PIPE = 1024 * 1024
COMMAND = (sys.executable, "-m", "postern.mail.preparers")
MOST_PROCESSES = 4
_LENGTH = struct.Struct(">Q")
_SERVERS = ("uid", "seen", "received_at", "flags")
"""What the server said of a letter: it stays here."""
_NAMES = tuple(n for n in Prepared.__slots__ if n not in (*_SERVERS, "date", "files"))
_facts = attrgetter(*_NAMES)
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
        try:
            while len(done) < len(arrivals):
                if process.ask(arrivals[len(done) :], outgoing):
                    self._collect(process, arrivals, done)
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

    def _collect(self, process: _Process, arrivals: Sequence[Arrival], done: list[Prepared]) -> None:
        """Take the answers. A letter over which the process died is told as broken, the rest stays to be done."""
        try:
            while len(done) < len(arrivals):
                done.append(process.answer(arrivals[len(done)]))
        except (OSError, EOFError, ValueError, TypeError) as error:
            log.warning("a process died over a letter: %s", type(error).__name__)
            process.dead = True
            done.append(unread(arrivals[len(done)], TOO_MUCH))

    def _give_back(self, process: _Process) -> None:
        if process.dead:
            self._end(process)
            return
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
    """One of them, and the pipes to it: a batch goes there whole, then the letters come back one by one."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PATH": os.environ.get("PATH", ""),
        }
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self._child.stdin
        assert self._child.stdout
        self._to, self._from = self._child.stdin, self._child.stdout
        _widen(self._to)
        _widen(self._from)
        self.new = True
        self.dead = False

    def ready(self) -> bool:
        """True when it has come up and would begin at once."""
        import select

        return not self.new or bool(select.select([self._from], [], [], 0)[0])

    def ask(self, arrivals: Sequence[Arrival], outgoing: bool) -> bool:
        """Send letters; False when the process is gone, which no letter is to blame for."""
        raws = [one.raw if isinstance(one.raw, bytes) else bytes(one.raw) for one in arrivals]
        try:
            if self.new:
                _receive(self._from)
                self.new = False
            _send(self._to, (outgoing, raws))
        except (OSError, EOFError, ValueError) as error:
            log.warning("a process that reads letters is gone: %s", type(error).__name__)
            self.dead = True
        return not self.dead

    def answer(self, arrival: Arrival) -> Prepared:
        """Return the next letter's. Raises EOFError when the process died over it."""
        date, files, *facts = _receive(self._from)
        return Prepared(
            uid=arrival.uid,
            seen=arrival.seen,
            received_at=arrival.internaldate,
            flags=flag_letters(arrival.flags),
            date=datetime.fromisoformat(date) if date else None,
            files=tuple(File(*one) for one in files),
            **dict(zip(_NAMES, facts, strict=True)),
        )

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                pipe.close()


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


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The process: prepare what comes until the pipe is closed. An alarm ends it when a letter takes too long."""
    gc.freeze()
    gc.disable()  # letters leave hardly any cycles: once a batch is a tenth cheaper than all the time
    _send(answers, "ready")
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            outgoing, raws = _receive(requests)
            gc.collect()
            for raw in raws:
                signal.setitimer(signal.ITIMER_REAL, LETTER_SECONDS)
                one = prepare(Arrival(0, frozenset(), epoch, raw), outgoing=outgoing)
                date = one.date.isoformat() if one.date else ""
                _send(answers, (date, [_file(file) for file in one.files], *_facts(one)))
            signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serve this process's owner, within the limits."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C: our owner closes the pipe
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
