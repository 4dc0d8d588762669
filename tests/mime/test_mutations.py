"""S-119, pitfalls 1 to 20 at once: real letters and ours, cut, doubled, mixed and damaged. Nothing may make the reader fail.

`./dev test` tries a fixed sample; `./dev soak tests/mime` tries for as long as POSTERN_SOAK_SECONDS says (600).
"""

import os
import random
import time

import pytest

from postern.mime.bounces import read_bounce
from postern.mime.look import as_json
from postern.mime.read import part_bytes, read
from tests.mime.test_calendars import INVITATION
from tests.mime.test_real_letters import LETTERS, strings
from tests.mime.test_tnef import WINMAIL, wrapped

OURS = [
    wrapped(WINMAIL, "text"),
    f"Content-Type: text/calendar; charset=utf-8\n\n{INVITATION}".encode(),
    b'From: =?utf-8?q?M=C3=BCller?= <a@b.org>, "x, y" <c@d.org>\nTo: Friends: a@b.org, (c) <d@e.org>;\nSubject: '
    b"=?iso-2022-jp?b?GyRCJUYlOSVIGyhC?=\n =?utf-8?q?x?=\nDate: Mon, 23 Nov 2026 12:00:00 +0100\nReferences: <a@b> <c@d>\n"
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n"
    b"Content-Type: text/plain; format=flowed; delsp=yes\nContent-Transfer-Encoding: quoted-printable\n\na =\nb \n-- \nc\n"
    b"--bb\nContent-Type: text/html\n\n<meta charset=koi8-r><p>\xd0\xd2\xc9\xd7\xc5\xd4<img src=cid:x@y>\n--bb--\n"
    b"--b\nContent-Type: image/png; name*0*=utf-8''%C3%BC; name*1=.png\nContent-ID: <x@y>\n"
    b"Content-Transfer-Encoding: base64\n\niVBORw==\n--b\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n"
    b"--b\n\nbegin 644 a\n#86)C\n`\nend\n=ybegin line=128 size=3 name=b\n\x8b\x8c\x8d\n=yend size=3\n--b--\n",
]
NOISE = [
    b"\n\n",
    b"\r",
    b"\0",
    b"=?",
    b"--",
    b";",
    b'"',
    b"\xff\xfe",
    b"\x1b$B",
    b"=",
    b"--b--",
    b" ",
    b"<",
    b"%",
    b"(",
    b"\\",
]


def seeds() -> list[bytes]:
    """Letters to start from: small ones, so that a change hits something."""
    real = [raw for path in LETTERS if len(raw := path.read_bytes()) < 12_000]
    return OURS * 8 + real


def mutated(chance: random.Random, letters: list[bytes]) -> bytes:
    """One to six changes, each of another kind."""
    raw = bytearray(chance.choice(letters))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw) + 1)
        to = min(len(raw), at + chance.choice((1, 4, 30, 300)))
        match chance.randrange(8):
            case 0:
                del raw[at:to]
            case 1:
                raw[at:at] = raw[at:to] * chance.choice((1, 2, 40))
            case 2:
                raw[at:to] = chance.randbytes(to - at)
            case 3:
                raw[at:at] = chance.choice(NOISE) * chance.choice((1, 1, 3, 200))
            case 4:
                other = chance.choice(letters)
                start = chance.randrange(len(other) + 1)
                raw[at:at] = other[start : start + chance.choice((20, 400, 4000))]
            case 5:
                raw = raw[:at]
            case 6 if at < len(raw):
                raw[at] ^= 1 << chance.randrange(8)
            case _:
                raw = (
                    raw.replace(b"\r\n", b"\n")
                    if b"\r\n" in raw
                    else raw.replace(b"\n", chance.choice((b"\r\n", b"\r")))
                )
    return bytes(raw)


def holds(raw: bytes, seed: int) -> None:
    begin = time.process_time()
    letter = read(raw)
    assert time.process_time() - begin < 5, seed
    assert not [defect for defect in letter.defects if defect.startswith("unreadable")], (
        seed,
        letter.defects,
    )
    for text in strings(letter):
        assert "\0" not in text, seed
        text.encode("utf-8")
    for part in letter.parts:
        assert len(part_bytes(raw, part)) == part.size, seed
    read_bounce(letter)


def test_s119_a_fixed_sample() -> None:
    letters = seeds()
    for seed in range(4_000):
        holds(mutated(random.Random(seed), letters), seed)


def test_s119_shown_too() -> None:
    letters = seeds()
    for seed in range(300):
        as_json(mutated(random.Random(10_000 + seed), letters))


@pytest.mark.soak
def test_s119_for_long() -> None:
    letters, seed = seeds(), int(time.time()) << 20
    until = time.monotonic() + float(os.environ.get("POSTERN_SOAK_SECONDS", "600"))
    while time.monotonic() < until:
        seed += 1
        holds(mutated(random.Random(seed), letters), seed)
