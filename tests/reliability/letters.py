"""Letters as they really come, as rows of the table of scenarios: broken, huge, twice, nameless."""

from __future__ import annotations

import base64

from tests.reliability.scenarios import scenario
from tests.reliability.world import NotHere, World, letter

HEAD = b"From: greta@brandt.example\r\nTo: marta@example.test\r\n"


@scenario("in big")
def a_letter_of_three_megabytes(w: World) -> None:
    w.sync()
    blob = base64.encodebytes(bytes(range(256)) * 9000).replace(b"\n", b"\r\n")
    raw = b"".join(
        (
            HEAD,
            b"Subject: big\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
            b"--x\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n",
            b"--x\r\nContent-Type: application/octet-stream; name=all.bin\r\n",
            b"Content-Disposition: attachment; filename=all.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            blob,
            b"--x--\r\n",
        )
    )
    w.put("big", raw=raw)
    w.sync()


@scenario("in bare")
def a_letter_without_a_body(w: World) -> None:
    w.sync()
    w.put("bare", raw=HEAD + b"Subject: bare\r\n\r\n")
    w.sync()


@scenario("in open")
def a_header_that_never_ends(w: World) -> None:
    w.sync()
    raw = w.put("open", raw=HEAD + b"Subject: open\r\n")
    if w.look.letters(w.user) != [raw]:
        raise NotHere("keeps it with other bytes")  # pymap loses the last one
    w.sync()


@scenario("in Grüße")
def a_subject_in_encoded_words(w: World) -> None:
    w.sync()
    w.put("=?utf-8?q?Gr=C3=BC=C3=9Fe?=")
    w.sync()


@scenario("in Grüße")
def a_subject_in_plain_utf8(w: World) -> None:
    w.sync()
    w.put("", raw=letter("Grüße"))
    w.sync()


@scenario("in latin")
def a_body_of_unnamed_eight_bits(w: World) -> None:
    w.sync()
    w.put("latin", raw=HEAD + b"Subject: latin\r\n\r\nSch\xf6ne Gr\xfc\xdfe\r\n")
    w.sync()


@scenario("in long")
def a_line_of_ten_thousand_bytes(w: World) -> None:
    w.sync()
    w.put("long", raw=HEAD + b"Subject: long\r\n\r\n" + b"word " * 2000 + b"\r\n")
    w.sync()


@scenario("in folded")
def a_header_folded_a_hundred_times(w: World) -> None:
    w.sync()
    w.put("folded", raw=HEAD + b"Subject: folded\r\nX-Trace:" + b" a\r\n" * 100 + b" b\r\n\r\nHello.\r\n")
    w.sync()


@scenario("in nameless")
def no_message_id(w: World) -> None:
    w.sync()
    w.put("nameless", mid="")
    w.sync()


@scenario("in one two")
def two_letters_without_message_id(w: World) -> None:
    w.sync()
    w.put("one", mid="")
    w.put("two", mid="")
    w.sync()


@scenario("in empty other")
def an_empty_message_id(w: World) -> None:
    w.sync()
    w.put("empty", mid="<>")
    w.put("other", mid="<>")
    w.sync()


@scenario("in endless")
def a_message_id_of_five_thousand_bytes(w: World) -> None:
    w.sync()
    w.put("endless", mid=f"<{'a' * 5000}@brandt.example>")
    w.sync()


@scenario("in one two")
def two_letters_with_one_message_id(w: World) -> None:
    w.sync()
    w.put("one", mid="<same@brandt.example>")
    w.put("two", mid="<same@brandt.example>")
    w.sync()


@scenario("in one")
def the_same_letter_twice(w: World) -> None:
    w.sync()
    w.put("one")
    w.put("one")
    w.sync()


@scenario("in broken")
def a_multipart_without_its_end(w: World) -> None:
    w.sync()
    kind = b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n"
    w.put(
        "broken",
        raw=HEAD + b"Subject: broken\r\n" + kind + b"--x\r\nContent-Type: text/html\r\n\r\n<b>Hi\r\n",
    )
    w.sync()


@scenario("in deep")
def thirty_letters_in_one_another(w: World) -> None:
    w.sync()
    raw = letter("innermost")
    for _ in range(30):
        raw = HEAD + b"Subject: deep\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + raw
    w.put("deep", raw=raw)
    w.sync()


@scenario("in strange")
def headers_that_say_nonsense(w: World) -> None:
    w.sync()
    w.put(
        "strange",
        raw=b"From: <<>>@@\r\nTo: undisclosed-recipients:;\r\nSubject: strange\r\nDate: never\r\n"
        b"Content-Type: text/plain; charset=klingon\r\nContent-Transfer-Encoding: rot13\r\n\r\nHello.\r\n",
    )
    w.sync()


@scenario("in nobody")
def no_sender_at_all(w: World) -> None:
    w.sync()
    w.put("nobody", raw=b"Subject: nobody\r\n\r\nHello.\r\n")
    w.sync()


@scenario("in page")
def html_alone(w: World) -> None:
    w.sync()
    kind = b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    w.put(
        "page", raw=HEAD + b"Subject: page\r\n" + kind + b"<p>Hello <img src=http://x.example/y.png></p>\r\n"
    )
    w.sync()
