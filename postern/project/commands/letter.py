"""`postern letter FILE...`: what Postern makes of a raw letter."""

import json
import sys
from argparse import Namespace

from postern.mime.look import as_json


def letter(chosen: Namespace) -> int:
    """Print one JSON object a line for each file; a file that cannot be opened is named and the rest goes on."""
    failed = 0
    for path in chosen.files:
        try:
            raw = path.read_bytes()
        except OSError as error:
            print(f"postern: {path}: {error.strerror}", file=sys.stderr)
            failed = 1
            continue
        print(json.dumps(as_json(raw), ensure_ascii=False, default=str))
    return failed
