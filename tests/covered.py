"""Which tests show which row of the product and which numbered rule: `python tests/covered.py [--write]`.

Rows come from `@pytest.mark.story(row)`, rules from `@pytest.mark.rule("S-001")` or their number named in a
test module. --write renews the last column of the tables in docs/standards.md; the words there are ours.
--external prints what runs once more on a PostgreSQL of the machine's (.ci/run).
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "standards.md"
ROOMS = ("project", "mail", "mailboxes", "people", "privacy", "outbox")
"""What touches the database above all: these rooms run on both servers, whole."""
WALL = ((54, 77), (92, 94), (105, 106), (132, 138))
"""Rules S-… of the privacy wall, from and to: they hold on both servers, wherever their tests are."""
NO_DATABASE = ("mime", "wire")
NAMED = re.compile(r"story\((\d{1,2})\b|\b([SR]-\d{3})\b")
LINE = re.compile(r"^\| (\d{1,2}|[SR]-\d{3}) \| (.*?) \| (.*?) \|$", re.M)


def covered() -> dict[str, set[str]]:
    """Return row or rule -> the test modules that name it, as paths below tests/."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for row, rule in NAMED.findall(path.read_text()):
            found[row or rule].add(str(path.relative_to(ROOT / "tests")))
    return dict(found)


def external() -> list[str]:
    """Return the folders and modules, below the root, that run once more on an external PostgreSQL."""
    wall = {f"S-{number:03}" for first, last in WALL for number in range(first, last + 1)}
    modules = {module for rule, modules in covered().items() if rule in wall for module in modules}
    elsewhere = {module for module in modules if module.split("/")[0] not in (*ROOMS, *NO_DATABASE)}
    rooms = [room for room in ROOMS if (ROOT / "tests" / room).is_dir()]
    return [f"tests/{place}" for place in (*rooms, *sorted(elsewhere))]


def renewed(page: str, found: dict[str, set[str]]) -> str:
    """Return the page with the tests of today in each line of its tables."""

    def line(old: re.Match[str]) -> str:
        return f"| {old[1]} | {old[2]} | {', '.join(sorted(found.get(old[1], ()))) or '–'} |"

    return LINE.sub(line, page)


def main() -> None:
    """Print the list, or write it into the page; name what the page does not list yet."""
    if "--external" in sys.argv:
        print(*external(), sep="\n")
        return
    found = covered()
    page = PAGE.read_text()
    if "--write" in sys.argv:
        PAGE.write_text(renewed(page, found))
    else:
        for name in sorted(found, key=lambda n: (n.isdigit() and n.zfill(3)) or n):
            print(f"{name:>6}  {', '.join(sorted(found[name]))}")
    for name in sorted(found.keys() - {match[1] for match in LINE.finditer(page)}):
        print(f"not on the page yet: {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
