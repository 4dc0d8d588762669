"""`postern import-customers FILE.csv`, and the worker's half of it: filing the mail that is already here."""

import os
import subprocess
import sys
from argparse import Namespace

from postern.people.csvimport import CsvError, Imported
from postern.people.csvimport import import_customers as import_data
from postern.project.processes import this_program


def import_customers(chosen: Namespace) -> int:
    """Import the good rows, file the mail of these customers, name each broken row; 1 when there was one."""
    try:
        result = import_data(chosen.file.read_bytes())
    except OSError as error:
        return _refuse(f"{chosen.file}: {error.strerror}")
    except CsvError as error:
        return _refuse(f"{chosen.file}: {error}")
    filed = _file_as_worker(result)
    print(f"{len(result.added)} added, {len(result.updated)} updated, {len(result.broken)} broken")
    for line, reason in sorted(result.broken.items()):
        print(f"  line {line}: {reason}", file=sys.stderr)
    if not filed:
        return _refuse("their earlier mail could not be filed; see the message above, then import once more")
    return 1 if result.broken else 0


def file_mail(chosen: Namespace) -> int:
    """File the mail of every mailbox about the customers whose ids come on standard input, as postern_send."""
    from postern.mail import pairing

    pairing.file_mail([int(number) for number in sys.stdin.read().split()])
    return 0


def _file_as_worker(result: Imported) -> bool:
    """Whoever imports sees nobody's mail; the worker reaches each mailbox in turn, in a process of its own."""
    if not result.customers:
        return True
    done = subprocess.run(
        this_program("file-mail"),
        input=" ".join(map(str, result.customers)),
        text=True,
        env={**os.environ, "POSTERN_ROLE": "send"},
        check=False,
    )
    return done.returncode == 0


def _refuse(reason: str) -> int:
    print(f"postern: {reason}", file=sys.stderr)
    return 1
