"""The demo itself, run as a person runs it: the tour ends with 0, Ctrl-C leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home():
    """A folder for temporary files that PostgreSQL's own user may pass, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="demo-test-"))
    path.chmod(0o1777)
    yield path
    assert list(path.iterdir()) == [], "the demo left something behind"
    path.rmdir()


def start(home, *options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSTERN_")}
    return subprocess.Popen(
        [sys.executable, "-m", "postern.project.cli", "demo", *options],
        cwd=ROOT,
        env=environment | {"TMPDIR": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A job in the background of a shell is started deaf to Ctrl-C, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(process, words, seconds=120):
    """Read what the demo prints until some words come; returns all of it."""
    seen, deadline = "", time.monotonic() + seconds
    while words not in seen:
        line = process.stdout.readline()
        assert line and time.monotonic() < deadline, f"no “{words}” in:\n{seen}"
        seen += line
    return seen


def press_ctrl_c(process):
    """As a terminal does: to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def living(home):
    """Command lines of processes whose environment names this place."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{home}/postern-demo-".encode() in entry.read_bytes():
                found.append((entry.parent / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def test_the_tour_sees_everything(home):
    process = start(home, "--once")
    printed, _ = process.communicate(timeout=180)
    assert process.returncode == 0, printed
    assert "MISSED" not in printed
    assert "All seen" in printed
    for words in (
        "Author not found",
        "paired Daniel",
        "took it back",
        "answer appeared",
        "still sees nothing",
    ):
        assert words in printed
    assert living(home) == []


def test_one_address_signs_in_and_ctrl_c_ends_it(home):
    process = start(home)
    printed = wait_for(process, "Ctrl-C ends it")
    doors = re.findall(r"http://127\.0\.0\.1:\d+/demo-sign-in/\S+", printed)
    assert len(doors) == 3
    browser = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    deadline = time.monotonic() + 30
    while "New office at Mill Lane 14" not in (page := browser.open(doors[0], timeout=20).read().decode()):
        assert time.monotonic() < deadline, page
        time.sleep(0.5)
    assert "Marta Lindqvist" in page
    assert living(home) != []
    assert "leaves nothing behind" in press_ctrl_c(process)
    assert process.returncode == 0
    assert living(home) == []


@pytest.mark.parametrize("after", [0.3, 2.5, 5.0], ids=str)
def test_ctrl_c_while_it_starts(home, after):
    process = start(home)
    time.sleep(after)
    printed = press_ctrl_c(process)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in printed or after < 1, printed
    assert living(home) == []


def test_the_tour_says_what_it_missed_and_ends_with_1(capsys, monkeypatch):
    from types import SimpleNamespace

    from postern.demo import tour

    monkeypatch.setattr(tour.Tour, "_caller", lambda self, staff: Empty())
    monkeypatch.setattr(tour, "PATIENCE", 0.2)
    session = SimpleNamespace(
        post=None,
        team=SimpleNamespace(marta=1, elena=2, tom=3),
        tree=SimpleNamespace(tend=lambda: None),
        stop=SimpleNamespace(seen=False),
    )
    assert tour.take(session) == 1
    assert "MISSED  waited 0 seconds for a dozen letters" in capsys.readouterr().out


class Empty:
    """An API with nothing in it."""

    def get(self, path, **query):
        return {"messages": []}
