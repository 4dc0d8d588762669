"""`postern version`."""

from argparse import Namespace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version(chosen: Namespace) -> None:
    """Print the version of this program."""
    try:
        print(f"postern {installed('postern')}")
    except PackageNotFoundError:  # run from a clone, not installed
        print("postern (from a clone)")
