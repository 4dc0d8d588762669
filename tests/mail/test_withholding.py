"""What is made of a header alone (R-022)."""

import pytest

from postern.mail.packing import unpack
from postern.mail.preparing import Arrival
from postern.mail.withholding import header_of, header_only
from postern.wire.imap import HEADER_BYTES
from tests.world import NOON

pytestmark = pytest.mark.rule("R-022")
HEAD = b"Subject: Plans\r\nFrom: Greta <greta@b.example>\r\n"


@pytest.mark.parametrize(
    ("raw", "header"),
    [
        (HEAD + b"\r\nbody\r\n\r\nmore", HEAD + b"\r\n"),
        (HEAD.replace(b"\r", b"") + b"\nbody", HEAD.replace(b"\r", b"") + b"\n"),
        (HEAD, HEAD),
        (b"", b""),
        (b"x" * (HEADER_BYTES + 9), b"x" * HEADER_BYTES),
        (b"x" * (HEADER_BYTES - 2) + b"\r\n\r\n", b"x" * (HEADER_BYTES - 2) + b"\r\n"),
    ],
)
def test_where_a_header_ends(raw, header):
    assert header_of(raw) == header


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"Content-Type: application/pdf; name=plan.pdf\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n",
        b"Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"a" * HEADER_BYTES,
    ],
)
def test_a_header_announces_nothing_that_is_not_here(kind):
    one = header_only(Arrival(7, frozenset(), NOON, HEAD + kind), size=9 << 40, reason="Too large.")
    assert (one.subject, one.from_address, one.withheld) == ("Plans", "greta@b.example", "Too large.")
    assert (one.files, one.defects, one.broken) == ((), (), "")
    assert (unpack(one.text), unpack(one.html)) == (b"", b"")
    assert one.size == 2**31 - 1
    assert one.preview == "Only the header is here. Too large."


def test_a_header_that_cannot_be_read_is_quarantined_like_any_letter(monkeypatch):
    def breaks(raw):
        raise ValueError("made up")

    monkeypatch.setattr("postern.mail.preparing.read", breaks)
    one = header_only(Arrival(7, frozenset(), NOON, HEAD), size=9, reason="Too large.")
    assert one.broken == "ValueError: made up" and not one.withheld
