"""docs/settings.md documents each environment variable the program reads, and none it does not."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERNAL = {"POSTERN_ROLE"}  # set by `postern up` for its own processes
# Read by ./dev and the tests, not by the program.
OF_DEVELOPERS = {
    "POSTERN_PYTHON",
    "POSTERN_SHARE",
    "POSTERN_SOAK",
    "POSTERN_TEST_DATABASE_URL",
    "POSTERN_TEST_SERVERS",
    "POSTERN_TEST_WORKERS",
}


def test_the_page_is_complete_and_true():
    code = "\n".join(path.read_text() for path in (ROOT / "postern").rglob("*.py"))
    read = set(re.findall(r"""environ(?:\.get\(|\[|\.setdefault\()\s*["'](POSTERN_\w+)["']""", code))
    page = set(re.findall(r"^\| `(POSTERN_\w+)`", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert read - INTERNAL - page == set(), "read by the program, missing on the page"
    assert page - read - OF_DEVELOPERS == set()
