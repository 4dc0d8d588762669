"""S-118: headers of a megabyte cost what they weigh, in time and memory; a small one is measured beside them."""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from postern.mime.headers import MAX_BYTES, MAX_FIELDS
from postern.mime.parameters import MAX_PARAMETERS, parameters
from postern.mime.read import read

SMALL = 16 * 1024  # bytes; each shape is filled up to a size
LARGE = 64 * SMALL

HEADERS: dict[str, tuple[str, Callable[[int], str]]] = {
    "recipients": ("To", lambda n: f"n{n}@many.example, "),
    "named recipients": ("To", lambda n: f'"Name, {n}" <n{n}@many.example>,\r\n '),
    "recipients in groups": ("To", lambda n: f"group {n}: a{n}@many.example;, "),
    "encoded names": ("To", lambda n: f"=?utf-8?q?N=C3=A4me_{n}?= <n{n}@many.example>, "),
    "encoded words": ("Subject", lambda n: "=?utf-8?q?=41?= "),
    "words of two charsets": ("Subject", lambda n: f"=?{('utf-8', 'latin1')[n % 2]}?q?=41?=\r\n "),
    "words that never end": ("Subject", lambda n: "=?utf-8?q?"),
    "a hundred thousand words": ("Subject", lambda n: "=?a?q?b?= "),
    "words of unknown charsets": ("Subject", lambda n: f"=?x-{n}?b?QUFB?= "),
    "sections": ("Content-Type", lambda n: f"text/plain; name*{n}*=%41%42;"),
    "sections from behind": ("Content-Type", lambda n: f"text/plain; name*{99999 - n}*=%41%42;"),
    "sections without number": ("Content-Disposition", lambda n: "attachment; filename*99999*=x;"),
    "an open string": ("To", lambda n: '"\\" '),
    "strings": ("To", lambda n: '"a\\\\" "b" '),
    "a string in a parameter": ("Content-Type", lambda n: 'text/plain; name="\\"'),
    "strings in parameters": ("Content-Disposition", lambda n: f'attachment; a{n}="x\\"y";'),
    "comments": ("To", lambda n: "((a) "),
}


def filled(piece: Callable[[int], str], size: int) -> str:
    """Pieces up to a size, the last one cut."""
    pieces, length, number = [], 0, 0
    while length < size:
        pieces.append(piece(number))
        length += len(pieces[-1])
        number += 1
    return "".join(pieces)[:size]


def letter(shape: str, size: int) -> bytes:
    name, piece = HEADERS[shape]
    return f"From: a@b.example\r\n{name}: {filled(piece, size)}\r\n\r\nbody\r\n".encode()


def seconds(step: Callable[[], object], times: int) -> float:
    """CPU, the best of some times."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        step()
        spent.append(time.process_time() - began)
    return min(spent)


def held(step: Callable[[], object]) -> int:
    """The most bytes that were allocated at once."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.rule("S-118")
@pytest.mark.parametrize("shape", HEADERS)
def test_a_header_of_a_megabyte(shape: str) -> None:
    small, large = letter(shape, SMALL), letter(shape, LARGE)
    # A header block is cut at 16 times the small one; quadratic work would take 256 times as long.
    enough = 16 * 5 * max(seconds(lambda: read(small), 2), 0.0003)
    assert seconds(lambda: read(large), 1) < enough or seconds(lambda: read(large), 5) < enough


@pytest.mark.rule("S-118")
@pytest.mark.parametrize("shape", ["recipients", "an open string", "encoded words", "sections"])
def test_the_memory_for_a_header_of_a_megabyte(shape: str) -> None:
    small, large = letter(shape, SMALL), letter(shape, LARGE)
    assert held(lambda: read(large)) < 16 * 2 * max(held(lambda: read(small)), SMALL)


@pytest.mark.rule("S-118")
def test_what_is_kept_is_bounded() -> None:
    found = read(letter("recipients", LARGE))
    assert "truncated: headers" in found.defects
    assert 0 < len(found.to) < MAX_BYTES / 10
    assert found.text.strip() == "body"
    many = read(b"To: a@b.example\r\n" * 50_000 + b"\r\nbody")
    assert len(many.to) <= MAX_FIELDS
    assert len(parameters(filled(lambda n: f"; a{n}=x", LARGE))) <= MAX_PARAMETERS
