"""Addresses compared, and addresses typed by people (S-046: what the person saw is where it goes)."""

import pytest

from postern.mime.addresses import (
    Mailaddr,
    domain_of,
    normalise,
    parse_addresses,
    strict_address,
)

NORMAL = [
    ("Ann@Example.ORG", "ann@example.org"),
    (" <ann@example.org> ", "ann@example.org"),
    ("ann@bücher.de", "ann@xn--bcher-kva.de"),
    ("ann@BÜCHER.de.", "ann@xn--bcher-kva.de"),
    ("ann@localhost", "ann@localhost"),
    ('"ann"@example.org', "ann@example.org"),
    ("ann+tag@example.org", "ann+tag@example.org"),
    ("jörg@example.org", "jörg@example.org"),
    ("", ""),
    ("ann", ""),
    ("@example.org", ""),
    ("ann@", ""),
    ("ann@exa mple.org", ""),
    ("ann@-x.org", ""),
    ("ann@x..org", ""),
    ('"a@evil.com x"@good.tld', ""),
    ("a@b@c.org", ""),
    ("ann\u200b@example.org", ""),
    ("a" * 65 + "@x.org", ""),
    ("ann@" + "x" * 300 + ".org", ""),
    ("ann@x.org\r\nBcc: b@c.d", ""),
]


@pytest.mark.parametrize(("text", "expected"), NORMAL)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected
    assert normalise(expected) == expected
    assert domain_of(text) == expected.rpartition("@")[2]


TYPED = [
    ("ann@example.org", Mailaddr("", "ann@example.org")),
    (" Ann Lee <Ann@Example.org> ", Mailaddr("Ann Lee", "Ann@example.org")),
    ('"Lee, Ann" <ann@example.org>', Mailaddr("Lee, Ann", "ann@example.org")),
    ("Jörg <j@bücher.de>", Mailaddr("Jörg", "j@xn--bcher-kva.de")),
    ("ann@x.org <ann@x.org>", Mailaddr("ann@x.org", "ann@x.org")),
]


@pytest.mark.parametrize(("text", "expected"), TYPED)
def test_typed(text: str, expected: Mailaddr) -> None:
    assert strict_address(text) == expected


REFUSED = [
    "",
    "   ",
    "ann",
    "ann@",
    "@x.org",
    "ann lee@x.org",
    "ann@x.org\r\nBcc: b@c.d",
    "ann@x.org\n",
    "ann@x.org\0",
    "Ann\r\nX: 1 <ann@x.org>",
    "ann@x.org> SIZE=1",
    "a@x.org, b@x.org",
    "a@x.org; b@x.org",
    "<a@x.org> <b@x.org>",
    "a@x.org <b@x.org>",
    '"a@evil.com x"@good.tld',
    '"Bob <b@x.org>" <e@evil.org>',
    "Group: a@x.org;",
    "ann@x.org (comment)",
    "ann@@x.org",
    ".ann@x.org",
    "an..n@x.org",
    "jörg@x.org",
    "ann@x_y.org",
    "ann@[127.0.0.1]",
    "ann\u200b@x.org",
    "\u202eann@x.org",
    "ann>",
]


@pytest.mark.parametrize("text", REFUSED)
def test_s042_s044_s046_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        strict_address(text)
    assert str(refusal.value).endswith((".", "one by one."))
    assert not set(str(refusal.value)) & set("\r\n\0")


def test_decoded_names_never_make_recipients() -> None:
    header = "=?utf-8?b?IiwgZXZpbEB4Lm9yZywgIg==?= <good@x.org>"
    assert parse_addresses(header) == [Mailaddr('", evil@x.org, "', "good@x.org")]
