# ruff: noqa: SIM905  (word lists read better as one string)
"""Letters of the shape an internet provider gets, about 35 KB in the mean, always the same: 1 to 10 KB of text, seven in
ten with html, one in ten with an attachment of 50 to 300 KB. Three letters make a conversation."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from postern.mime.addresses import Mailaddr
from postern.mime.write import OutgoingFile, write

WORDS = """the fibre line in Gröbming drops every evening we measured again tomorrow invoice router Ämter señal customer
contract speed address moved cable technician called nobody answered please refund month paid twice number street light
blinking red restarted modem signal strength neighbour works fine thanks regards Müller question offer upgrade gigabit
installation appointment Tuesday morning between eight and ten waiting since weeks complaint second reminder attached
photo form signed bank account cancel subscription tariff television phone port request transfer old provider date""".split()
SHAPES = 500
PEOPLE = 700


def person(number: int) -> str:
    """The address of a sender."""
    return f"person{number % PEOPLE}@example.net"


def letters(count: int) -> Iterator[bytes]:
    """Yield letters one by one."""
    chance = random.Random(7)
    shapes = [_shape(chance, number) for number in range(min(count, SHAPES))]
    for number in range(count):
        first = number - number % 3
        yield (
            shapes[number % SHAPES]
            .replace(b"own@id.example", b"%d@id.example" % number)
            .replace(b"first@id.example", b"%d@id.example" % first)
            .replace(b"sender@example.net", person(number).encode())
            .replace(b"Subject: ", b"Subject: %d " % number, 1)
        )


def _shape(chance: random.Random, number: int) -> bytes:
    text = "\n".join(" ".join(chance.choices(WORDS, k=12)) for _ in range(chance.randint(10, 130)))
    html = "<div>" + text.replace("\n", "</div>\n<div>") + "</div>" if chance.random() < 0.7 else None
    files = []
    if number % 10 == 0:
        data = chance.randbytes(chance.randint(50_000, 300_000))
        files = [OutgoingFile("Störung.pdf", "application/pdf", data)]
    return write(
        sender=Mailaddr("Zoë Müller", "sender@example.net"),
        to=[Mailaddr("Support", "support@example.org")],
        subject=" ".join(chance.choices(WORDS, k=6)),
        text=text,
        html=html,
        attachments=files,
        message_id="own@id.example",
        date=datetime(2026, 1, 1, tzinfo=UTC),
        references=["first@id.example"],
    )
