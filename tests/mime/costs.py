"""What preparing a hostile letter costs in CPU and memory, measured in a process made for it.

`python -m tests.mime.costs MEGABYTES [NAME ...]` prints a line for each shape.
"""

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from postern.mail.preparing import Arrival, prepare
from tests.mime.bombs import SHAPES
from tests.mime.pieces import MB, NOON

FRESH = 30 * MB
"""Addresses of a process that has just begun to read letters."""


@dataclass(frozen=True)
class Cost:
    """What preparing one letter took: CPU seconds, and bytes above what the process had with the letter in it."""

    seconds: float
    memory: int
    size: int
    broken: str
    defects: list[str]


def cost(shape: str, size: int, cap: int = 0) -> Cost:
    """Prepare one letter in a copy of this process, so that nothing before it counts.

    `cap` limits its addresses as if it were a fresh one: a process that runs tests has many more by itself.
    """
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            raw = SHAPES[shape](size)
            if cap:
                most = cap + max(0, _resident("VmSize") - len(raw) - FRESH)
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            os.write(into, json.dumps(asdict(_measured(raw))).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return Cost(**json.loads(said))


def _measured(raw: bytes) -> Cost:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    began = time.process_time()
    one = prepare(Arrival(1, frozenset(), NOON, raw))
    spent = time.process_time() - began
    return Cost(spent, _resident("VmHWM") - before, len(raw), one.broken, list(one.defects))


def _resident(what: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1]) * 1024


def main() -> None:
    """Print a line for each shape."""
    prepare(Arrival(1, frozenset(), NOON, b"Content-Type: text/html\n\n<p>x\xff"))  # what is imported late
    for name in sys.argv[2:] or SHAPES:
        one = cost(name, round(float(sys.argv[1]) * MB))
        flag = "****" if one.seconds > 2 or one.memory > 256 * MB else ""
        print(
            f"{name:32} {one.size / MB:6.1f} MB {one.seconds:6.2f} s {one.memory / MB:6.0f} MB {flag} "
            f"{one.broken[:60]} {one.defects}",
            flush=True,
        )


if __name__ == "__main__":
    main()
