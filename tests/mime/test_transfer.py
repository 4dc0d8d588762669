"""Transfer encodings undone: the quick ways give what the careful ones give, and damage is never passed over."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.mime.read import part_bytes, read
from postern.mime.transfer import decoded_size, undo_range, undo_window
from tests.mime.test_tnef import WINMAIL

DATA = bytes(range(256)) * 5


def lines(data: bytes, width: int = 76, end: bytes = b"\r\n") -> bytes:
    """Base64 in lines, the last one ended too."""
    text = base64.b64encode(data)
    return b"".join(text[at : at + width] + end for at in range(0, len(text), width))


WHOLE = [
    lines(DATA),
    lines(DATA, end=b"\n"),
    lines(DATA, width=60),
    lines(DATA, width=30),  # a group of four signs goes on in the next line
    lines(DATA).rstrip(),
    base64.b64encode(DATA),
    lines(DATA + b"x").replace(b"=", b"")[:-2],  # no padding
    lines(DATA[:-1] + b"xy").replace(b"=", b""),
    lines(DATA).replace(b"\r\n", b"\r\n\r\n", 1),
    lines(DATA, end=b" \r\n"),
]


@pytest.mark.parametrize("encoded", WHOLE)
def test_undamaged_base64_however_its_lines_are_made(encoded: bytes) -> None:
    decoded = undo_range(encoded, 0, len(encoded), "base64")
    assert decoded[: len(DATA) - 1] == DATA[:-1]
    assert decoded_size(encoded, 0, len(encoded), "base64") == len(decoded)


DAMAGED = [
    (lines(b"a" * 120).replace(b"YWFh", b"YW!Fh", 1), b"a" * 120),  # a stray sign in a line of the usual kind
    (lines(b"a" * 120) + b"-- \r\nlist footer\r\n", b"a" * 120),
    (lines(b"a" * 118) + lines(b"b" * 10), b"a" * 118 + b"b" * 10),  # two pieces, each with its padding
    (
        lines(b"a" * 57) + b"!" * 76 + b"\r\n" + lines(b"b" * 57),
        b"a" * 57,
    ),  # a line of nothing but strange signs
]


@pytest.mark.parametrize(("encoded", "expected"), DAMAGED)
def test_08_damaged_base64_in_even_lines_is_seen(encoded: bytes, expected: bytes) -> None:
    assert undo_range(encoded, 0, len(encoded), "base64").startswith(expected)
    assert decoded_size(encoded, 0, len(encoded), "base64") == len(
        undo_range(encoded, 0, len(encoded), "base64")
    )


@pytest.mark.parametrize("encoded", [*WHOLE, *(encoded for encoded, _ in DAMAGED)])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", ""])
def test_a_window_is_a_slice_of_the_whole(encoded: bytes, encoding: str) -> None:
    raw = b"before " + encoded + b"after"
    start, end = 7, 7 + len(encoded)
    whole = undo_range(raw, start, end, encoding)
    for first in (0, 1, 56, 57, 58, 600, len(whole) - 3, len(whole) + 5):
        for length in (0, 1, 57, 200, len(whole)):
            window = undo_window(raw, start, end, encoding, first, length)
            assert window == whole[first : first + length], (first, length)


@given(
    st.binary(max_size=400),
    st.sampled_from((4, 8, 60, 76, 30)),
    st.sampled_from((b"\n", b"\r\n", b"\r")),
    st.integers(0, 600),
    st.sampled_from((b"", b"=", b"!", b"\n", b"A", b" ")),
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
)
def test_one_change_anywhere(
    data: bytes, width: int, end: bytes, at: int, change: bytes, window: tuple[int, int]
) -> None:
    encoded = lines(data, width, end)
    encoded = encoded[:at] + change + encoded[at:]
    whole = undo_range(encoded, 0, len(encoded), "base64")
    assert decoded_size(encoded, 0, len(encoded), "base64") == len(whole)
    if not change or change in b"\n " or (change == b"!" and at < len(encoded) - 8 - 2 * len(end)):
        assert whole == data
    first, length = window
    assert undo_window(encoded, 0, len(encoded), "base64", first, length) == whole[first : first + length]


def test_files_of_a_winmail_dat_are_cut_out_of_its_base64() -> None:
    packed = lines(WINMAIL)
    raw = b"Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n" + packed
    bare = b"Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + WINMAIL
    files = read(raw).parts
    assert files
    assert [part_bytes(raw, part) for part in files] == [part_bytes(bare, part) for part in read(bare).parts]
