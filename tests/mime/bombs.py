"""Hostile letters of any size, each of one shape that was dear to read or might be."""

import base64
import struct

from tests.mime.pieces import (
    B64,
    DELSP,
    FLOWED,
    HEAD,
    HTML,
    MB,
    MIXED,
    PART,
    QP,
    SIGNATURE,
    TNEF,
    UU,
    YENC,
    Shape,
    again,
    attribute,
    compressed_rtf,
    counted,
    nested,
    noise,
    wrapped_again,
)

SHAPES: dict[str, Shape] = {
    "plain": again(b"\n", b"All work and no play makes Jack a dull boy\n"),
    # delimiters
    "prefix lines": again(MIXED, b"--bX\n"),
    "prefix lines, cr": again(MIXED, b"--bX\r"),
    "prefix, no lines": again(MIXED, b"--b"),
    "prefix lines, quoted": again(MIXED, b"--b \t x\n"),
    "prefix lines, blanks": again(MIXED, b"--b" + b" " * 500 + b"x\n"),
    "closings": again(MIXED, b"--b--\n"),
    "closings with words": again(MIXED, b"--b-- x\n"),
    "empty parts": again(MIXED, b"--b\n\n"),
    "dashes": again(b'Content-Type: multipart/mixed; boundary="------"\n\n', b"-" * 60),
    "dash lines": again(b'Content-Type: multipart/mixed; boundary="-"\n\n', b"----\n"),
    "guesses": again(b"Content-Type: multipart/mixed\n\n", b"--a b\n--a bX\n"),
    "no boundary": again(b"Content-Type: multipart/mixed; boundary=x\n\n", b"--bX\n"),
    "nested prefixes": lambda size: (
        HEAD
        + b"".join(
            b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (b"b" * n, b"b" * n)
            for n in range(40, 0, -1)
        )
        + (b"--" + b"b" * 41 + b"\n") * (size // 44)
    ),
    "nested, same lines": lambda size: (
        HEAD
        + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(41))
        + b"All work and no play\n" * (size // 21)
    ),
    "depth": nested,
    # headers
    "long header": again(b"X: ", b"x"),
    "headers": again(b"", b"X: y\n"),
    "folds": again(b"X: y\n", b" y\n"),
    "no colon": again(b"", b"x"),
    "blank line missing": again(b"", b"x y\n"),
    "part headers": again(MIXED + b"--b\n", b"X: y\n"),
    "headers of parts": again(MIXED, b"--b\n" + b"X-Thing: something\n" * 1300 + b"\nx\n"),
    "addresses of parts": again(MIXED, b"--b\nContent-Type: text/plain" + b"; a=b" * 5000 + b"\n\nx\n"),
    "names of parts": again(
        MIXED, b"--b\nContent-Type: a/b; name=" + b"=?utf-8?q?=41?= " * 1500 + b"\n\nx\n"
    ),
    "sections of parts": again(
        MIXED, b"--b\nContent-Type: a/b" + b"".join(b"; name*%d*=%%41" % n for n in range(1500)) + b"\n\nx\n"
    ),
    "broken headers of parts": again(MIXED, b"--b\n" + b"X-A: b\nbroken\n" * 1500 + b"\nx\n"),
    "addresses": again(b"To: ", b"a@b.example, "),
    "comments": again(b"To: ", b"("),
    "encoded words": again(b"Subject: ", b"=?utf-8?q?=41?= "),
    # format=flowed
    "flowed quotes": again(FLOWED, b">\n"),
    "flowed empty": again(FLOWED, b"\n"),
    "flowed words": again(FLOWED, b"> a \n"),
    "flowed blanks": again(FLOWED, b" \n"),
    "flowed one paragraph": again(FLOWED, b"a \n"),
    "flowed signatures": again(FLOWED, b"-- \n"),
    "flowed depths": again(FLOWED, b"> \n>> \n"),
    "flowed one quote": again(FLOWED, b">"),
    "flowed stairs": counted(FLOWED, lambda n: b">" * (n % 2000) + b"x \n"),
    "flowed delsp": again(DELSP, b"a \n"),
    "flowed, wide": again(FLOWED, "> 漢 \n".encode()),
    "flowed, astral": again(FLOWED, "😀\n".encode()),
    # texts
    "empty lines": again(b"\n", b"\n"),
    "returns": again(b"\n", b"\r"),
    "crlf": again(b"\n", b"\r\n"),
    "blanks": again(b"\n", b" "),
    "one word": again(b"\n", b"x"),
    "one word of digits": noise(b"\n", b"0123456789"),
    "distinct words": counted(b"\n", lambda n: b"%x " % (n * 2654435761 % 2**32)),
    "distinct short words": counted(b"\n", lambda n: b"%x " % n),
    "distinct accents": counted(b"\n", lambda n: f"é{n:x} ".encode()),
    "distinct long accents": counted(b"\n", lambda n: f"{n:x}éäöüß".encode() * 3 + b" "),
    "one accented word": again(b"\n", "é".encode()),
    "compatibility forms": again(b"\n", "ﷺ".encode()),
    "compatibility words": counted(b"\n", lambda n: f"ﷺ{n:x} ".encode()),
    "han": again(b"\n", "漢".encode()),
    "han, different": again(b"\n", "".join(map(chr, range(0x4E00, 0x9000))).encode()),
    "astral": again(b"\n", "😀".encode()),
    "astral letters": again(b"\n", "".join(map(chr, range(0x10400, 0x10450))).encode()),
    "combining": again(b"\n", "á̧".encode()),
    "combining run": again(b"\n", "\u0301\u0327".encode()),
    "underscores": again(b"\n", b"_"),
    "rules": again(b"\n", b"____ "),
    "quotes": again(b"\n", b"> a\n"),
    "quote marks": again(b"\n", b">"),
    "attributions": again(b"\n", b"On 1 Jan Ann wrote:\n"),
    "half attributions": again(b"\n", b"On 1 Jan Ann\n"),
    "from lines": again(b"\n", b"From: x\n"),
    "invisible": again(b"\n", "\u200b".encode()),
    "soft hyphens": again(b"\n", "\u00ad".encode()),
    "nul": again(b"\n", b"\0"),
    "8 bit": again(b"\n", b"\xe9 "),
    "broken utf-8": again(b"Content-Type: text/plain; charset=utf-8\n\n", b"\xc3"),
    "latin-1 noise": noise(b"Content-Type: text/plain; charset=x\n\n", bytes(range(128, 256))),
    "western": again(b"Content-Type: text/plain; charset=x\n\n", b"a\xe9"),
    "almost western": again(b"Content-Type: text/plain; charset=x\n\n", b"a\xe9", b"\xff"),
    "utf-7": again(b"Content-Type: text/plain; charset=utf-7\n\n", b"+AGE-"),
    "utf-7 open": again(b"Content-Type: text/plain; charset=utf-7\n\n", b"+A"),
    "utf-7 astral": again(b"Content-Type: text/plain; charset=utf-7\n\n", b"+2D3eAA-"),
    "utf-7 surrogates": again(b"Content-Type: text/plain; charset=utf-7\n\n", b"+2AA-"),
    "utf-16": again(b"Content-Type: text/plain; charset=utf-16\n\n", b"a\0\n\0"),
    "utf-16 surrogates": again(b"Content-Type: text/plain; charset=utf-16\n\n", b"\0\xd8"),
    "utf-32": again(b"Content-Type: text/plain; charset=utf-32\n\n", b"\xff\xff\xff\xff"),
    "hz": again(b"Content-Type: text/plain; charset=hz\n\n", b"~{<:~}"),
    "hz broken": again(b"Content-Type: text/plain; charset=hz\n\n", b"~{\xff"),
    "iso-2022-jp": again(b"Content-Type: text/plain; charset=iso-2022-jp\n\n", b"\x1b$B%F\x1b(B"),
    "iso-2022-jp broken": again(b"Content-Type: text/plain; charset=iso-2022-jp\n\n", b"\x1b$B-!\x1b(B"),
    "iso-2022-kr broken": again(b"Content-Type: text/plain; charset=iso-2022-kr\n\n", b"\x0e\xff\x0f"),
    "gb18030 broken": again(b"Content-Type: text/plain; charset=gb18030\n\n", b"\xff\x81"),
    "gb18030": again(b"Content-Type: text/plain; charset=gb18030\n\n", b"\x90\x30\x81\x30"),
    "big5 broken": again(b"Content-Type: text/plain; charset=big5\n\n", b"\xff"),
    "charset of a part each": counted(
        MIXED, lambda n: b"--b\nContent-Type: text/plain; charset=x%d\n\n\xe9\n" % n
    ),
    "8 bit parts": counted(MIXED, lambda n: b"--b\n\n%d\xe9\xff" % n + b"\xff" * 20000 + b"\n"),
    # transfer encodings
    "base64 text": again(B64 + b"\n", b"QUJD" * 19 + b"\n"),
    "base64 junk": again(B64 + b"\n", b"QU!=\n"),
    "base64 pads": again(B64 + b"\n", b"=A"),
    "base64 pieces": again(B64 + b"\n", b"QQ==\n"),
    "base64 footers": again(B64 + b"\n", b"QUJD\n!\n"),
    "base64 strange lines": again(B64 + b"\n", b"Q!\n"),
    "base64 file, junk": again(MIXED + PART + B64 + b"\n", b"Q!\n"),
    "base64 file, pads": again(MIXED + PART + B64 + b"\n", b"Q="),
    "base64 file": noise(
        MIXED + PART + B64 + b"\n", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/", 76
    ),
    "base64 file, no lines": again(MIXED + PART + B64 + b"\n", b"QUJD"),
    "base64 file, odd lines": again(MIXED + PART + B64 + b"\n", b"QUJD\nQUJDQUJD\n"),
    "base64 parts": again(MIXED, PART + B64 + b"\nQUJD\n"),
    "base64 multipart": lambda size: (
        HEAD
        + B64
        + b"Content-Type: multipart/mixed; boundary=b\n\n"
        + base64.encodebytes(b"--bX\n" * (size * 3 // 4 // 5))
    ),
    "nested base64 multiparts": lambda size: HEAD + wrapped_again(size, 20),
    "qp": again(QP + b"\n", b"=41"),
    "qp soft": again(QP + b"\n", b"=\n"),
    "qp equals": again(QP + b"\n", b"="),
    "qp blanks": again(QP + b"\n", b" \n"),
    "qp file": again(MIXED + PART + QP + b"\n", b"=41"),
    "qp parts": again(MIXED, PART + QP + b"\n=41\n"),
    "uu": again(UU, b"#86)C\n"),
    "uu lines": again(UU, b"\n"),
    "uu bad": again(UU, b"M\xff\n"),
    "uu file": again(MIXED + PART + UU, b"#86)C\n"),
    "uu one byte": again(MIXED + PART + UU, b"!\n"),
    "uu begin": again(b"\n", b"begin 644 a\n#86)C\n"),
    "uu begin end": again(b"\n", b"begin 644 a\n#86)C\nend\n"),
    "uu begin, one": again(b"\nbegin 644 a\n", b"#86)C\n", b"end\n"),
    "uu begin, bad": again(b"\nbegin 644 a\n", b"!\n", b"end\n"),
    "uu begin, no line": again(b"\n", b"begin 644 a\n"),
    "begin ": again(b"\n", b"begin "),
    "yenc": again(YENC, b"=x\n"),
    "yenc equals": again(MIXED + PART + YENC, b"="),
    "yenc lines": again(MIXED + PART + YENC, b"\n"),
    "yenc begin": again(b"\nbegin 644 a\n#86)C\nend\n", b"=ybegin name=x\n"),
    "yenc begin end": again(b"\nbegin 644 a\n#86)C\nend\n", b"=ybegin name=x\nx\n=yend size=3\n"),
    # html
    "html tags": again(HTML, b"<b>"),
    "html paragraphs": again(HTML, b"<p>x</p>"),
    "html many pages": again(MIXED, b"--b\nContent-Type: text/html\n\n" + b"<p>x</p>" * 3000 + b"\n"),
    "html attributes": again(HTML + b"<p ", b"a=1 "),
    "html entities": again(HTML, b"&amp;"),
    "html comments": again(HTML, b"<!-- x -->"),
    "html open comments": again(HTML, b"<!--"),
    "html opens": again(HTML, b"<"),
    "html cids": again(MIXED + PART + b"Content-ID: <x>\n\nx\n--b\n" + HTML, b"cid:x "),
    "html different cids": counted(
        MIXED + PART + b"Content-ID: <x>\n\nx\n--b\n" + HTML, lambda n: b"cid:%x%%41 " % n
    ),
    "html nothing": again(b"Content-Type: multipart/alternative; boundary=b\n\n--b\n" + HTML, b"<i>"),
    "html alternatives": again(
        b"Content-Type: multipart/alternative; boundary=b\n\n",
        b"--b\nContent-Type: text/html\n\n" + b" <i>" * 6000 + b"\n",
    ),
    "enriched": again(
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/enriched\n\n", b"<b>"
    ),
    "enriched opens": again(
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/enriched\n\n", b"<"
    ),
    "html metas": again(HTML, b"<meta "),
    "html under a million": lambda size: HEAD + HTML + b"&" * 999_000,
    "html entities under a million": lambda size: HEAD + HTML + b"&lt;" * 249_000,
    "html quotes under a million": lambda size: HEAD + HTML + b'"' * 999_000,
    "html nbsp under a million": lambda size: HEAD + HTML + "\u00a0".encode() * 999_000,
    "html lt under a million": lambda size: HEAD + HTML + b"< " * 499_000,
    "html data image": lambda size: (
        HEAD + HTML + b'<img src="data:image/png;base64,' + b"A" * 990_000 + b'">'
    ),
    "html tags, 15,000": lambda size: HEAD + HTML + b"<p>x " * 14_900 + b"&amp;" * 180_000,
    "html cells": lambda size: HEAD + HTML + b"<table><tr>" + b"<td style='color:red;margin:1px'>x" * 14_900,
    "html styles": counted(HTML, lambda n: b"<p style='color:red;margin:%dpx;font-size:3px'>x" % n),
    "html styles under": lambda size: counted(
        HTML, lambda n: b"<p style='color:red;margin:%dpx;font-size:3px'>x" % n
    )(700_000),
    "html long styles": lambda size: HEAD + HTML + (b"<p style='" + b"a:b;" * 980 + b"'>") * 240,
    "html many attributes": lambda size: (
        HEAD + HTML + (b"<p " + b" ".join(b"a%d=1" % n for n in range(190)) + b">") * 850
    ),
    "html links": lambda size: counted(HTML, lambda n: b"<a href='https://x%d.example/'>x</a>" % n)(560_000),
    "html idn links": lambda size: counted(HTML, lambda n: f"<a href='https://ü{n}.example/'>x</a>".encode())(
        560_000
    ),
    "html reopened": lambda size: (
        HEAD + HTML + b"".join(b"<b class=c%d>" % n for n in range(400)) + b"<p>x" * 480
    ),
    "html nested": lambda size: HEAD + HTML + (b"<div>" * 490 + b"</div>" * 490) * 15,
    "html nested formats": lambda size: HEAD + HTML + (b"<b><i>" * 200 + b"</b></i>" * 200) * 30,
    "html blockquotes": lambda size: HEAD + HTML + (b"<blockquote>" * 400 + b"</blockquote>" * 400) * 18,
    "html spans": lambda size: HEAD + HTML + b"<span>x</span> " * 14_900,
    "html tables": lambda size: HEAD + HTML + b"<table>x" * 480,
    "html misnested table": lambda size: HEAD + HTML + b"<table>" + b"<b>x" * 10_000,
    "html pre": lambda size: HEAD + HTML + b"<pre>" + b"\n" * 990_000,
    "html pre lines": lambda size: HEAD + HTML + b"<blockquote>" * 30 + b"<pre>" + b"x\n" * 490_000,
    "html br": lambda size: HEAD + HTML + b"<blockquote>" * 30 + b"<br>" * 14_900,
    "escaped pages": again(MIXED + b"--b\nContent-Type: text/html\n\n<p>x\n--b\n\n", b'"'),
    "escaped pages, many": again(
        MIXED + b"--b\nContent-Type: text/html\n\n<p>x\n", b"--b\n\n" + b'"' * 30000 + b"\n"
    ),
    # formats inside
    "many texts": again(MIXED, b"--b\n\n" + b"All work and no play\n" * 1200),
    "many flowed": again(MIXED, b"--b\n" + FLOWED + b"\n" * 24_000),
    "many half texts": again(MIXED, b"--b\n" + FLOWED + b">\n" * (8 * MB)),
    "big texts": again(MIXED, b"--b\n\n" + b"All work and no play\n" * 700_000),
    "big texts, wide": again(MIXED, b"--b\n\n" + b"All work and no play\n" * 700_000 + "😀\n".encode()),
    "big alternatives": again(
        b"Content-Type: multipart/alternative; boundary=b\n\n",
        b"--b\n\n" + b"All work and no play\n" * 700_000,
    ),
    "calendars": again(
        MIXED,
        b"--b\nContent-Type: text/calendar\n\n"
        + b"BEGIN:VEVENT\nSUMMARY:x\nDTSTART:20260101T000000Z\nEND:VEVENT\n" * 300,
    ),
    "calendar lines": again(MIXED, b"--b\nContent-Type: text/calendar\n\n" + b"A:B\n" * 19_000),
    "calendar folds": again(MIXED, b"--b\nContent-Type: text/calendar\n\n" + b"A:B\n " * 190_000 + b"\n"),
    "calendar parameters": again(
        MIXED,
        b"--b\nContent-Type: text/calendar\n\nBEGIN:VEVENT\nATTENDEE" + b";A=B" * 4900 + b":x\nEND:VEVENT\n",
    ),
    "calendar attendees": again(
        MIXED,
        b"--b\nContent-Type: text/calendar\n\n"
        + (b"BEGIN:VEVENT\n" + b"ATTENDEE;CN=a:mailto:b@c\n" * 200 + b"END:VEVENT\n") * 50,
    ),
    "events": counted(
        MIXED,
        lambda n: (
            b"--b\nContent-Type: text/calendar\n\n"
            + b"".join(b"BEGIN:VEVENT\nUID:%d-%d\nEND:VEVENT\n" % (n, k) for k in range(50))
        ),
    ),
    "enclosed letters": again(
        MIXED, b"--b\nContent-Type: message/rfc822\n\nSubject: " + b"=?utf-8?q?=41?= " * 1500 + b"\n\nx\n"
    ),
    "rfc822 chain": again(b"", b"Content-Type: message/rfc822\n\n"),
    "enclosed base64": again(
        MIXED, b"--b\nContent-Type: message/rfc822\n" + B64 + b"\n" + b"QUJD" * 6000 + b"\n"
    ),
    "tnef": lambda size: HEAD + TNEF + SIGNATURE + attribute(0x00018010, b"x") * (size // 12),
    "tnef files": lambda size: (
        HEAD + TNEF + SIGNATURE + (attribute(0x00069002, b"") + attribute(0x0006800F, b"xx")) * (size // 26)
    ),
    "tnef body": lambda size: HEAD + TNEF + SIGNATURE + attribute(0x0002800C, b"x\r\n" * (size // 3)),
    "tnef base64": lambda size: (
        HEAD + B64 + TNEF + base64.encodebytes(SIGNATURE + attribute(0x0006800F, b"x" * (size * 3 // 4)))
    ),
    "tnef properties": lambda size: (
        HEAD
        + TNEF
        + SIGNATURE
        + attribute(0x00069003, struct.pack("<I", 5000) + struct.pack("<HHII", 0x1E, 0x1000, 1, 0) * 5000)
        * (size // 60_000)
    ),
    "tnef texts": lambda size: (
        HEAD
        + TNEF
        + SIGNATURE
        + (
            attribute(
                0x00069003,
                struct.pack("<I", 1) + struct.pack("<HHI", 0x1E, 0x1000, 5000) + struct.pack("<I", 4) * 10000,
            )
            * (size // 40_020)
        )
    ),
    "tnef files' names": lambda size: (
        HEAD
        + TNEF
        + SIGNATURE
        + attribute(0x00069002, b"")
        + attribute(
            0x00069005, struct.pack("<I", 5000) + struct.pack("<HHII", 0x1E, 0x3707, 1, 4) + b"abcd" * 1
        )
        * 1
        + attribute(
            0x00069005,
            struct.pack("<I", 5000) + (struct.pack("<HHII", 0x1E, 0x3707, 1, 4) + b"ab\xe9d") * 5000,
        )
        * (size // 80_020)
    ),
    "tnef html": lambda size: (
        HEAD
        + TNEF
        + SIGNATURE
        + attribute(0x00069003, struct.pack("<IHHII", 1, 0x102, 0x1013, 1, 7_000_000) + b"\xe9" * 7_000_000)
        * (size // 7_000_030)
    ),
    "tnef many": again(
        MIXED,
        b"--b\n" + TNEF + SIGNATURE + compressed_rtf(0x414C454D, b"{\\rtf1" + b"\\'e9\\par " * 3000) + b"\n",
    ),
    "rtf bytes": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x414C454D, b"{\\rtf1" + b"\\'e9\\par " * 400_000)
    ),
    "rtf words": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x414C454D, b"{\\rtf1" + b"\\u9999" * 600_000)
    ),
    "rtf braces": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x414C454D, b"{\\rtf1" + b"{\\uc3}" * 600_000)
    ),
    "rtf signs": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x414C454D, b"{\\rtf1" + b"\\~a" * 1_300_000)
    ),
    "lzfu references": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x75465A4C, (b"\xff" + b"\x00\x10" * 8) * 400_000)
    ),
    "lzfu signs": lambda size: (
        HEAD + TNEF + SIGNATURE + compressed_rtf(0x75465A4C, (b"\x01" + b"\x00\x10" + b"abcdefg") * 400_000)
    ),
    "lzfu many": again(
        MIXED,
        b"--b\n" + TNEF + SIGNATURE + compressed_rtf(0x75465A4C, (b"\xff" + b"\x01\x1f" * 8) * 1000) + b"\n",
    ),
}
