"""`postern import-customers FILE.csv`."""

import sys
from argparse import Namespace

from django.db import transaction

from postern.people.csvimport import import_customers as import_file


def import_customers(chosen: Namespace) -> int:
    """Import the file and print what became of it; 1 when a row was refused."""
    try:
        file = chosen.file.open("rb")
    except OSError as error:
        print(f"postern: {chosen.file}: {error.strerror}", file=sys.stderr)
        return 1
    with file, transaction.atomic():
        report = import_file(file)
    print(f"{report.created} made, {report.updated} updated, {len(report.problems)} refused")
    for problem in report.problems:
        print(f"  {problem}", file=sys.stderr)
    return 1 if report.problems else 0
