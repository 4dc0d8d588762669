"""Atheris on the IMAP room: `python tests/fuzz/run_atheris.py [-max_total_time=600] [libFuzzer's options]`."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["postern.wire"]):
    from tests.fuzz.imap_target import one_input

if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
