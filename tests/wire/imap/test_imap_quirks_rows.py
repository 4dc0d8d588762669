"""The rows themselves: each has a transcript, a source and words, and the page in docs says the same."""

import re

import pytest

from postern.wire.imap.quirks import QUIRKS, Quirk, quirks_of
from tests import quirks_page


@pytest.mark.parametrize("quirk", QUIRKS, ids=[quirk.name for quirk in QUIRKS])
def test_every_row_has_a_transcript_and_says_who_and_what(quirk: Quirk) -> None:
    assert quirk.name in quirks_page.tests_of()
    assert quirk.server
    assert re.search(
        r"#\d|\d{4}|RFC|knowledge|notes|log|manual|changelog|documentation|configuration|API|extensions|imap",
        quirk.source,
    )
    assert len(quirk.differs) > 20
    for pattern in (quirk.greeting, quirk.host):
        re.compile(pattern)


def test_names_are_told_apart() -> None:
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS)


def test_the_page_is_made_from_the_rows() -> None:
    assert quirks_page.PAGE.read_text() == quirks_page.page(), "python tests/quirks_page.py --write"


@pytest.mark.parametrize(
    ("capabilities", "greeting", "host", "there", "not_there"),
    [
        ("", "ready", "mail.example", "nul_padding", "short_idle"),
        ("X-GM-EXT-1", "Gimap ready", "imap.gmail.com", "short_idle", "move_not_trusted"),
        ("NAMESPACE", "The Microsoft Exchange IMAP4 service is ready.", "x", "move_not_trusted", "labels"),
        ("", "The Microsoft Exchange IMAP4 service is ready. [TQBO]", "x", "one_fetch_at_a_time", "move_not_trusted"),
        ("", "ready", "imap.163.com", "id_before_select", "labels"),
        ("", "ready", "imap.163.com.example", "nul_padding", "id_before_select"),
    ],
)  # fmt: skip
def test_who_is_recognised(capabilities: str, greeting: str, host: str, there: str, not_there: str) -> None:
    found = quirks_of(capabilities=frozenset(capabilities.split()), greeting=greeting, host=host)
    assert there in found
    assert not_there not in found
