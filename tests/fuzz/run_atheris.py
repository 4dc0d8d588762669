"""Atheris on one room: `python tests/fuzz/run_atheris.py imap|mime [-max_total_time=600] [libFuzzer's options]`.

It begins with the room's words and a few seeds (a short talk for each action, our own letters), in a folder of its own.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
ROOM = sys.argv.pop(1) if sys.argv[1:2] in (["imap"], ["mime"]) else "imap"

if ROOM == "mime":
    with atheris.instrument_imports(include=["postern.mime", "postern.mail"]):
        from tests.fuzz.mime_target import SEEDS, WORDS
        from tests.fuzz.mime_target import one_letter as one_input
else:
    with atheris.instrument_imports(include=["postern.wire"]):
        from tests.fuzz.imap_target import ACTIONS, WORDS, one_input


def seeds() -> Iterable[bytes]:
    """What to begin with."""
    if ROOM == "mime":
        yield from SEEDS
        return
    talk = b"".join(b"* " + word + b"\r\n" for word in WORDS[24:]) + b"TAG OK\r\n"
    for number in range(len(ACTIONS)):
        yield b"\x01" + bytes([number] * 3) + (talk + b"\xff") * 3
        yield b"\x00\x07* OK hello\r\n" + talk


def prepared(folder: Path) -> list[str]:
    """Write the dictionary and the seeds; libFuzzer's options for them."""
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in WORDS if word)
    (folder / "words").write_text("\n".join(lines) + "\n")
    (folder / "seeds").mkdir()
    for number, seed in enumerate(seeds()):
        (folder / "seeds" / f"{number}").write_bytes(seed)
    return [f"-dict={folder / 'words'}", str(folder / "seeds")]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        atheris.Setup([*sys.argv, *prepared(Path(name))], one_input)
        atheris.Fuzz()
