"""docs/quirks.md, made from the rows of postern/wire/imap/quirks.py: `python tests/quirks_page.py [--write]`."""

import re
import sys
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from postern.wire.imap.quirks import QUIRKS, Quirk

PAGE = Path(__file__).parents[1] / "docs" / "quirks.md"
TESTS = Path(__file__).parent / "wire" / "imap"
HEAD = """# How mail servers differ

Made by `python tests/quirks_page.py --write` from the rows of `postern/wire/imap/quirks.py`. Each row has a
conversation with such a server as its test, under the same name.

A row with something in “recognised by” is in force where that is found; every other row is in force
everywhere, because nobody can be recognised as the server who will never do it. “sync” says that the plan
(`postern/sync`) has its part in it too. What Postern does when a row does not hold is the same, only slower
or simpler; what no row tells is in the RFCs.
"""


def tests_of() -> dict[str, str]:
    """Return the name of each test below tests/wire/imap/test_imap_quirks*.py -> its module."""
    found = {}
    for path in sorted(TESTS.glob("test_imap_quirks*.py")):
        for name in re.findall(r"^def test_(\w+)\(", path.read_text(), re.M):
            found[name] = path.name
    return found


def page() -> str:
    """Return the page as it should be."""
    parts = [HEAD]
    ordered = sorted(QUIRKS, key=lambda quirk: _place(quirk.server))
    for server, quirks in groupby(ordered, key=lambda quirk: quirk.server):
        parts.append(f"\n## {server[0].upper()}{server[1:]}\n")
        parts.append("| name | what differs, what Postern does | known from | recognised by | |")
        parts.append("| --- | --- | --- | --- | --- |")
        parts += [_line(quirk) for quirk in quirks]
    return "\n".join(parts) + "\n"


def _place(server: str) -> int:
    return next(number for number, quirk in enumerate(QUIRKS) if quirk.server == server)


def _line(quirk: Quirk) -> str:
    patterns = {"capability": quirk.capability, "greeting": quirk.greeting, "host": quirk.host}
    marks = ", ".join(f"{what} `{_safe(text)}`" for what, text in patterns.items() if text)
    cells = (
        f"`{quirk.name}`",
        _safe(quirk.differs),
        _safe(quirk.source),
        marks,
        "sync" if quirk.sync else "",
    )
    return "| " + " | ".join(cells) + " |"


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Print the page, or write it."""
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
