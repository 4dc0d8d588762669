"""Whatever our reader takes for a blind copy is in nobody else's letter, and every other byte is."""

from __future__ import annotations

import pytest

from postern.mime.blind import without_bcc
from postern.mime.read import read

HEAD, END = b"From: o@x.example\r\nTo: a@b.example\r\n", b"Subject: s\r\n\r\nBcc: is a word here\r\n"
LETTERS = {
    "one": HEAD + b"Bcc: hid@den.example\r\n" + END,
    "last": HEAD + b"BCC: hid@den.example\r\n\r\nbody",
    "first": b"Bcc: hid@den.example\r\n" + HEAD + END,
    "resent": HEAD + b"Resent-Bcc: hid@den.example\r\n" + END,
    "twice": HEAD + b"Bcc: a@a.example\r\nbcc: hid@den.example\r\n" + END,
    "folded": HEAD + b"Bcc:\r\n\t<hid@den.example>,\r\n  hid@den.example\r\n" + END,
    "a space before the colon": HEAD + b"Bcc \t: hid@den.example\r\n" + END,
    "line feeds": (HEAD + b"Bcc: hid@den.example\r\n" + END).replace(b"\r\n", b"\n"),
    "carriage returns": (HEAD + b"Bcc: a@a.example,\r\n hid@den.example\r\n" + END).replace(b"\r\n", b"\r"),
    "a carriage return inside": HEAD + b"Bcc: a@a.example,\rhid@den.example\r\n" + END,
    "not folded": HEAD + b"Bcc: a@a.example,\r\nhid@den.example\r\n" + END,
    "blank lines first": b"\r\n\r\n\r\n" + HEAD + b"Bcc: hid@den.example\r\n" + END,
    "byte order mark": b"\xef\xbb\xbfBcc: hid@den.example\r\n" + HEAD + END,
    "indented": b" Bcc: hid@den.example\r\n" + HEAD + END,
    "mbox": b"From o Mon\nBcc: hid@den.example\r\n" + HEAD + END,
    "white line": HEAD + b" \r\nBcc: hid@den.example\r\n" + END,
    "header alone": HEAD + b"Bcc: hid@den.example\r\n",
}


@pytest.mark.rule("S-136")
@pytest.mark.parametrize("name", LETTERS)
def test_s136_no_blind_copy_is_left(name):
    told = without_bcc(LETTERS[name])
    assert b"hid@den" not in told
    before, after = read(LETTERS[name]), read(told)
    assert not after.bcc
    assert (after.from_, after.to, after.subject, after.text) == (
        before.from_,
        before.to,
        before.subject,
        before.text,
    )


@pytest.mark.parametrize("raw", [b"", b"\r\n", HEAD + END, b"no letter at all", b"\n\nBccx: y\n\nBcc: z"])
def test_a_letter_without_any_is_as_it_was(raw):
    assert without_bcc(raw) == raw


def test_nothing_else_is_taken_along():
    assert without_bcc(LETTERS["one"]) == HEAD + END
    assert without_bcc(LETTERS["last"]) == HEAD + b"\r\nbody"
