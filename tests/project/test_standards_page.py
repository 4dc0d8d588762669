"""docs/standards.md names only tests that exist and that name the row or rule."""

import re

from tests.covered import LINE, NO_DATABASE, PAGE, ROOT, WALL, covered, external, renewed


def test_each_test_the_page_names_shows_what_the_page_says():
    lines = LINE.findall(PAGE.read_text())
    assert {row for row, _, _ in lines} >= {str(row) for row in range(1, 33)}
    found = covered()
    for name, _, tests in lines:
        for test in tests.split(", ") if tests != "–" else ():
            assert (ROOT / "tests" / test).exists() and test in found.get(name, ()), f"{name}: {test}"


def test_renewing_keeps_the_words_and_replaces_the_tests():
    page = "# T\n| 7 | Rule of | old.py |\n| S-001 | Words | – |\n| x | y | z |\n"
    found = {"7": {"b.py", "a.py"}}
    assert renewed(page, found) == "# T\n| 7 | Rule of | a.py, b.py |\n| S-001 | Words | – |\n| x | y | z |\n"


def test_every_test_of_a_rule_of_the_wall_runs_on_an_external_server_too():
    """By the marks in the modules, read anew here; only what knows no database runs once."""
    places = external()
    rooms = {place for place in places if not place.endswith(".py")}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        room, _, _ = str(path.relative_to(ROOT / "tests")).partition("/")
        marks = re.findall(r'mark\.rule\("S-(\d{3})"\)', path.read_text())
        walls = [int(mark) for mark in marks if any(a <= int(mark) <= b for a, b in WALL)]
        runs = f"tests/{room}" in rooms or str(path.relative_to(ROOT)) in places
        assert runs or not walls or room in NO_DATABASE, path
    assert {"tests/privacy", "tests/outbox", "tests/api/test_inbox.py", "tests/sync/test_secrets.py"} <= set(
        places
    )
    assert all((ROOT / place).exists() for place in places)
    assert "tests/covered.py --external" in (ROOT / ".ci" / "run").read_text()
