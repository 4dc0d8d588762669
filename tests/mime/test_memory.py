"""What reading costs: a mapped letter is read where it lies, and nothing is decoded that nobody asked for."""

import base64
import mmap
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postern.mime.read import part_bytes, read

MB = 1 << 20


@contextmanager
def mapped(path: Path, raw: bytes) -> Iterator[mmap.mmap]:
    path.write_bytes(raw)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as letter:
        yield letter


def peak(step: Callable[[], object]) -> int:
    """The most bytes that were allocated at once while the step ran."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def big(size: int) -> bytes:
    """A letter of about `size` bytes: a short text, and one file of random bytes."""
    data = random.Random(3).randbytes(size * 3 // 4)
    return (
        b"From: a@example.org\r\nSubject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
        b"--b\r\nContent-Type: application/x-thing; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


def test_a_mapped_letter_reads_like_one_in_memory(tmp_path: Path) -> None:
    for raw in (
        big(2 * MB),
        b"Subject: s\r\rno line feed at all",
        b"Subject: s\n\nbegin 644 a\n#86)C\n`\nend\n",
    ):
        with mapped(tmp_path / "letter", raw) as letter:
            found, expected = read(letter), read(raw)
            assert found == expected
            assert [part_bytes(letter, p) for p in found.parts] == [
                part_bytes(raw, p) for p in expected.parts
            ]
            del found


def test_the_file_can_be_closed_afterwards(tmp_path: Path) -> None:
    with mapped(tmp_path / "letter", big(2 * MB)) as letter:
        part_bytes(letter, read(letter).parts[0])
    with pytest.raises(ValueError):
        letter[:1]


def test_thirty_megabytes_cost_little(tmp_path: Path) -> None:
    raw = big(30 * MB)
    with mapped(tmp_path / "letter", raw) as letter:
        assert peak(lambda: read(letter)) < 4 * MB
        part = read(letter).parts[0]
        assert (part.filename, part.size) == ("a.bin", 30 * MB * 3 // 4)
        # the decoded file itself, and no second copy of what it came from
        assert peak(lambda: part_bytes(letter, part)) < part.size * 1.4 + 2 * MB
    assert peak(lambda: read(raw)) < 4 * MB


SHAPES: dict[str, Callable[[int], bytes]] = {
    "plain text": lambda n: b"Subject: s\n\n" + b"All work and no play\n" * (n // 21),
    "quoted-printable": lambda n: (
        b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=C3=BC and\n" * (n // 11)
    ),
    "html": lambda n: b"Content-Type: text/html\n\n" + b"<p>x</p>\n" * (n // 9),
    "encoded as a whole": lambda n: (
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(b"--b\n\n" + b"text\n" * (n // 7) + b"--b--\n")
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_about_twice_the_letter(shape: str) -> None:
    raw = SHAPES[shape](6 * MB)
    assert peak(lambda: read(raw)) < 4.5 * len(raw)  # bytes, characters, and one copy between two steps


def test_a_text_of_a_hundred_megabytes_is_cut(tmp_path: Path) -> None:
    with mapped(
        tmp_path / "letter", b"Subject: s\n\n" + b"All work and no play\n" * (100 * MB // 21)
    ) as letter:
        found = read(letter)
        assert peak(lambda: read(letter)) < 70 * MB
        assert (len(found.text) <= 4_000_000, found.defects) == (True, ("truncated: text",))
