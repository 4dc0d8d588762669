"""Subjects, recipients and quotes of replies and forwards: tables."""

from datetime import UTC, datetime

import pytest

from postern.outbox.quoting import answer_to, forward_subject, quoted_forward, quoted_reply, reply_subject

WHEN = datetime(2026, 11, 3, 9, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("New office", "Re: New office"),
        ("Re: New office", "Re: New office"),
        ("RE: re: Re[2]: New office", "Re: New office"),
        ("AW: New office", "Re: New office"),
        ("SV:New office", "Re: New office"),
        ("Regarding: x", "Re: Regarding: x"),
        ("Fwd: New office", "Re: Fwd: New office"),
        ("", "Re:"),
        ("a\r\nBcc: x@y.example", "Re: a Bcc: x@y.example"),
    ],
)
def test_reply_subject(before, after):
    assert reply_subject(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("New office", "Fwd: New office"),
        ("FW: Fwd: WG: New office", "Fwd: New office"),
        ("Re: New office", "Fwd: Re: New office"),
        ("a\nb", "Fwd: a b"),
    ],
)
def test_forward_subject(before, after):
    assert forward_subject(before) == after


ANN, BOB, ME, ALIAS, LIST = (
    ["Ann", "ann@a.example"],
    ["Bob", "bob@b.example"],
    ["Me", "me@n.example"],
    ["", "me2@n.example"],
    ["L", "list@l.example"],
)


@pytest.mark.parametrize(
    ("letter", "to_all", "to", "cc"),
    [
        ({"to": [ME]}, False, [ANN], []),
        ({"to": [ME, BOB], "cc": [LIST]}, False, [ANN], []),
        ({"to": [ME, BOB], "cc": [LIST]}, True, [ANN, BOB], [LIST]),
        ({"to": [ME], "cc": [ALIAS, ANN, BOB]}, True, [ANN], [BOB]),
        ({"to": [ME], "reply_to": [LIST]}, False, [LIST], []),
        ({"to": [ME, ["", "ANN@A.example"]]}, True, [ANN], []),
        ({"outgoing": True, "author": ME, "to": [BOB], "cc": [LIST]}, False, [BOB], []),
        ({"outgoing": True, "author": ME, "to": [BOB], "cc": [LIST]}, True, [BOB], [LIST]),
        ({"author": ME, "to": [ME]}, False, [ME], []),
        ({"author": ["", "no address"], "to": [ME]}, False, [], []),
        (
            {"author": ["A\r\nBcc: x", "ann@a.example"], "to": [ME]},
            False,
            [["A Bcc: x", "ann@a.example"]],
            [],
        ),
    ],
)
def test_whom_an_answer_goes_to(letter, to_all, to, cc):
    given = {"outgoing": False, "author": ANN, "reply_to": [], "cc": []} | letter
    assert answer_to(**given, own=["me@n.example", "", "ME2@n.example"], to_all=to_all) == (to, cc)


def test_a_quote_is_clean_and_says_whose_it_is():
    html = quoted_reply(
        author=["<b>Ann</b>", "ann@a.example"], when=WHEN, html="<p>x<script>1</script></p>", text=""
    )
    assert "On 3 November 2026 at 09:05, &lt;b&gt;Ann&lt;/b&gt; &lt;ann@a.example&gt; wrote:" in html
    assert "<script" not in html and "<p>x</p>" in html and "<blockquote" in html


def test_a_plain_letter_is_quoted_as_text():
    html = quoted_reply(author=ANN, when=WHEN, html="", text="one <1>\ntwo\n\nthree")
    assert "<p>one &lt;1&gt;<br>two</p><p>three</p>" in html


def test_a_forward_shows_the_head():
    html = quoted_forward(author=ANN, when=WHEN, subject="a\nb", to=[BOB], cc=[], html="", text="hello")
    assert "From: Ann &lt;ann@a.example&gt;<br>Date: 3 November 2026 at 09:05<br>Subject: a b" in html
    assert "Cc:" not in html and "<p>hello</p>" in html
