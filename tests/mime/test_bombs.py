"""S-114, S-117: what every hostile letter costs to prepare, beside a plain one of the largest size.

`./dev test` tries those that were dear once with 4 MB, the soak all of them with the largest letter that is read at all.
"""

import time
from pathlib import Path

import pytest

from postern.mail.preparers import MEMORY
from postern.mail.preparing import Arrival, Prepared, prepare
from postern.mime.body import MAX_BODY
from postern.mime.flowed import unflow
from postern.mime.parts import MAX_DELIMITERS
from postern.mime.read import part_bytes, read
from postern.mime.sanitize import sanitize
from postern.mime.transfer import steps, undo_range
from postern.sync.plan import MAX_LETTER_BYTES
from tests.mime import costs
from tests.mime.bombs import SHAPES
from tests.mime.costs import cost
from tests.mime.pieces import HEAD, MB, MIXED, NOON

SHORT = 4 * MB
# How often the time of a plain letter of the largest size: each took more before it was mended, a few excepted.
OFTEN = {
    "prefix lines": 2.5, "nested prefixes": 4, "closings": 2.5, "broken headers of parts": 3.5, "flowed quotes": 16,
    "flowed empty": 6, "flowed words": 8, "distinct accents": 16, "broken utf-8": 4, "base64 pieces": 3,
    "base64 strange lines": 4, "uu bad": 4, "uu one byte": 3, "yenc equals": 3, "html alternatives": 2,
    "html under a million": 2, "html different cids": 4, "escaped pages, many": 3, "events": 3, "tnef texts": 3,
    "tnef many": 4, "empty parts": 2, "depth": 3, "long header": 2, "rfc822 chain": 2,
}  # fmt: skip
FEW = 80 * MB
MOST_TIMES = 16.0  # two seconds on a machine where a plain letter of the largest size takes an eighth of one
MOST = 256 * MB
READS = Path("/proc/self/clear_refs").exists()
pytestmark = pytest.mark.skipif(not READS, reason="only Linux tells a process's peak of memory")


@pytest.fixture(scope="module")
def work() -> float:
    """CPU seconds of a fixed work of this machine: preparing a plain letter of the largest size, the best of three."""
    prepare(Arrival(1, frozenset(), NOON, b"Content-Type: text/html\n\n<p>x\xff"))  # what is imported late
    return min(cost("plain", MAX_LETTER_BYTES).seconds for _ in range(3))


def held(shape: str, size: int, times: float, work: float, memory: int) -> None:
    """At most so many times the fixed work: where others use the processor, the work is done again beside it."""
    for _ in range(5):
        one = cost(shape, size, MEMORY)
        assert not one.broken
        assert not [defect for defect in one.defects if defect.startswith("unreadable")]
        assert one.memory < memory, one
        if one.seconds < times * work:
            return
        work = max(work, cost("plain", MAX_LETTER_BYTES).seconds)
    raise AssertionError(f"{one} is more than {times} times {work}")


@pytest.mark.rule("S-114")
@pytest.mark.rule("S-117")
@pytest.mark.parametrize("shape", OFTEN)
def test_a_short_one(shape: str, work: float) -> None:
    held(shape, SHORT, OFTEN[shape], work, FEW)


@pytest.mark.soak
@pytest.mark.rule("S-114")
@pytest.mark.rule("S-117")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_that_is_read(shape: str, work: float) -> None:
    held(shape, MAX_LETTER_BYTES - 2 * MB, MOST_TIMES, work, MOST)


def test_the_measure_sees_time_and_memory(monkeypatch: pytest.MonkeyPatch, work: float) -> None:
    def greedy(arrival: Arrival) -> Prepared:
        began = time.process_time()  # that of a copy of this process, which begins anew
        taken = [bytearray(b"x" * (MOST + MB))]
        while time.process_time() < began + 0.2:
            taken[0][0] = 1
        return real(arrival)

    real = costs.prepare
    monkeypatch.setattr(costs, "prepare", greedy)
    one = cost("rfc822 chain", MB)
    assert one.memory > MOST
    assert one.seconds > 0.1


def test_a_true_delimiter_behind_false_ones_counts_up_to_a_number() -> None:
    few = HEAD + MIXED + b"--b\n\none\n" + b"--bX\n" * 1000 + b"--b\n\ntwo\n--b--\n"
    assert read(few).text.startswith("one\n--bX\n") and read(few).text.endswith("\ntwo")
    many = HEAD + MIXED + b"--b\n\none\n" + b"--bX\n" * MAX_DELIMITERS + b"--b\n\ntwo\n--b--\n"
    assert "truncated: delimiters" in read(many).defects
    assert "truncated: delimiters" not in read(few).defects


def undo(data: bytes, encoding: str) -> bytes:
    return undo_range(data, 0, len(data), encoding)


def test_lines_of_the_usual_width_are_all_decoded() -> None:
    """However many they are; of millions of short ones the first."""
    line = b"M" + b"!" * 60 + b"\n"
    assert len(undo(line * 50_000, "uuencode")) == 45 * 50_000
    assert len(undo(b"!86%A\n" * 50_000, "uuencode")) == steps(6 * 50_000)
    padded = b"QUJD" * 18 + b"QQ==\n"
    assert undo(padded * 20_000, "base64") == (b"ABC" * 18 + b"A") * 20_000
    assert steps(0) < len(undo(b"QQ==\n" * 50_000, "base64")) <= steps(5 * 50_000)
    assert undo(b"QUJD" * 19 + b"!\n" + b"QUJD\n" + b"-- \nlist!\n", "base64") == b"ABC" * 20
    escaped = b"x" * 70 + b"=}"
    assert undo(escaped * 20_000, "yenc") == undo(escaped, "yenc") * 20_000


def test_flowed_text_of_any_ending() -> None:
    for text, expected in {
        "": "",
        "\n": "\n",
        "a": "a",
        "a \n": "a ",
        "a \nb\n": "a b\n",
        "> a \n": "> a \n",
        "> a \n> b\n>> c\n": "> a b\n>> c\n",
        ">\n": "> \n",
        "a \n-- \nb": "a \n-- \nb",
        "\n\n a\n": "\n\na\n",
        "a \n\nb": "a \nb",
    }.items():
        assert unflow(text, delete_space=False) == expected
    assert unflow("a \nb \nc", delete_space=True) == "abc"


def test_texts_of_many_parts_share_what_is_looked_at() -> None:
    part = b"--b\n\n" + b"All work and no play\n" * 300_000
    found = read(HEAD + MIXED + part * 4)
    assert "truncated: text" in found.defects
    assert MAX_BODY - 30 < len(found.text) <= MAX_BODY
    assert "truncated: text" not in read(HEAD + MIXED + part * 2).defects


def test_html_with_too_many_entities_is_too_complex_and_a_newsletter_is_not() -> None:
    assert sanitize("&" * 250_000).too_complex
    assert sanitize("\u00a0" * 250_000).too_complex
    link = '<p><a href="https://x.example/?a=1&amp;b=2&amp;c=3">x</a>&nbsp;' + "word " * 12 + "</p>"
    assert not sanitize(link * 7000).too_complex


def test_many_bags_of_outlook_stay_files() -> None:
    raw = SHAPES["tnef many"](200_000)
    found = read(raw)
    assert "winmail.dat cannot be opened" in found.defects
    assert all(len(part_bytes(raw, part)) == part.size for part in found.parts)
