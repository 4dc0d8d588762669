"""docs/standards.md names only tests that exist and that name the row or rule."""

from tests.covered import LINE, PAGE, ROOT, covered, renewed


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
