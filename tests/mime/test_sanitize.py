"""S-001 to S-005, S-007 to S-009, S-014, S-015, S-022: what leaves the sanitiser is on the allow-list and nothing else."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.mime.links import safe_link
from postern.mime.sanitize import SANITIZER_VERSION, sanitize, text_from_html
from postern.mime.styles import clean_style
from tests.mime.hostile import HOSTILE

TAGS = set(
    "a abbr acronym address b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em "  # noqa: SIM905
    "figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub "
    "sup table tbody td tfoot th thead tr tt u ul var wbr".split()
)
ATTRIBUTES = set(
    "style dir lang title align href src alt width height border hspace vspace cellpadding cellspacing bgcolor valign "  # noqa: SIM905
    "colspan rowspan nowrap span color face size start type value rel target".split()
)
LINK = re.compile(r"(?:https?://[^/?#\\@\s]+(?:[/?#].*)?|mailto:.*|tel:.*)", re.DOTALL)
SOURCE = re.compile(r"cid:.+|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
BAD_STYLE = re.compile(
    r"url|image|expression|var\(|attr\(|@|\\|/\*|position|binding|behavior|margin[^;]*:[^;]*-\d", re.I
)


class Auditor(HTMLParser):
    """A second parser that reads the output and refuses everything not expected."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, (tag, name)
            if name == "href":
                assert LINK.fullmatch(value or ""), value
                assert (value or "").isprintable()
            if name == "src":
                assert SOURCE.fullmatch(value or ""), value
            if name == "style":
                assert not BAD_STYLE.search(value or ""), value
        if tag == "a":
            assert dict(attrs)["target"] == "_blank"
            assert dict(attrs)["rel"] == "noopener noreferrer nofollow"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def audit(html: str) -> str:
    clean = sanitize(html)
    auditor = Auditor()
    auditor.feed(clean.html)
    auditor.close()
    again = sanitize(clean.html)
    assert again.html == clean.html
    assert again.remote_images == 0
    return clean.html


@pytest.mark.parametrize("payload", HOSTILE)
def test_s001_s015_hostile_payloads(payload: str) -> None:
    for wrapped in (
        payload,
        f"<div><p>before{payload}after</p></div>",
        f"<table><tr><td>{payload}</td></tr></table>",
    ):
        audit(wrapped)
    loads = re.search(
        r"(?:src|srcset|background|poster|data|cite|ping)=\W?(?:https?:)?//evil|url\(", audit(payload)
    )
    assert loads is None


def test_s001_there_are_enough_payloads() -> None:
    assert len(HOSTILE) >= 80


PIECES = st.sampled_from(
    "<b> </b> <p> </p> <a href=https://x.org> </a> <table> </table> <tr> <td> </td> <svg> </svg> <math> <mtext> "  # noqa: SIM905
    "<mglyph> <style> </style> <select> <option> </select> <noscript> </noscript> <template> </template> <form> "
    "</form> <!-- --> <title> </title> <li> <ul> </ul> <h1> <pre> <font> </font> <annotation-xml> <img/src=cid:a> "
    "<div/style=color:red;background:url(x)> </div> <script> </script> \" ' > < & x &lt; &#60; ]]> <![CDATA[".split()
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_s003_any_nesting_is_a_fixed_point(html: str) -> None:
    audit(html)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="<>/=\"' \t\n&;#x!-ab\x00\ud800javscript:", max_size=60))
def test_s002_any_text_is_a_fixed_point(html: str) -> None:
    audit(html)


KEPT = [
    ("<b>x</b>", "<b>x</b>"),
    ("<p style='color: red; font-size:12px'>x</p>", '<p style="color:red;font-size:12px">x</p>'),
    ("<p style='background:#fff'>x</p>", '<p style="background-color:#fff">x</p>'),
    ("<td bgcolor='#eee' width='50%'>", ""),
    ("<table width='600'><tr><td bgcolor='#eee'>x", None),
    ("<img src='cid:a@b' alt='logo' width='10'>", '<img src="cid:a@b" alt="logo" width="10">'),
    ("<img src='data:image/png;base64,iVBORw=='>", '<img src="data:image/png;base64,iVBORw==">'),
    ("a < b &amp; c", "a &lt; b &amp; c"),
]


@pytest.mark.parametrize(("html", "expected"), KEPT)
def test_ordinary_mail_keeps_its_look(html: str, expected: str | None) -> None:
    clean = sanitize(html).html
    if expected is not None:
        assert clean == expected
    else:
        assert 'width="600"' in clean and 'bgcolor="#eee"' in clean


LINKS = [
    ("https://x.org/a?b=c#d", "https://x.org/a?b=c#d"),
    ("//x.org/a", "https://x.org/a"),
    ("HTTP://X.org", "http://x.org"),
    (" https://x.org ", "https://x.org"),
    ("https://b\u00fccher.de/", "https://xn--bcher-kva.de/"),
    ("https://ex\u0430mple.com", "https://xn--exmple-4nf.com"),
    ("https://x.org:8080/", "https://x.org:8080/"),
    ("mailto:a@b.org?subject=x", "mailto:a@b.org?subject=x"),
    ("tel:+43-1-123", "tel:+43-1-123"),
    ("https://x.org/a b", "https://x.org/a%20b"),
    ("https://", None),
    ("https://a@b.org/", None),
    ("https:///x.org", None),
    ("javascript:alert(1)", None),
    ("x.org", None),
    ("/x", None),
    ("#x", None),
    ("", None),
    ("https://x.org/" + "a" * 9000, None),
]


