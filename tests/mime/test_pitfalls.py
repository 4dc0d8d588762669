"""The twenty pitfalls of reading mail, each with literal letters. The number is the pitfall's."""

import base64
from datetime import UTC, datetime

import pytest

from postern.mime.read import Letter, part_bytes, read


def letter(head: str | bytes, body: str | bytes = b"", *, separator: bytes = b"\r\n\r\n") -> Letter:
    """A letter from literal text; line ends become CRLF."""
    head = head.encode() if isinstance(head, str) else head
    body = body.encode() if isinstance(body, str) else body
    return read((head + separator + body).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


# 1. RFC 2047

SUBJECTS = [
    ("plain", "plain"),
    ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
    ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
    # one character split across two words of the same charset
    ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
    ("=?utf-8?b?w7w=?=\n =?utf-8?b?w7w=?=", "üü"),
    ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
    ("=?iso-8859-1?q?a?= =?utf-8?q?b?=", "ab"),
    ("=?utf-8?q?with space inside?=", "with space inside"),
    ("=?utf-8?Q?raw_ü?=", "raw ü"),
    ("=?utf-8?b?YWJj?=", "abc"),
    ("=?utf-8?b?YWI?=", "ab"),  # padding missing
    ("=?utf-8?b?YWJjZ?=", "abc"),  # one stray sign
    ("=?utf-8*en?q?hello?=", "hello"),
    ("=?utf-8?q?a=0D=0ABcc:_x@y?=", "a Bcc: x@y"),
    ("=?utf-8?q?nul=00gone?=", "nulgone"),
    ("=?x-made-up?q?=E9t=E9?=", "été"),
    ("=?zip?b?eJwDAAAAAAE=?=", None),
    ("=?utf-8?q?never closed", "=?utf-8?q?never closed"),
    ("=?utf-8?x?what?=", "=?utf-8?x?what?="),
    ("Re: =?utf-8?q?=F0=9F=98=80?=!", "Re: 😀!"),
    ("=?utf-8?q??=", ""),
    # many words of one kind: a character cut in two, an escape cut in two, a blank that is text, a charset that changes
    ("=?utf-8?q?a=C3?=\n " + "=?utf-8?q?=BC_=C3?=\n " * 6 + "=?utf-8?Q?=9F?= b", "aü ü ü ü ü ü ß b"),
    ("=?utf-8?q?a=?= =?utf-8?q?41?= " * 4, "a=41a=41a=41a=41"),
    ("=?utf-8?q?a=4?= =?utf-8?q?1?= " * 4, "a=41a=41a=41a=41"),
    ("=?utf-8?q?a=3D=?= =?utf-8?q?=41?= " * 4, "a==Aa==Aa==Aa==A"),
    ("=?utf-8?q?a?= =?utf-8?q?b?= - " * 4, "ab - ab - ab - ab -"),
    ("=?utf-8?q?=C3=A9?= =?iso-8859-1?q?=E9?= " * 4, "éééééééé"),
    ("=?utf-8?q?YQ=?= =?utf-8?b?YQ==?= " * 4, "YQ=aYQ=aYQ=aYQ=a"),
    ("=?iso-2022-jp?b?GyRCJUYlOSVIGyhC?=", "テスト"),
    ("=?iso-2022-jp?B?GyRCJygnJS1iGyhCNDEgGyRCJ2AnZBsoQiAyOC4wOS4yMDE2?=", "ЖД№41 от 28.09.2016"),
]


@pytest.mark.parametrize(("header", "expected"), SUBJECTS)
def test_01_encoded_words(header: str, expected: str | None) -> None:
    subject = letter(f"Subject: {header}\nFrom: a@b.c").subject
    if expected is not None:
        assert subject == expected
    assert not set(subject) & set("\r\n\0")


def test_01_word_inside_quoted_string_and_filename() -> None:
    found = letter(
        'From: "=?utf-8?q?M=C3=BCller?=" <m@x.de>\nContent-Type: application/pdf\n'
        'Content-Disposition: attachment; filename="=?utf-8?q?=C3=BC.pdf?="'
    )
    assert found.from_[0].name == "Müller"
    assert found.parts[0].filename == "ü.pdf"


# 2. Tokenise first, decode after

PEOPLE = [
    ("=?utf-8?q?a=40x=2Ec=2C_b?= <c@d.org>", [("a@x.c, b", "c@d.org")]),
    ('"a@b" <c@d.org>', [("a@b", "c@d.org")]),
    ("a@b.org, Bob <c@d.org>", [("", "a@b.org"), ("Bob", "c@d.org")]),
    ("a@b.org; c@d.org", [("", "a@b.org"), ("", "c@d.org")]),
    ("Friends: a@b.org, c@d.org;, e@f.org", [("", "a@b.org"), ("", "c@d.org"), ("", "e@f.org")]),
    ("undisclosed-recipients:;", []),
    ("a@b.org (Ann (the first))", [("Ann (the first)", "a@b.org")]),
    ("Ann <a@b.org", [("Ann", "a@b.org")]),
    ("Ann a@b.org", [("Ann", "a@b.org")]),
    ("<@relay.org,@other.org:a@b.org>", [("", "a@b.org")]),
    ("<a@b.org> <c@d.org>", [("", "a@b.org"), ("", "c@d.org")]),
    ('"odd local"@b.org', [("", '"odd local"@b.org')]),
    ('"Bob <b@x.org>" <e@evil.org>', [("Bob <b@x.org>", "e@evil.org")]),
    ('"a\\"b, c" <d@e.org>', [('a"b, c', "d@e.org")]),
    ('To: "', []),
    ("", []),
    (",,;", []),
]


@pytest.mark.parametrize(("header", "expected"), PEOPLE)
def test_02_addresses(header: str, expected: list[tuple[str, str]]) -> None:
    found = letter(f"To: {header}\nSubject: x").to
    if header == 'To: "':
        assert all("@" not in person.address for person in found)
    else:
        assert [(person.name, person.address) for person in found] == expected


def test_02_many_recipients() -> None:
    found = letter("To: " + ",\n ".join(f"p{n}@x.org" for n in range(10_000)))
    assert len(found.to) == 10_000
    assert found.to[-1].address == "p9999@x.org"


# 3. RFC 2231 and file names

NAMES = [
    ("filename*0*=utf-8''%C3%BC;\n filename*1=\"b.txt\"", "üb.txt"),
    ("filename*1=b.txt; filename*0=a", "ab.txt"),
    ("filename*0=a; filename*2=c.txt", "ac.txt"),
    ("filename*=%C3%BC.txt", "ü.txt"),
    ("filename=\"plain.txt\"; filename*=utf-8''%C3%BC.txt", "ü.txt"),
    ("filename*=iso-8859-1'en'%FC.txt", "ü.txt"),
    ('filename="../../etc/passwd"', "passwd"),
    ('filename="C:\\\\temp\\\\a.exe"', "a.exe"),
    ('filename="a\u202ecod.exe"', "acod.exe"),
    ('filename="\u200b.htaccess"', "htaccess"),
    ("filename*=utf-8''a%00%0d%0ab.txt", "a b.txt"),
    ("filename=bare name.txt", "bare name.txt"),
]


@pytest.mark.parametrize(("parameter", "expected"), NAMES)
def test_03_file_names(parameter: str, expected: str) -> None:
    found = letter(f"Content-Type: application/x-thing\nContent-Disposition: attachment; {parameter}")
    assert found.parts[0].filename == expected


def test_03_a_named_part_of_a_nonsense_type_is_a_file() -> None:
    (part,) = letter('Content-Type: application-x-gzip; name="a.gz"', "x").parts
    assert (part.filename, part.content_type) == ("a.gz", "application/octet-stream")


def test_03_name_on_content_type_and_length() -> None:
    assert letter("Content-Type: image/png; name=a.png").parts[0].filename == "a.png"
    long = letter("Content-Type: image/png; name=" + "ü" * 400 + ".png").parts[0].filename
    assert len(long.encode()) <= 255 and long.endswith(".png")


# 4. 8-bit headers


def test_04_raw_utf8_latin1_and_body_charset() -> None:
    assert letter("Subject: Grüße").subject == "Grüße"
    assert letter("Subject: Grüße aus Köln".encode("latin-1")).subject == "Grüße aus Köln"
    cyrillic = "Subject: Привет, мир\nContent-Type: text/plain; charset=koi8-r".encode("koi8-r")
    assert letter(cyrillic).subject == "Привет, мир"


def test_04_no_surrogates_no_nul() -> None:
    found = letter(b"Subject: a\x00\xff\xfeb\nFrom: \xed\xa0\x80 <a@b.c>", b"x\x00y\xed\xa0\x80")
    for value in (found.subject, found.from_[0].name, found.text):
        assert "\0" not in value
        value.encode("utf-8")


# 5. Charset names lie

CHARSETS = [
    ("iso-8859-1", b"\x93quoted\x94 \x80", "“quoted” €"),
    ("us-ascii", b"\x80uro", "€uro"),
    ("iso-8859-1", "wirklich utf-8: ü".encode(), "wirklich utf-8: ü"),
    ("gb2312", "镕".encode("gb18030"), "镕"),
    ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
    ("shift_jis", "①".encode("cp932"), "①"),
    ("iso-8859-8-i", "שלום".encode("iso8859-8"), "שלום"),
    ("cp-850", "ü".encode("cp850"), "ü"),
    ("utf-8mb4", "ü".encode(), "ü"),
    ('"utf-8"', "ü".encode(), "ü"),
    ("default", "ü".encode(), "ü"),
    ("x-unknown", "ü".encode(), "ü"),
    ("utf-7", b"+APw-", "ü"),
]
NOT_TEXT = ["zip", "rot13", "idna", "unicode_escape", "base64", "undefined", "mbcs", "../../x", "punycode"]


@pytest.mark.parametrize(("name", "data", "expected"), CHARSETS)
def test_05_charsets(name: str, data: bytes, expected: str) -> None:
    assert letter(f"Content-Type: text/plain; charset={name}", data).text == expected


@pytest.mark.parametrize("name", NOT_TEXT)
def test_05_codecs_that_are_not_text(name: str) -> None:
    assert letter(f"Content-Type: text/plain; charset={name}", b"cafe\\u0041 =41").text == "cafe\\u0041 =41"


# 6. No charset


def test_06_meta_bom_and_fallback() -> None:
    page = b'<meta charset="koi8-r"><p>' + "Привет".encode("koi8-r")
    assert "Привет" in letter("Content-Type: text/html", page).html
    lying = b'<meta charset="utf-16"><p>' + "Grüße".encode()
    assert "Grüße" in letter("Content-Type: text/html", lying).html
    marked = b"\xef\xbb\xbf" + "ü".encode()
    assert letter("Content-Type: text/plain; charset=koi8-r", marked).text == "ü"
    assert letter("Subject: x", "Überraschung für Köln, schöne Grüße".encode("cp1252")).text.startswith(
        "Überr"
    )
    for text, charset in (("Intel® in Köln, größer: Nägel™.", "cp1252"), ("привет® мир, как дела", "cp1251")):
        assert letter("Subject: x", text.encode(charset)).text == text


# 7. Boundaries


def parts_of(body: str, boundary: str = "b", *, quote: str = '"') -> Letter:
    return letter(f"Content-Type: multipart/mixed; boundary={quote}{boundary}{quote}", body)


TEXT = "Content-Type: text/plain\n\n"
BOUNDARIES = [
    ("ordinary", f"preamble\n--b\n{TEXT}one\n--b\n{TEXT}two\n--b--\nepilogue", ["one", "two"]),
    ("trailing space", f"--b  \n{TEXT}one\n--b-- \n", ["one"]),
    (
        "prefix of another",
        f"--bb\n{TEXT}no\n--b\n{TEXT}one\n--bb\nstill one\n--b--",
        ["one\n--bb\nstill one"],
    ),
    ("no closing", f"--b\n{TEXT}one\n--b\n{TEXT}two\n", ["one", "two"]),
    ("parts after closing", f"--b\n{TEXT}one\n--b--\n--b\n{TEXT}two\n--b--", ["one", "two"]),
    ("no empty line", "--b\nContent-Type: text/plain\n--b\n\ntwo\n--b--", ["two"]),
    ("in mid-line", f"--b\n{TEXT}one --b two\n--b--", ["one --b two"]),
]


@pytest.mark.parametrize(("name", "body", "expected"), BOUNDARIES)
def test_07_boundaries(name: str, body: str, expected: list[str]) -> None:
    assert parts_of(body).text == "\n".join(expected)


def test_07_a_part_may_begin_with_an_empty_line() -> None:
    found = letter(
        "Content-Type: multipart/digest; boundary=b",
        "--b\n\nSubject: inner\n\nx\n--b\n\nFrom: a@b.c\n\ny\n--b--",
    )
    assert [(part.filename, part.content_type) for part in found.parts] == [
        ("inner.eml", "message/rfc822"),
        ("letter.eml", "message/rfc822"),
    ]
    assert parts_of("--b\n\nnot: a header\n\ntext\n--b--").text == "not: a header\n\ntext"
    assert letter("Content-Type: multipart/*; boundary=b", "--b\n\none\n--b--").text == "one"


def test_07_missing_empty_and_wrong_boundary() -> None:
    body = f"--other\n{TEXT}one\n--other--\n"
    for header in ("multipart/mixed", 'multipart/mixed; boundary=""', "multipart/mixed; boundary=wrong"):
        found = letter(f"Content-Type: {header}", body)
        assert (found.text, "boundary guessed" in found.defects) == ("one", True)
    assert letter("Content-Type: multipart/mixed", "only text").text == "only text"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_07_line_ends(end: bytes) -> None:
    lines = [
        "Subject: s",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "one",
        "--b",
        "",
        "two",
        "--b--",
    ]
    raw = end.join(line.encode() for line in lines)
    found = read(raw)
    assert (found.subject, found.text) == ("s", "one\ntwo")


def test_07_mixed_line_ends() -> None:
    found = read(
        b"Subject: s\nTo: a@b.c\r\nContent-Type: multipart/mixed; boundary=b\n\r\n--b\n\none\r\n--b--"
    )
    assert (found.subject, found.text) == ("s", "one")


def test_07_no_empty_line_between_headers_and_body() -> None:
    found = read(b"Subject: s\nFrom: a@b.c\nHello, this is the text.\nBye")
    assert (found.subject, found.text) == ("s", "Hello, this is the text.\nBye")


def test_07_broken_header_line_between_headers() -> None:
    found = read(b"Subject: long\nsubject went on here\nFrom: a@b.c\n\nbody")
    assert (found.from_[0].address, found.text) == ("a@b.c", "body")
    assert "header line without a name" in found.defects


# 8. Transfer encodings

B64 = base64.b64encode(b"The quick brown fox jumps over the lazy dog. " * 3)
BODIES = [
    ("base64", b"aGVsbG8=", "hello"),
    ("base64", b"aGVsbG8", "hello"),
    ("base64", b"aGVs!!bG8=", "hello"),
    ("base64", b"aGVs\nbG8=\n\n____________\nThe list, see http://x.org\n", "hello"),
    ("base64", b"aGVsbG8=\naGVsbG8=", "hellohello"),
    ("quoted-printable", b"a=3Db =\nc", "a=b c"),
    ("quoted-printable", b"100% = done", "100% = done"),
    ("quoted-printable", b"soft break at the end=", "soft break at the end"),
    ("quoted-printable (a comment)", b"=41", "A"),
    ("8bits", b"as it is =41", "as it is =41"),
    ("x-nonsense", b"as it is", "as it is"),
    ("BASE64", b"aGVsbG8=", "hello"),
]


@pytest.mark.parametrize(("encoding", "body", "expected"), BODIES)
def test_08_transfer_encodings(encoding: str, body: bytes, expected: str) -> None:
    assert letter(f"Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}", body).text == expected


def test_08_multipart_in_base64() -> None:
    inner = b"--b\r\nContent-Type: image/png; name=a.png\r\n\r\nPNG\r\n--b\r\n\r\ntext\r\n--b--"
    raw = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw += base64.encodebytes(inner)
    found = read(raw)
    assert found.text == "text"
    assert part_bytes(raw, found.parts[0]) == b"PNG"


# 9. How letters begin, and headers that come twice

STARTS = [b"From x@y Mon Jan 1\n", b">From x@y Mon Jan 1\n", b"\xef\xbb\xbf", b"\n\r\n\n"]


@pytest.mark.parametrize("start", [*STARTS, b" ", b" \t \r\n"])
def test_09_strange_starts(start: bytes) -> None:
    found = read(start + b"Subject: s\nFrom: a@b.c\n\nbody")
    assert (found.subject, found.text) == ("s", "body")


def test_09_no_headers_at_all() -> None:
    found = read(b"just a text\nof two lines")
    assert (found.text, found.subject, found.from_) == ("just a text\nof two lines", "", ())
    assert "no headers" in found.defects
    assert read(b"") == Letter(defects=("no headers",))


@pytest.mark.rule("S-046")
def test_09_duplicates_use_the_first() -> None:
    found = letter(
        "From: a@b.c\nFrom: e@vil.org\nSubject: one\nSubject: two\nDate: 1 Jan 2020 00:00 +0000\nDate: x"
    )
    assert (found.from_[0].address, found.subject, found.date) == (
        "a@b.c",
        "one",
        datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert "several From headers" in found.defects and "duplicate Subject" in found.defects
