"""Pitfalls 10 to 20: which part is the body, attachments, dates, ids, previews."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.mime.dates import read_date
from postern.mime.read import Letter, part_bytes, read
from postern.mime.sanitize import preview, sanitize, text_from_html

PNG = "Content-Type: image/png; name=a.png\nContent-ID: <a%40b>\nContent-Transfer-Encoding: base64\n\niVBORw==\n"


def multipart(kind: str, *parts: str, boundary: str = "b") -> str:
    inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{inside}--{boundary}--\n'


def plain(text: str) -> str:
    return f"Content-Type: text/plain; charset=utf-8\n\n{text}"


def page(html: str) -> str:
    return f"Content-Type: text/html; charset=utf-8\n\n{html}"


def of(text: str) -> Letter:
    return read(text.encode())


# 10. Body choice


def test_10_alternative_gives_both() -> None:
    found = of(multipart("alternative", plain("text"), page("<b>html</b>")))
    assert (found.text, found.html, found.parts) == ("text", "<b>html</b>", ())


def test_10_last_html_wins_unless_empty() -> None:
    assert of(multipart("alternative", plain("t"), page("<p>1"), page("<p>2"))).html == "<p>2"
    assert of(multipart("alternative", plain("t"), page("<html><body> &nbsp;</body></html>"))).html == ""


def test_10_related_root_and_image() -> None:
    found = of(multipart("related", page('<img src="cid:a@b">'), PNG))
    assert found.html == '<img src="cid:a@b">'
    assert [part.inline for part in found.parts] == [True]


def test_10_text_image_text_in_order() -> None:
    found = of(multipart("mixed", plain("before"), PNG, plain("after")))
    assert (found.text, len(found.parts)) == ("before\nafter", 1)
    mixed = of(multipart("mixed", page("<p>one"), PNG, plain("a < b"), page("<p>two")))
    assert mixed.html == '<p>one\n<div style="white-space:pre-wrap">a &lt; b</div>\n<p>two'


def test_10_calendar_enriched_and_amp() -> None:
    calendar = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR"
    amp = "Content-Type: text/x-amp-html\n\n<html amp4email>"
    enriched = "Content-Type: text/enriched\n\n<bold>strong</bold> <<x"
    found = of(multipart("alternative", plain("t"), amp, page("<p>h"), calendar))
    assert (found.text, found.html, [part.content_type for part in found.parts]) == (
        "t",
        "<p>h",
        ["text/calendar"],
    )
    assert of(multipart("alternative", enriched, amp)).text == "strong <x"


# 11. Inline or attachment


def test_11_used_images_are_inline_unused_are_files() -> None:
    other = "Content-Type: image/gif; name=b.gif\nContent-ID: <unused>\nContent-Disposition: inline\n\nGIF"
    nameless = "Content-Type: application/x-thing\n\nzz"
    found = of(multipart("related", page("<img src=cid:a%40b>"), PNG, other, nameless))
    assert [(part.filename, part.inline) for part in found.parts] == [
        ("a.png", True),
        ("b.gif", False),
        ("", False),
    ]
    assert [part.index for part in found.parts] == [0, 1, 2]


def test_11_disposition_is_a_hint() -> None:
    named = 'Content-Type: text/plain\nContent-Disposition: attachment; filename="log.txt"\n\nlog'
    nameless = "Content-Type: text/plain\nContent-Disposition: inline\n\nshown"
    found = of(multipart("mixed", plain("hello"), named, nameless))
    assert (found.text, [part.filename for part in found.parts]) == ("hello\nshown", ["log.txt"])


# 12. message/rfc822


def test_12_enclosed_letter_stays_closed() -> None:
    inner = "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text"
    found = of(multipart("mixed", plain("outer"), inner))
    assert (found.text, found.subject) == ("outer", "")
    assert [(part.filename, part.content_type) for part in found.parts] == [("inner.eml", "message/rfc822")]
    assert read(part_bytes(found.raw, found.parts[0])).text == "inner text"


def test_12_enclosed_letter_in_base64() -> None:
    inner = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW5uZXIKCmhp"
    found = of(multipart("mixed", inner))
    assert found.parts[0].filename == "inner.eml"
    assert read(part_bytes(found.raw, found.parts[0])).text == "hi"


# 13. winmail.dat: tests/mime/test_tnef.py


def test_13_winmail_that_is_none_stays_an_attachment() -> None:
    found = of(multipart("mixed", plain("x"), "Content-Type: application/ms-tnef; name=winmail.dat\n\nTNEF"))
    assert [part.filename for part in found.parts] == ["winmail.dat"]


# 14. format=flowed

FLOWED = [
    ("one \ntwo\nthree", "no", "one two\nthree"),
    ("one \ntwo", "yes", "onetwo"),
    (" From me\n >not a quote", "no", "From me\n>not a quote"),
    ("end\n-- \nAnn", "no", "end\n-- \nAnn"),
    ("> a \n> b\n>> c \n> d", "no", "> a b\n>> c \n> d"),
]


@pytest.mark.parametrize(("text", "delsp", "expected"), FLOWED)
def test_14_flowed(text: str, delsp: str, expected: str) -> None:
    assert of(f"Content-Type: text/plain; format=flowed; delsp={delsp}\n\n{text}").text == expected


# 15. uuencode, yEnc, PGP, S/MIME


def test_15_uuencode_and_yenc_inside_text() -> None:
    found = of("Subject: x\n\nbefore\nbegin 644 a.txt\n#86)C\n`\nend\nafter")
    assert found.text == "before\n\nafter"
    assert [(part.filename, part.size) for part in found.parts] == [("a.txt", 3)]
    assert part_bytes(found.raw, found.parts[0]) == b"abc"
    raw = b"Subject: y\n\n=ybegin line=128 size=3 name=b.bin\n\x8b\x8c\x8d\n=yend size=3\n"
    assert part_bytes(raw, read(raw).parts[0]) == b"abc"


def test_15_uuencode_inside_quoted_printable_part() -> None:
    raw = b"Content-Transfer-Encoding: quoted-printable\n\nt=3D1\nbegin 644 a.txt\n#86)C\n`\nend\n"
    found = read(raw)
    assert (found.text, part_bytes(raw, found.parts[0])) == ("t=1", b"abc")


def test_15_the_word_begin_is_no_file() -> None:
    assert of("Subject: x\n\nbegin 644 with care\nand end").text == "begin 644 with care\nand end"


def test_15_signatures_and_pgp() -> None:
    signature = "Content-Type: application/pkcs7-signature; name=smime.p7s\n\nsig"
    found = of(multipart("signed", plain("signed text"), signature))
    assert (found.text, [part.filename for part in found.parts]) == ("signed text", ["smime.p7s"])
    pgp = "-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----"
    assert of("Subject: x\n\n" + pgp).text == pgp


# 16. Bodies that say nothing


def test_16_empty_tracking_and_excuses() -> None:
    assert of("Subject: x\n\n").text == ""
    pixel = sanitize('<img src="https://t.example/p.gif" width=1 height=1>')
    assert (pixel.remote_images, "t.example" in pixel.html) == (1, False)
    excuse = plain("Your e-mail program does not support HTML. Open this page in a browser.")
    found = of(multipart("alternative", excuse, page("<p>The news")))
    assert (found.text, found.html) == ("", "<p>The news")
    assert of(multipart("alternative", excuse)).text.startswith("Your e-mail program")


# 17. Dates

DATES = [
    ("Fri, 23 Nov 2026 12:40:00 +0100", datetime(2026, 11, 23, 12, 40, tzinfo=timezone(timedelta(hours=1)))),
    ("Fri, 23 Nov 2026 12:40:00 +0100 (CET)", datetime(2026, 11, 23, 11, 40, tzinfo=UTC)),
    ("23 Nov 2026 24:00:00 -0030", datetime(2026, 11, 24, 0, 30, tzinfo=UTC)),
    ("23 Nov 2026 12:40:60 +0175", datetime(2026, 11, 23, 10, 25, 59, tzinfo=UTC)),
    ("31 Nov 2026 12:40:00 +0100", None),
    ("3 Nov 9999 12:40:00 +0100", None),
    ("3 Nov 2026 12:40:00 +1430", datetime(2026, 11, 3, 12, 40, tzinfo=UTC)),
    ("23 Nov 26 12:40", datetime(2026, 11, 23, 12, 40, tzinfo=UTC)),
    ("23 Nov 97 12:40 est", datetime(1997, 11, 23, 17, 40, tzinfo=UTC)),
    ("Wed, 20 Sep 1995 00:19:00 (EDT) -0400", datetime(1995, 9, 20, 4, 19, tzinfo=UTC)),
    ("23 Nov 97 12:40 EST", datetime(1997, 11, 23, 17, 40, tzinfo=UTC)),
    ("Fri, 23 Nov 2026 12:40:00 GMT+0100", datetime(2026, 11, 23, 11, 40, tzinfo=UTC)),
    ("Fri, 23 Nov 2026 24:00:00 +0000", datetime(2026, 11, 24, tzinfo=UTC)),
    ("Fri, 23 Nov 2026 12:40:60 +0000 (UTC)", datetime(2026, 11, 23, 12, 40, 59, tzinfo=UTC)),
    ("Fri Nov 23 12:40:00 2026", datetime(2026, 11, 23, 12, 40, tzinfo=UTC)),
    ("2026-11-23T12:40:00Z", datetime(2026, 11, 23, 12, 40, tzinfo=UTC)),
    ("23 Nov 2026 12:40 +9999", datetime(2026, 11, 23, 12, 40, tzinfo=UTC)),
    ("23 Nov 2026 01:40 PM", datetime(2026, 11, 23, 13, 40, tzinfo=UTC)),
    ("23 Nov 99999 12:40 +0000", None),
    ("32 Nov 2026 12:40 +0000", None),
    ("31 Dec 9999 23:00 -1200", None),
    ("yesterday", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_17_dates(text: str, expected: datetime | None) -> None:
    assert read_date(text) == expected
    assert of(f"Date: {text}\nSubject: x\n\n").date_text == text


# 18. Message-IDs

IDS = [
    ("<a@b>", "a@b"),
    ("a@b", "a@b"),
    ("<a b@c>", "ab@c"),
    ("< a@b >", "a@b"),
    ("", ""),
    ("nonsense", ""),
    ("<a@b> <c@d>", "a@b"),
]


@pytest.mark.parametrize(("header", "expected"), IDS)
def test_18_message_ids(header: str, expected: str) -> None:
    assert of(f"Message-ID: {header}\nSubject: x\n\n").message_id == expected


def test_18_references() -> None:
    found = of('References: <a@b>\n <c@d> <a@b>\nIn-Reply-To: "Ann\'s letter" <c@d>\n\n')
    assert (found.references, found.in_reply_to) == (("a@b", "c@d"), ("c@d",))


# 19. Sizes


def test_19_size_is_of_the_decoded_bytes() -> None:
    found = of(multipart("mixed", plain("x"), PNG))
    assert found.parts[0].size == len(part_bytes(found.raw, found.parts[0])) == 4


# 20. Previews


def test_20_preview_without_hidden_and_zero_width() -> None:
    html = '<div style="display:none">secret preheader</div><p>Hello\u200b\u200c&zwnj;&nbsp;&zwnj;&nbsp; there</p>'
    assert preview(text_from_html(sanitize(html).html)) == "Hello there"
    assert preview("new\n\nOn 1 Jan 2026 Ann wrote:\n> old") == "new"
    assert preview("> only a quote") == "only a quote"
    assert preview("x" * 500, 50) == "x" * 49 + "…"
    assert preview("\u200b\u00a0 \ufeff") == ""
    assert preview("soft\u00adhyphen –\u00ad –") == "softhyphen – –"


@given(st.text(alphabet="ab é–-_=\u200b\u00ad\u00a0\n", max_size=60))
def test_20_a_short_preview_is_how_the_long_one_begins(text: str) -> None:
    whole = preview(text, 1000)
    assert preview(text, 10) == (whole if len(whole) <= 10 else whole[:9].rstrip() + "…")


AUTOMATIC = [
    ("Auto-Submitted: auto-replied", "auto-replied"),
    ("Auto-Submitted: no", ""),
    ("Precedence: bulk", "bulk"),
    ("List-Id: <x.y>", "mailing list"),
    ("Return-Path: <>", "empty return path"),
    ("From: MAILER-DAEMON@x.org", "mailer daemon"),
    ("From: ann@x.org", ""),
]


@pytest.mark.parametrize(("header", "expected"), AUTOMATIC)
def test_automatic_letters(header: str, expected: str) -> None:
    assert of(header + "\n\nx").automatic == expected
