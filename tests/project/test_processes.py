"""The process tree of `postern up`: what it refuses, what it brings back, how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postern.project import children
from postern.project.children import Child, command_line
from postern.project.processes import Listen, Refused, StopSignal, this_program

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="looks into /proc, so Linux only"
)


def until(happened: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000, "http://127.0.0.1:8000/"),
        ("localhost:80", "localhost", 80, "http://localhost:80/"),
        ("[::1]:8000", "::1", 8000, "http://[::1]:8000/"),
        ("9000", "127.0.0.1", 9000, "http://127.0.0.1:9000/"),
        (":9000", "127.0.0.1", 9000, "http://127.0.0.1:9000/"),
    ],
)
def test_listen_is_read(text, host, port, url):
    listen = Listen.parse(text)
    assert (listen.host, listen.port, listen.url) == (host, port, url)


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "a:b"])
def test_a_listen_that_makes_no_sense_is_refused(text):
    with pytest.raises(Refused, match="POSTERN_LISTEN"):
        Listen.parse(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "mail.example.com"])
def test_plain_http_beyond_this_machine_is_refused_with_the_reason(host, monkeypatch):
    monkeypatch.delenv("POSTERN_BEHIND_TLS_PROXY", raising=False)
    with pytest.raises(Refused, match="plain HTTP"):
        Listen(host, free_port()).check()


def test_plain_http_is_served_on_loopback_and_behind_a_tls_proxy(monkeypatch):
    Listen("127.0.0.1", free_port()).check()
    monkeypatch.setenv("POSTERN_BEHIND_TLS_PROXY", "1")
    Listen("0.0.0.0", free_port()).check()


def test_a_taken_port_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"):
            Listen("127.0.0.1", port).check()


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Child]]:
    """Make children that run a line of Python; whatever is left of them is killed."""
    monkeypatch.setattr(children, "FIRST_PAUSE", 0.1)
    made: list[Child] = []

    def make(script: str) -> Child:
        made.append(Child("test", [sys.executable, "-c", script], {}))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_a_dead_child_comes_back_after_a_pause_that_grows(child):
    one = child("raise SystemExit(3)")
    one.start()
    first = one.process
    pauses = []
    for _ in range(2):
        assert one.process is not None
        one.process.wait()
        pauses.append(one.pause)
        one.tend()
        assert one.process is None  # not at once
        until(lambda: (one.tend(), one.process is not None)[1])
    assert one.process is not first
    assert pauses == [0.1, 0.2]


def test_a_living_child_is_left_alone(child):
    one = child("import time; time.sleep(60)")
    one.start()
    process = one.process
    for _ in range(5):
        one.tend()
    assert one.process is process


def test_a_child_that_ignores_the_wish_to_stop_is_killed(child):
    one = child(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    one.start()
    time.sleep(0.5)
    one.ask_to_stop()
    assert not one.wait(0.3)
    assert one.process is not None and one.process.returncode == -signal.SIGKILL


@needs_proc
def test_a_child_that_clings_to_life_ends_with_its_killed_parent(tmp_path):
    clinging = (
        "import signal, time; from postern.project import children\n"
        "signal.signal(15, signal.SIG_IGN); children.ORPHAN_GRACE = 0.1\n"
        "children.end_with_my_parent(); print('up', flush=True); time.sleep(60)"
    )
    parent = (
        "import sys, time; from postern.project.children import Child\n"
        f"one = Child('test', [sys.executable, '-c', {clinging!r}], {{}}); one.start()\n"
        "print(one.process.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = {process.stdout.readline().strip(), process.stdout.readline().strip()}
    orphan = int(next(iter(said - {"up"})))
    assert command_line(orphan)
    process.kill()
    process.wait()
    until(lambda: not command_line(orphan), 20)


def test_a_child_that_stops_in_time_is_not_killed(child):
    one = child("import time; time.sleep(60)")
    one.start()
    one.ask_to_stop()
    assert one.wait(10)
    assert one.process is not None and one.process.returncode == -signal.SIGTERM


def test_the_first_signal_is_noted_and_the_second_interrupts():
    with StopSignal() as stop:
        assert not stop.seen
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.seen
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


class Up:
    """A whole `postern up` in a place of its own."""

    def __init__(self, place: Path) -> None:
        self.port = free_port()
        self.log = place / "log"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("POSTERN_")},
            "POSTERN_DATA_DIR": str(place / "data"),
            "POSTERN_SECRET_KEY_FILE": str(place / "keys" / "secret.key"),
            "POSTERN_LISTEN": f"127.0.0.1:{self.port}",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        }
        if "POSTERN_PG_BIN" in os.environ:
            self.env["POSTERN_PG_BIN"] = os.environ["POSTERN_PG_BIN"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(this_program("up"), env=self.env, stdout=log, stderr=log)

    def said(self, text: str) -> bool:
        """True when it printed this."""
        assert self.process.poll() is None or "stops" in self.log.read_text(), self.log.read_text()
        return text in self.log.read_text()

    def child(self, verb: str) -> int:
        """Return the process id of one child, 0 when there is none."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next((int(pid) for pid in tasks if command_line(int(pid)).strip().endswith(f"cli {verb}")), 0)

    def postgres(self) -> int:
        """Return the process id of its server."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next((int(pid) for pid in tasks if "bin/postgres" in command_line(int(pid))), 0)


@needs_proc
def test_up_serves_recovers_and_ends_without_leaving_anybody(place):
    up = Up(place)
    try:
        until(lambda: up.said("Postern is ready"), 90)
        assert (place / "keys" / "secret.key").stat().st_mode & 0o777 == 0o600

        second = subprocess.run(
            this_program("up"),
            env={**up.env, "POSTERN_LISTEN": f"127.0.0.1:{free_port()}"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert f"already runs on {place / 'data'}" in second.stderr

        web, postgres = up.child("web"), up.postgres()
        os.kill(web, signal.SIGKILL)
        until(lambda: up.child("web") not in (0, web))
        os.kill(postgres, signal.SIGKILL)
        until(lambda: up.postgres() not in (0, postgres))
        until(lambda: Listen("127.0.0.1", up.port).answers())

        left = [up.postgres(), up.child("web"), up.child("send")]
        began = time.monotonic()
        up.process.terminate()
        assert up.process.wait(40) == 0
        assert time.monotonic() - began < 31
        assert not [pid for pid in left if pid and str(place) in command_line(pid)]
        assert not (place / "data" / "postgres" / "postmaster.pid").exists()
    finally:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


@needs_proc
@pytest.mark.rule("R-011")
def test_up_says_loudly_that_the_database_may_forget(place):
    up = Up(place)
    try:
        until(lambda: up.said("Postern is ready"), 90)
        assert "would lose mail" not in up.log.read_text()
        up.process.terminate()
        assert up.process.wait(40) == 0
        (place / "data" / "postgres" / "local.conf").write_text("synchronous_commit = off\n")
        up = Up(place)
        until(lambda: up.said("Postern is ready"), 90)
        assert "synchronous_commit = off: a crash of this machine would lose mail" in up.log.read_text()
    finally:
        up.process.terminate()
        up.process.wait(40)


@needs_proc
def test_up_killed_hard_takes_its_children_along_and_starts_again(place):
    up = Up(place)
    until(lambda: up.said("Postern is ready"), 90)
    orphans = [up.postgres(), up.child("web"), up.child("send")]
    up.process.kill()
    up.process.wait()
    until(lambda: not any("postern" in command_line(pid) for pid in orphans))
    again = Up(place)
    try:
        until(lambda: again.said("Postern is ready"), 90)
    finally:
        again.process.terminate()
        again.process.wait(40)
