"""Atheris on the IMAP room: `python tests/fuzz/run_atheris.py [-max_total_time=600] [libFuzzer's options]`.

It begins with the words of the protocol and one short talk for each action, in a folder of its own.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["postern.wire"]):
    from tests.fuzz.imap_target import ACTIONS, WORDS, one_input


def prepared(folder: Path) -> list[str]:
    """Write the dictionary and the seeds; libFuzzer's options for them."""
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in WORDS)
    (folder / "words").write_text("\n".join(lines) + "\n")
    seeds = folder / "seeds"
    seeds.mkdir()
    for number in range(len(ACTIONS)):
        talk = b"".join(b"* " + word + b"\r\n" for word in WORDS[24:]) + b"TAG OK\r\n"
        (seeds / f"{number}").write_bytes(b"\x01" + bytes([number] * 3) + (talk + b"\xff") * 3)
        (seeds / f"{number}p").write_bytes(b"\x00\x07* OK hello\r\n" + talk)
    return [f"-dict={folder / 'words'}", str(seeds)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        atheris.Setup([*sys.argv, *prepared(Path(name))], one_input)
        atheris.Fuzz()
