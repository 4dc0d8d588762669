"""S-043: what a letter hides in encoded words adds no header to the answer or the forward of it."""

import io
import re
from base64 import b64encode
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string, policy
from email.generator import BytesGenerator, Generator
from email.message import Message as Parsed

import pytest

from postern.mail.access import viewing_as
from postern.mime.addresses import Mailaddr
from postern.mime.read import read
from postern.mime.write import write
from postern.outbox import compose

from .conftest import arrive
from .test_compose import sent

OURS = {
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
}
OF_A_PART = {"content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version"}

Q = "=?utf-8?q?x=0D=0ABcc:_thief=0D=0A=0D=0Abody?="
LF = "=?UTF-8?Q?=0ABcc:_thief?="
CR = "=?utf-8?q?x=0DBcc:_thief?="
B = "=?utf-8?b?" + b64encode(b"x\r\nBcc: thief").decode() + "?="
ODD = "=?utf-8?q?x=C2=85Bcc:_thief?= =?utf-8?q?=E2=80=A8Bcc:_thief?="
UTF7 = "=?utf-7?q?x+AA0ACg-Bcc:_thief?="
UTF16 = "=?utf-16be?b?" + b64encode("x\r\nBcc: thief".encode("utf-16-be")).decode() + "?="
TWICE = "=?utf-8?q?=3D=3Futf-8=3Fq=3F=0D=0ABcc:_thief=3F=3D?="
WORDS = {"q": Q, "lf": LF, "cr": CR, "b": B, "odd": ODD, "utf-7": UTF7, "utf-16": UTF16, "twice": TWICE}


def hostile(word: str) -> bytes:
    """A letter with that word wherever an answer or a forward may take something from."""
    percent = "".join(f"%{byte:02X}" for byte in b"x\r\nBcc: thief")
    return (
        f"From: {word} <daniel@hoffmann.example>\r\n"
        f"Reply-To: {word} <office@hoffmann.example>\r\n"
        f"To: Marta <marta@northlink.example>, {word} <paul@hoffmann.example>\r\n"
        f'Cc: "{word}" <cc@hoffmann.example>\r\n'
        f"Subject: {word}\r\n"
        "Date: Mon, 23 Nov 2026 09:00:00 +0000\r\n"
        f"Message-ID: <{word}@hoffmann.example>\r\n"
        f"References: <first@northlink.example> <{word}@x.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        f'--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>See</p><img src="cid:{word}">\r\n'
        f'--x\r\nContent-Type: image/png; name="{word}"\r\nContent-ID: <{word}>\r\n'
        f'Content-Disposition: inline; filename="{word}"\r\n\r\npng\r\n'
        f"--x\r\nContent-Type: application/x-{word}; name*=utf-8''{percent}.pdf\r\n"
        f"Content-ID: <{word}>\r\n"
        f"Content-Disposition: attachment; filename*0*=utf-8''{percent}; filename*1=.pdf\r\n\r\npdf\r\n--x--\r\n"
    ).encode()


def rewritten(raw: bytes, rules: policy.Policy) -> list[Parsed]:
    """The letter as the standard library writes it again, as bytes and as text (CVE-2024-6923, CVE-2026-1299)."""
    letter = message_from_bytes(raw, policy=rules)
    data, text = io.BytesIO(), io.StringIO()
    BytesGenerator(data, policy=rules).flatten(letter)
    Generator(text, policy=rules).flatten(letter)
    return [letter, message_from_bytes(data.getvalue()), message_from_string(text.getvalue())]


def written(marta, message, how: str) -> bytes:
    """The bytes of an answer or a forward, as they go out."""
    with viewing_as(marta):
        if how == "forward":
            draft = compose.forward(staff=marta, message=message)
            draft = compose.save(delivery=draft, to="erin@example.org")
        else:
            draft = compose.reply(staff=marta, message=message, to_all=how == "reply to all")
    return bytes(sent(marta, draft).raw)


@pytest.mark.rule("S-043")
@pytest.mark.parametrize("how", ["reply to all", "forward"])
def test_no_encoded_word_adds_a_header(marta, mailbox, acting_as, how):
    for uid, (name, word) in enumerate(WORDS.items(), 1):
        raw = written(marta, arrive(mailbox, acting_as, hostile(word), uid=uid), how)
        assert b"Bcc: thief" in raw or name == "twice", name  # it is there, as the words that it is
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw), name
        for rules in (policy.SMTP, policy.compat32):
            for letter in rewritten(raw, rules):
                assert {key.lower() for key in letter} <= OURS, name
                assert {key.lower() for part in letter.walk() for key in part} <= OURS | OF_A_PART


@pytest.mark.rule("S-043")
@pytest.mark.parametrize(
    ("identity", "kept"),
    [
        ("<=?utf-8?q?x=0D=0ABcc:_thief?=@a.example>", False),
        ("<=?utf-16be?b?" + b64encode("x\nBcc: y".encode("utf-16-be")).decode() + "?=@a.example>", False),
        ("<=?utf-8?q?plain?=@a.example>", True),
        ("<=?=0A?@a.example>", True),
        ("<1234@a.example>", True),
    ],
)
def test_an_id_that_hides_a_line_end_is_not_passed_on(identity, kept):
    raw = write(
        sender=Mailaddr("", "marta@northlink.example"),
        to=[Mailaddr("", "daniel@hoffmann.example")],
        subject="Re: x",
        text="x",
        html=None,
        message_id="1@northlink.example",
        date=datetime(2026, 11, 23, tzinfo=UTC),
        in_reply_to=identity,
        references=[identity],
    )
    assert (identity.encode() in raw) is kept
    assert read(raw).in_reply_to == ((identity[1:-1],) if kept else ())
