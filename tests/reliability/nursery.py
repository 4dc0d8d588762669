"""A process that bears processes to be killed: each is a whole sync process, alive a moment after it is asked for.

Reads lines: `go` bears one and answers `born PID`; `once N` bears one that visits mailbox N once and ends;
`step N K` one that kills itself at the visit's durable step K (a number or a name), or else names its steps on
standard error, `steps transaction, UID COPY, …`; `reap` waits for the latest and answers `dead CODE`. Python and Django are loaded once, here.
"""

from __future__ import annotations

import asyncio
import os
import sys


def main() -> None:
    """Serve standard input until its end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")
    os.environ["POSTERN_ROLE"] = "sync"
    import django

    django.setup()
    import postern.sync.run as program
    import postern.sync.supervisor  # noqa: F401  (what the children need is here already)
    from tests.sync import killed  # noqa: F401

    child = 0
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "reap":
            _, status = os.waitpid(child, 0)
            _say(f"dead {os.waitstatus_to_exitcode(status)}")
            continue
        child = os.fork()
        if child == 0:
            os.close(0)
            if word == "once":
                os.write(2, program.sync_once(int(rest)).encode() + b"\n")
            elif word == "step":
                _visit_and_die(*rest.split(maxsplit=1))
            else:
                asyncio.run(program.supervise())
            os._exit(0)
        _say(f"born {child}")


def _visit_and_die(mailbox: str, last: str) -> None:
    from tests.sync import killed

    die, names = killed.dying_at(last), []

    def step(number: int, name: str) -> None:
        names.append(name)
        die(number, name)

    killed.visit(int(mailbox), step)
    os.write(2, f"steps {', '.join(names)}\n".encode())


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