@pytest.mark.parametrize(("value", "expected"), LINKS)
def test_s014_links(value: str, expected: str | None) -> None:
    assert safe_link(value) == expected


STYLES = [
    ("color:red", "color:red"),
    ("COLOR : Red ; ; font-weight:bold", "color:Red;font-weight:bold"),
    ("font-family:'Segoe UI', Arial", "font-family:'Segoe UI', Arial"),
    ("color:rgb(1, 2, 3)", "color:rgb(1, 2, 3)"),
    ("margin:0 auto", "margin:0 auto"),
    ("margin:-1px", None),
    ("font:12px/1.5 Arial", "font:12px/1.5 Arial"),
    ("background:#fff url(x)", None),
    ("background-color:#fff", "background-color:#fff"),
    ("display:none", "display:none"),
    ("display:contents", None),
    ("position:fixed;color:red", "color:red"),
    ("color:re\\d", None),
    ("width:calc(100% + 1px)", None),
    ("color:red" + " " * 4000, None),
]


@pytest.mark.parametrize(("style", "expected"), STYLES)
def test_styles(style: str, expected: str | None) -> None:
    assert clean_style(style) == expected


def test_images_are_rewritten_only_through_our_functions() -> None:
    html = '<img src="cid:a"><img src="cid:b"><img src="https://x.org/p.png">'
    clean = sanitize(html, cid_url=lambda cid: f"/part/{cid}" if cid == "a" else None)
    assert clean.html == '<img src="/part/a"><img><img>'
    assert clean.remote_images == 1
    consented = sanitize(html, remote_url=lambda url: "/proxy?u=1")
    assert consented.html == '<img src="cid:a"><img src="cid:b"><img src="/proxy?u=1">'


def test_remote_images_are_counted_once_each() -> None:
    html = (
        '<img src="https://x.org/1.png"><img src="https://x.org/1.png"><img src="//x.org/2.png">'
        '<table background="http://x.org/3"><tr><td style="background:url(http://x.org/4)">x</td></tr></table>'
    )
    assert sanitize(html).remote_images == 4


def test_version_is_stored_with_the_result() -> None:
    assert isinstance(SANITIZER_VERSION, int) and SANITIZER_VERSION > 0


TEXTS = [
    ("<p>one</p><p>two</p>", "one\n\ntwo"),
    ("one<br>two", "one\ntwo"),
    ("<div>a</div><div>b</div>", "a\nb"),
    ("<ul><li>x</li><li>y</li></ul>", "- x\n- y"),
    ("<blockquote><p>said</p></blockquote>answer", "> said\n\nanswer"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
    ("<pre>a\n  b</pre>", "a\n  b"),
    ("<p>a   \n b</p>", "a b"),
    ('<p style="display:none">hidden<b>too</b></p>shown', "shown"),
    ("a &lt;b&gt; &amp; c", "a <b> & c"),
    ('<img src="cid:x" alt="Logo">', "Logo"),
    ("", ""),
]


@pytest.mark.parametrize(("html", "expected"), TEXTS)
def test_text_from_html(html: str, expected: str) -> None:
    assert text_from_html(sanitize(html).html) == expected


def test_text_from_html_with_links() -> None:
    clean = sanitize('<a href="https://x.org/long">here</a> <a href="https://x.org/">x.org</a>').html
    assert text_from_html(clean, links=True) == "here <https://x.org/long> x.org"


def test_text_from_html_reads_attributes_one_by_one() -> None:
    tricky = """<p title=' style="display:none" '>a</p><p title=" style='display:none' ">b</p><img alt="x > y" title=">">"""
    assert text_from_html(sanitize(tricky).html) == "a\n\nb\n\nx > y"
    assert (
        text_from_html(sanitize("<p style='display:none' title='x'>a</p>&lt;b&gt; &amp;amp;").html)
        == "<b> &amp;"
    )


class Signs(HTMLParser):
    """Everything that is text, by the standard library's own reading of html."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_data(self, data: str) -> None:
        self.found += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += "- " * (tag == "li") + (dict(attrs).get("alt") or "" if tag == "img" else "")


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_text_from_html_loses_no_sign(html: str) -> None:
    clean = re.sub(' style="[^"]*"', "", sanitize(html).html).replace("blockquote", "div")
    signs = Signs()
    signs.feed(clean)
    signs.close()
    assert "".join(text_from_html(clean).split()) == "".join(signs.found.split())


def test_lone_surrogates_are_replaced_before_the_wash() -> None:
    assert sanitize("<p>a\ud800b").html == sanitize("<p>a\ufffdb").html == "<p>a\ufffdb</p>"
