"""Names, sizes and moments as pages write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postern.web.base import dates, names

NOW = datetime(2026, 11, 23, 10, 44, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Marta Lindqvist", "ML"),
        ("Anna Maria de Vries", "AV"),
        ("accounts@harbourview.example", "AC"),
        ("Élodie", "ÉL"),
        ("李小龍", "李小"),
        ("X", "X"),
        ("", "?"),
        ("   ", "?"),
        ("(...)", "?"),
        ("<b> & co", "BC"),
    ],
)
def test_initials(name: str, shown: str) -> None:
    assert names.initials(name) == shown


def test_a_hue_is_stable_and_all_are_used() -> None:
    assert names.hue("Marta Lindqvist") == names.hue(" marta lindqvist ") == "h7"
    assert {names.hue(f"Person {n}") for n in range(200)} == {f"h{n}" for n in range(12)}


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (96_200, "96 KB"),
        (999_700, "1.0 MB"),
        (1_200_000, "1.2 MB"),
        (23_400_000, "23 MB"),
        (1_500_000_000, "1.5 GB"),
    ],
)
def test_filesize(size: int, shown: str) -> None:
    assert names.filesize(size) == shown


@pytest.mark.parametrize(
    ("filename", "mark"),
    [
        ("a.pdf", ("PDF", "pdf")),
        ("a.b.JPG", ("JPG", "img")),
        ("noending", ("FILE", "")),
        ("a.<b>", ("FILE", "")),
        ("x.verylong", ("FILE", "")),
        ("t.docx", ("DOCX", "")),
    ],
)
def test_filekind(filename: str, mark: tuple[str, str]) -> None:
    assert names.filekind(filename) == mark


@pytest.mark.parametrize(
    ("moment", "row", "card"),
    [
        (NOW.replace(minute=42), "10:42", "Today, 10:42"),
        (NOW - timedelta(days=1), "10:44", "Yesterday, 10:44"),
        (datetime(2026, 11, 20, 8, 15, tzinfo=UTC), "Fri 20 Nov", "Fri 20 Nov, 08:15"),
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), "31 Dec 2025", "31 Dec 2025, 23:59"),
        (NOW + timedelta(days=3), "Thu 26 Nov", "Thu 26 Nov, 10:44"),
    ],
)
def test_when(moment: datetime, row: str, card: str) -> None:
    assert dates.when(moment, NOW) == row
    assert dates.when(moment, NOW, "card") == card
    assert dates.inside(card) == card.replace("Today", "today").replace("Yesterday", "yesterday")


def test_exact_names_the_zone() -> None:
    assert dates.exact(NOW) == "Mon 23 Nov 2026, 10:44:00 UTC"
    newfoundland = NOW.astimezone(timezone(timedelta(hours=-3, minutes=-30), "NST"))
    assert dates.exact(newfoundland) == "Mon 23 Nov 2026, 07:14:00 NST (UTC-03:30)"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-60, "now"),
        (1, "now"),
        (12, "12 s ago"),
        (240, "4 min ago"),
        (7800, "2 h 10 min ago"),
        (7200, "2 h ago"),
        (86400, "1 day ago"),
        (86400 * 3, "3 days ago"),
    ],
)
def test_ago(seconds: int, shown: str) -> None:
    assert dates.ago(NOW - timedelta(seconds=seconds), NOW) == shown
