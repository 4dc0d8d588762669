"""A real job worker in a hurry: `python -m tests.project.working NAME FILE [LOCK]`.

All its times are production's divided by SHORTER. Its one task `note` writes NAME and its number into FILE; number 0
means a job that goes on until somebody unlinks LOCK.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import procrastinate

from postern.project import jobs
from postern.project.database import libpq

SHORTER = 10
TIMES = ("HEARTBEAT", "DRAIN", "STALLED_AFTER", "RESCUE_EVERY", "LOOKS_EVERY")


def main() -> None:
    """Work until SIGTERM, as `postern send` does."""
    name, file, lock = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    for constant in TIMES:
        setattr(jobs, constant, getattr(jobs, constant) / SHORTER)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=libpq("send")))

    def say(words: str) -> None:
        with file.open("a") as book:
            book.write(f"{name} {words}\n")

    @app.task(name="note")
    def note(number: int) -> None:
        say(f"begins {number}")
        while number == 0 and lock.exists():
            time.sleep(0.02)
        say(f"ends {number}")

    async def run() -> None:
        say("is up")
        await jobs.work(app)

    asyncio.run(run())


if __name__ == "__main__":
    main()
