"""`postern import-customers FILE.csv`."""

import sys
from argparse import Namespace

from postern.people.csvimport import CsvError
from postern.people.csvimport import import_customers as import_data


def import_customers(chosen: Namespace) -> int:
    """Import the good rows, name each broken one with its line; 1 when there was one."""
    try:
        result = import_data(chosen.file.read_bytes())
    except OSError as error:
        return _refuse(f"{chosen.file}: {error.strerror}")
    except CsvError as error:
        return _refuse(f"{chosen.file}: {error}")
    print(f"{len(result.added)} added, {len(result.updated)} updated, {len(result.broken)} refused")
    for line, reason in sorted(result.broken.items()):
        print(f"  line {line}: {reason}", file=sys.stderr)
    return 1 if result.broken else 0


def _refuse(reason: str) -> int:
    print(f"postern: {reason}", file=sys.stderr)
    return 1
