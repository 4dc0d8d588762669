"""The long form of a fuzz test: atheris, or hypothesis where atheris is not installed, which is said loudly."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

SECONDS = round(600 * float(os.environ.get("POSTERN_SOAK") or 1))
ATHERIS = Path(__file__).parent / "run_atheris.py"
MISSING = "ATHERIS IS NOT INSTALLED: hypothesis runs instead, without coverage to guide it"


def long_run(room: str, instead: Callable[[], None]) -> None:
    """Ten minutes of atheris on a room; what it finds fails the test with its last words."""
    if find_spec("atheris") is None:
        warnings.warn(MISSING, stacklevel=2)
        print(MISSING)
        instead()
        return
    options = [f"-max_total_time={SECONDS}", "-max_len=4096", "-rss_limit_mb=1024"]
    command = [sys.executable, str(ATHERIS), room, *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 120)
    print(ran.stderr[-2000:])
    assert ran.returncode == 0, ran.stderr[-4000:]
